"""Background watch: is the database reachable? Keeps pages and REST from hanging in an outage.

A paused Postgres, or one behind a broken network, neither answers nor refuses. Every query sent to
it blocks its thread, and a Unix socket has no timeout. So a separate thread tries the database, and
`DatabaseWatch.outage` returns its latest result, or a timeout if that thread has been waiting too
long. This costs no round trip.
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
"""How long a success is valid. A later call of `outage` starts a new trial and does not wait."""

ANSWER_SECONDS = 2.0
"""If a trial takes longer, the database counts as unreachable until that trial returns."""

RETRY_SECONDS = 0.5
"""Pause between two trials during an outage. They repeat without requests, so the first request
after the outage is served.
"""

GIVE_UP_SECONDS = 30.0
"""A trial that hangs longer is abandoned and a new one started: its connection may be dead without
any sign.
"""

POOL_SECONDS = 0.5
"""How long a trial waits for a connection of the pool. Then it opens its own, to tell a busy pool
from a lost database.
"""

_in_daemon_thread = partial(in_daemon_thread, name="database-watch")


@dataclass(slots=True, eq=False)
class Round:
    """Consecutive trials until one succeeds; `started_at` is the start of the latest."""

    started_at: float


class DatabaseWatch:
    """The latest known state of one database. Thread-safe and non-blocking."""

    def __init__(
        self,
        trial: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        start: Callable[[Callable[[], None]], object] = _in_daemon_thread,
    ) -> None:
        """`trial` raises if the database does not answer; `start` runs it in a thread."""
        self._trial = trial
        self._clock = clock
        self._pause = pause
        self._start = start
        self._lock = Lock()
        self._round: Round | None = None
        self._reason = ""
        self._answered_at = float("-inf")

    def outage(self) -> str:
        """Returns why the database is unreachable; "" if it answers or nothing is known yet."""
        with self._lock:
            now, running = self._clock(), self._round
            if running is not None and now - running.started_at >= ANSWER_SECONDS:
                self._set_reason("timeout")
            if running:
                since, limit = running.started_at, GIVE_UP_SECONDS
            else:
                since, limit = self._answered_at, KEEP_SECONDS
            if now - since >= limit:
                started = self._round = Round(now)
                self._start(partial(self._run, started))
            return self._reason

    def _run(self, own: Round) -> None:
        """Runs in the thread. An abandoned round ends without changing anything."""
        while True:
            reason = ""
            try:
                self._trial()
            except Exception as error:  # noqa: BLE001 - only its type: the text may name hosts
                reason = type(error).__name__
            with self._lock:
                if self._round is not own:
                    return
                self._set_reason(reason)
                if not reason:
                    self._answered_at, self._round = self._clock(), None
                    return
            self._pause(RETRY_SECONDS)
            own.started_at = self._clock()

    def _set_reason(self, reason: str) -> None:
        before, self._reason = self._reason, reason
        if reason and not before:
            log.warning("database unreachable", reason=reason)
        if before and not reason:
            log.info("database reachable")


def try_postgres() -> None:
    """Queries over a pooled connection, as requests do, or over a new one if the pool has none."""
    from psycopg import Error

    # the PostgreSQL backend has a pool; the stubs leave it out
    pool: Any = connections[DEFAULT_DB_ALIAS].pool  # type: ignore[attr-defined]
    if pool is not None:
        pool.open()
        try:
            with pool.connection(timeout=POOL_SECONDS) as connection:
                connection.execute("SELECT 1")
        except Error:
            _try_new_connection()  # raises if the database is the problem, not the pool
            pool.check()  # or the next requests would get connections that died in the outage
    else:
        _try_new_connection()


def _try_new_connection() -> None:
    from psycopg import connect

    with connect(**connections[DEFAULT_DB_ALIAS].get_connection_params()) as connection:
        connection.execute("SELECT 1")


postgres = DatabaseWatch(try_postgres)
"""One per process, used only with Postgres: SQLite is a file and is always reachable."""
