"""Incoming calls from events to answers, each once, in however many processes.

    IncomingCall ──▶ rules ──▶ a thread ──▶ row claimed ──▶ Call Automation ──▶ row finished

A call is answered before its event is: if this process dies, or Call Automation does not answer,
Event Grid sends the event again, and any process goes on when the claim has run out (`claims.py`).

Rows are read and written by the thread of the request, which gives its connection of the database
back before it waits. The threads of the pool only talk to Call Automation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections

from calls.models import AnsweredCall
from streams.acs.answering import claims
from streams.acs.answering.call_automation import Answers, CallAutomation, NotAnswered, TryAgain
from streams.acs.answering.claims import Claim, Incoming
from streams.acs.answering.counts import ANSWERED, AnswerCounts, answer_counts
from streams.acs.answering.rules import called_ids, is_wanted

log = structlog.get_logger(__name__)

INCOMING_CALL = "IncomingCall"
PAUSES = (0.0, 0.5, 1.5)
"""Seconds before each attempt."""

AT_ONCE = 16
"""Calls that this process answers at the same time; others wait for a free thread."""

WAIT_SECONDS = 20.0
"""Longest time to wait for a free thread. Event Grid waits 30 s for an answer, and then repeats."""


class Answerer:
    """`answer_all` blocks: call it in a thread, outside of a transaction. `answers` builds the
    client at the first call.
    """

    def __init__(
        self,
        answers: Callable[[], Answers] = CallAutomation.from_settings,
        *,
        counts: AnswerCounts = answer_counts,
        sleep: Callable[[float], None] = time.sleep,
        at_once: int = AT_ONCE,
    ) -> None:
        self._build, self._counts, self._sleep = answers, counts, sleep
        self._answers: Answers | None = None
        self._free_threads = BoundedSemaphore(at_once)
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="answer")

    def answer_all(self, incoming: Sequence[Incoming]) -> bool:
        """Answers the calls that no other process answers; returns whether all are decided, also
        by other processes.

        If not, the sender should send the event again. Raises `django.db.Error`.
        """
        left, until = list(incoming), time.monotonic() + WAIT_SECONDS
        while left:
            count = self._wait_for_threads(len(left), until)
            if not count:
                return False
            try:
                self._answer(left[:count])
            finally:
                self._free_threads.release(count)
            left = left[count:]
        return not claims.are_waiting(incoming)

    def _wait_for_threads(self, wanted: int, until: float) -> int:
        """Waits for a free thread of the pool, and reserves up to `wanted` of them; returns their
        number, 0 if none was free in time.
        """
        connections.close_all()
        if not self._free_threads.acquire(timeout=max(0.0, until - time.monotonic())):
            return 0
        taken = 1
        while taken < wanted and self._free_threads.acquire(blocking=False):
            taken += 1
        return taken

    def _answer(self, incoming: Iterable[Incoming]) -> None:
        """Claims calls, attempts them side by side, and writes the outcomes."""
        claimed = []
        for call in incoming:
            if claim := claims.take(call):
                claimed.append(claim)
            elif claims.expire(call):
                self._note_failure(call, NotAnswered("too_late", "it rang too long ago"))
        connections.close_all()  # not kept from others while Call Automation takes its time
        outcomes = [*self._pool.map(self._attempt, claimed)]
        for claim, outcome in zip(claimed, outcomes, strict=True):
            self._conclude(claim, outcome)

    def _attempt(self, claim: Claim) -> str | NotAnswered:
        """Asks Call Automation to answer, some times; returns the call connection id, or why not.
        Runs in a thread of the pool, which has no connection of the database.
        """
        if self._answers is None:
            self._answers = self._build()
        failed: NotAnswered = TryAgain("unreachable", "")
        for pause in PAUSES:
            self._sleep(pause)
            try:
                return self._answers.answer(claim.call.context)
            except TryAgain as error:
                failed = error
            except NotAnswered as error:
                return error
        return failed

    def _conclude(self, claim: Claim, outcome: str | NotAnswered) -> None:
        """Writes the outcome of an attempt, unless another process has taken the call over."""
        call = claim.call
        if isinstance(outcome, str):
            self._counts.note(ANSWERED)
            log.info("call answered", answer=str(call.id))
            claims.finish(claim, AnsweredCall.State.ANSWERED, connection_id=outcome)
        elif isinstance(outcome, TryAgain) and claims.release(claim):
            log.warning("call not answered yet", answer=str(call.id), reason=outcome.reason)
        elif claims.finish(claim, AnsweredCall.State.FAILED, reason=outcome.reason):
            self._note_failure(call, outcome)

    def _note_failure(self, call: Incoming, error: NotAnswered) -> None:
        self._counts.note(error.reason)
        log.error(
            "call not answered", answer=str(call.id), reason=error.reason, detail=str(error)[:100]
        )


def wanted(events: Iterable[tuple[UUID, str, dict[str, Any], datetime]]) -> list[Incoming]:
    """Returns the incoming calls that the settings want answered. Each event: id of its row, type,
    data, time.
    """
    if not (settings.ACS_CONNECTION_STRING and settings.ACS_ANSWER):
        return []
    return [
        Incoming(event_id, context, str(data.get("correlationId") or "")[:256], occurred_at)
        for event_id, name, data, occurred_at in events
        if name == INCOMING_CALL
        and isinstance(context := data.get("incomingCallContext"), str)
        and context
        and is_wanted(settings.ACS_ANSWER, called_ids(data))
    ]


answerer = Answerer()
