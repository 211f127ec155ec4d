"""Whether the database answers, known without asking it: what keeps pages and REST from hanging
while it is away.

A paused Postgres, or one behind a broken network, neither answers nor refuses. Every query sent to
it holds its thread, and a Unix socket knows no time limit. So one thread of its own tries the
database (`Trial`), and whoever wants to know asks what that thread has found, or how long it has
been waiting (`DatabaseWatch.away`). That costs no round trip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS, connections

from streams.daemon_thread import in_daemon_thread

log = structlog.get_logger(__name__)

KEEP_SECONDS = 0.5
"""How long it is believed that the database answers; whoever asks later has it tried again, and
does not wait.
"""

ANSWER_SECONDS = 2.0
"""A trial that takes longer: the database is away, until that trial comes back."""

RETRY_SECONDS = 0.5
"""Between two trials while it is away. They go on by themselves, so the first who asks after its
return is let in.
"""

GIVE_UP_SECONDS = 30.0
"""A trial that hangs for so long is left to itself and another one begun: its connection may be
dead without a word.
"""

POOL_SECONDS = 0.5
"""A trial waits so long for a connection of the pool; then it makes one, to tell a busy pool from a
lost database.
"""


@dataclass(slots=True, eq=False)
class Round:
    """Trials one after another, until one succeeds; `begun_at` is that of the newest."""

    begun_at: float


def _in_thread_of_its_own(work: Callable[[], None]) -> None:
    in_daemon_thread(work, name="database-watch")


class DatabaseWatch:
    """What is known of one database. Asked by any thread, as often as one likes; nothing here
    blocks.
    """

    def __init__(
        self,
        trial: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        start: Callable[[Callable[[], None]], object] = _in_thread_of_its_own,
    ) -> None:
        """`trial` raises when the database does not answer; `start` runs it in a thread."""
        self._trial = trial
        self._clock = clock
        self._pause = pause
        self._start = start
        self._lock = Lock()
        self._round: Round | None = None
        self._why = ""
        self._answered_at = float("-inf")

    def outage(self) -> str:
        """Why nobody should ask the database now; "" when it answers, or when nothing is known
        yet.
        """
        with self._lock:
            now, running = self._clock(), self._round
            if running is not None and now - running.begun_at >= ANSWER_SECONDS:
                self._note("timeout")
            since, most = (
                (running.begun_at, GIVE_UP_SECONDS)
                if running
                else (self._answered_at, KEEP_SECONDS)
            )
            if now - since >= most:
                begun = self._round = Round(now)
                self._start(partial(self._go_on, begun))
            return self._why

    def _go_on(self, own: Round) -> None:
        """In the thread. A round that was given up ends without a word."""
        while True:
            why = self._outcome()
            with self._lock:
                if self._round is not own:
                    return
                self._note(why)
                if not why:
                    self._answered_at, self._round = self._clock(), None
                    return
            self._pause(RETRY_SECONDS)
            own.begun_at = self._clock()

    def _outcome(self) -> str:
        try:
            self._trial()
        except Exception as error:  # noqa: BLE001 - by its kind: its text may name hosts
            return type(error).__name__
        return ""

    def _note(self, why: str) -> None:
        before, self._why = self._why, why
        if why and not before:
            log.warning("database away", reason=why)
        if before and not why:
            log.info("database back")


def try_postgres() -> None:
    """One question over a connection of the pool, as requests do, or over a new one where the pool
    gives none.
    """
    from psycopg import Error

    pool: Any = connections[DEFAULT_DB_ALIAS].pool  # type: ignore[attr-defined]  # of the PostgreSQL backend
    if pool is not None:
        pool.open()
        try:
            with pool.connection(timeout=POOL_SECONDS) as connection:
                connection.execute("SELECT 1")
        except Error:
            _try_anew()  # raises when it is the database, not the pool
            pool.check()  # or the next requests would be given the connections that died with it
    else:
        _try_anew()


def _try_anew() -> None:
    from psycopg import connect

    with connect(**connections[DEFAULT_DB_ALIAS].get_connection_params()) as connection:
        connection.execute("SELECT 1")


postgres = DatabaseWatch(try_postgres)
"""One for each process, asked only where the database is a Postgres: SQLite is a file, and never
away.
"""
