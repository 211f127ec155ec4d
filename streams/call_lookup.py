"""Which call a new socket belongs to, by the rows and journals of all processes.

Asked once per socket, before it is accepted, and only if this process does not know the answer
(`streams.ingest.call_chains`). Handshakes that arrive while a question is answered share the next
one. No handshake waits longer than `WAIT_SECONDS`: an unreachable database must not keep a call
from being recorded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import structlog
from django.db import connections

from calls.identity import CallLink
from calls.models import Subscription, database_now
from calls.models.continuations import going_on, latest_calls
from calls.search import uuid_in
from streams.daemon_thread import in_daemon_thread
from streams.ingest.call_chains import NO_CALL, UNANSWERED, FoundCall
from streams.journal import spool
from streams.journal.backlog import stream_of
from streams.journal.records import Handshake, parse
from streams.sealing.digest import handshake_in

log = structlog.get_logger(__name__)

WAIT_SECONDS = 1.0
"""Longest time a handshake waits for the answer."""

RETRY_SECONDS = 2.0
"""After a question without an answer, none is asked for this long."""

GIVE_UP_SECONDS = 30.0
"""A question that hangs longer is abandoned: its connection may be dead without any sign."""

HEAD_BYTES = 8192
"""Read to identify a journal, as in `streams.sealing.steps`."""


class Question(NamedTuple):
    """`closed_ids`: sockets that have been closed for the grace time, as this process knows."""

    first_id: UUID
    connection_id: str
    closed_ids: Sequence[str] = ()


Answers = Mapping[UUID, FoundCall]
"""By the id of the first call; connection ids without a call are left out."""


class CallLookup:
    """Finds calls in a thread, one question for all handshakes that wait. `ask` may block."""

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Answers],
        *,
        wait_seconds: float = WAIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._waiting: dict[asyncio.Future[FoundCall], Question] = {}
        self._asked: Future[Answers] | None = None  # the question in flight
        self._asked_at = 0.0
        self._retry_at = float("-inf")

    async def find(self, question: Question) -> FoundCall:
        """Returns `NO_CALL` if no call has the connection id, `UNANSWERED` after `wait_seconds`."""
        now = self._clock()
        if self._asked and now - self._asked_at > GIVE_UP_SECONDS:
            self._asked = None
        if now < self._retry_at or (self._asked and now - self._asked_at > self._wait_seconds):
            return UNANSWERED
        future: asyncio.Future[FoundCall] = asyncio.get_running_loop().create_future()
        self._waiting[future] = question
        self._ask_next()
        try:
            return await asyncio.wait_for(future, self._wait_seconds)
        except TimeoutError:
            self._note_failure("timeout")
            return UNANSWERED
        finally:
            self._waiting.pop(future, None)

    def _ask_next(self) -> None:
        if self._asked is not None or not self._waiting:
            return
        batch, self._waiting = self._waiting, {}
        self._asked_at = self._clock()
        self._asked = asked = in_daemon_thread(
            partial(self._ask, list(batch.values())), name="call-lookup"
        )
        loop = asyncio.get_running_loop()

        def deliver(answered: Future[Answers]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._deliver, batch, answered)

        asked.add_done_callback(deliver)

    def _deliver(
        self,
        batch: dict[asyncio.Future[FoundCall], Question],
        answered: Future[Answers],
    ) -> None:
        if self._asked is answered:
            self._asked = None
        if error := answered.exception():
            self._note_failure(type(error).__name__)
            for future in batch:
                if not future.done():
                    future.set_result(UNANSWERED)
        else:
            _answer_in_turn(iter(batch.items()), answered.result())
        self._ask_next()

    def _note_failure(self, reason: str) -> None:
        if self._clock() >= self._retry_at:
            log.warning("calls not looked up", error=reason)
        self._retry_at = self._clock() + RETRY_SECONDS


def _answer_in_turn(
    batch: Iterator[tuple[asyncio.Future[FoundCall], Question]], answers: Answers
) -> None:
    """Resumes one handshake per event-loop iteration, so that a burst stalls no open socket."""
    for future, question in batch:
        if not future.done():
            future.set_result(answers.get(question.first_id, NO_CALL))
            asyncio.get_running_loop().call_soon(_answer_in_turn, batch, answers)
            return


def find_calls(spool_folder: Path, questions: Sequence[Question]) -> dict[UUID, FoundCall]:
    """Returns the latest call of each connection id that has one, in rows or in journals that are
    not sealed yet. Raises `django.db.Error`.
    """
    try:
        now = database_now()
        latest = latest_calls({one.first_id: one.connection_id for one in questions})
        closed_ids = {stream_id for one in questions for stream_id in one.closed_ids}
        open_calls = going_on(latest.values(), closed_ids, now) if latest else set()
        found = {
            first_id: FoundCall(link, has_ended=link not in open_calls)
            for first_id, link in latest.items()
        }
        if any(one.has_ended for one in found.values()):
            for handshake in _without_rows(spool_folder, closed_ids):
                for first_id, one in found.items():
                    link = CallLink(first_id, handshake.continuation)
                    is_later = one.link is None or link.number >= one.link.number
                    if str(link.id) == handshake.call_id and is_later:
                        found[first_id] = FoundCall(link, has_ended=False)
        return found
    finally:
        connections.close_all()


def _without_rows(spool_folder: Path, closed_ids: set[str]) -> Iterator[Handshake]:
    """Yields the handshakes of sockets that no row tells of: their process has died, or could not
    reach the database.
    """
    paths = {
        stream_of(path.name): path
        for suffix in spool.JOURNALS
        for path in spool_folder.glob(f"*/*{suffix}")
        if uuid_in(stream_of(path.name))
    }
    unknown = paths.keys() - closed_ids
    known = Subscription.objects.filter(stream_id__in=unknown).order_by()
    for stream_id in unknown - {str(one) for one in known.values_list("stream_id", flat=True)}:
        with suppress(OSError):  # just sealed, or unreadable, which the sealer reports
            with paths[stream_id].open("rb") as file:
                head = file.read(HEAD_BYTES)
            if handshake := handshake_in(parse(head)):
                yield handshake
