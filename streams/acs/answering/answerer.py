"""Incoming calls from events to answers, each once, in however many processes.

    IncomingCall ──▶ rules ──▶ row claimed ──▶ Call Automation ──▶ row finished

A call is answered before its event is: if this process dies, or Call Automation does not answer,
Event Grid sends the event again, and any process goes on when the claim has run out. The row's id
is derived from the call's context, so a repeated event never answers twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db import connections
from django.utils import timezone

from calls.identity import NAMESPACE
from calls.models import AnsweredCall
from streams.acs.answering.call_automation import Answers, CallAutomation, NotAnswered, TryAgain
from streams.acs.answering.counts import ANSWERED, AnswerCounts, answer_counts
from streams.acs.answering.rules import called_ids, is_wanted

log = structlog.get_logger(__name__)

INCOMING_CALL = "IncomingCall"
RINGS_FOR = timedelta(seconds=60)
"""Older calls are not answered: their context has expired, and nobody waits any more."""

PAUSES = (0.0, 0.5, 1.5)
"""Seconds before each attempt."""

CLAIM = timedelta(seconds=30)
"""Longer than all attempts take. Event Grid waits as long for an answer."""

AT_ONCE = 16


class Incoming(NamedTuple):
    """An incoming call that a rule wants answered."""

    event_id: UUID
    context: str
    correlation_id: str

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE, f"answered:{self.context}")


class Answerer:
    """`answer_all` blocks: call it in a thread. `answers` builds the client at the first call."""

    def __init__(
        self,
        answers: Callable[[], Answers] = CallAutomation.from_settings,
        *,
        counts: AnswerCounts = answer_counts,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._build, self._counts, self._sleep = answers, counts, sleep
        self._answers: Answers | None = None
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="answer")

    def answer_all(self, incoming: Sequence[Incoming]) -> bool:
        """Answers the calls that no other process answers; returns whether all are decided, also
        by other processes.

        If not, the sender should send the event again. Raises `django.db.Error`.
        """
        claimed = [call for call in incoming if claim(call)]
        others = {call.id for call in incoming} - {call.id for call in claimed}
        decided = [*self._pool.map(self._answer_in_thread, claimed)]
        waiting = AnsweredCall.objects.filter(pk__in=others, state=AnsweredCall.State.WAITING)
        return all(decided) and not waiting.exists()

    def _answer_in_thread(self, call: Incoming) -> bool:
        try:
            return self._answer(call)
        finally:
            connections.close_all()

    def _answer(self, call: Incoming) -> bool:
        """Answers one claimed call; returns False if it may be answered later."""
        if self._answers is None:
            self._answers = self._build()
        failed: NotAnswered = TryAgain("unreachable", "")
        for pause in PAUSES:
            self._sleep(pause)
            try:
                connection_id = self._answers.answer(call.context)
            except TryAgain as error:
                failed = error
            except NotAnswered as error:
                self._give_up(call, error)
                return True
            else:
                finish(call, AnsweredCall.State.ANSWERED, connection_id=connection_id)
                self._counts.note(ANSWERED)
                log.info("call answered", answer=str(call.id))
                return True
        if release(call):
            log.warning("call not answered yet", answer=str(call.id), reason=failed.reason)
            return False
        self._give_up(call, failed)
        return True

    def _give_up(self, call: Incoming, error: NotAnswered) -> None:
        finish(call, AnsweredCall.State.FAILED, reason=error.reason)
        self._counts.note(error.reason)
        log.error(
            "call not answered", answer=str(call.id), reason=error.reason, detail=str(error)[:100]
        )


def wanted(events: Sequence[tuple[UUID, str, dict[str, Any]]]) -> list[Incoming]:
    """Returns the incoming calls that the settings want answered. Each event: id of its row, type,
    data.
    """
    if not (settings.ACS_CONNECTION_STRING and settings.ACS_ANSWER):
        return []
    return [
        Incoming(event_id, context, str(data.get("correlationId") or "")[:256])
        for event_id, name, data in events
        if name == INCOMING_CALL
        and isinstance(context := data.get("incomingCallContext"), str)
        and context
        and is_wanted(settings.ACS_ANSWER, called_ids(data))
    ]


def claim(call: Incoming) -> bool:
    """Takes the call for this process; False if it is decided, or another process attempts it."""
    now = timezone.now()
    until = now + CLAIM
    row = AnsweredCall(
        id=call.id,
        event_id=call.event_id,
        correlation_id=call.correlation_id,
        received_at=now,
        claimed_until=now,
    )
    AnsweredCall.objects.bulk_create([row], ignore_conflicts=True)
    free = AnsweredCall.objects.filter(
        pk=call.id, state=AnsweredCall.State.WAITING, claimed_until__lte=now
    )
    return bool(free.update(claimed_until=until))


def release(call: Incoming) -> bool:
    """Gives the call back, for the next time that its event is sent; False if it rings no more."""
    row = AnsweredCall.objects.filter(pk=call.id, received_at__gt=timezone.now() - RINGS_FOR)
    return bool(row.update(claimed_until=timezone.now()))


def finish(
    call: Incoming, state: AnsweredCall.State, *, connection_id: str = "", reason: str = ""
) -> None:
    AnsweredCall.objects.filter(pk=call.id).update(
        state=state,
        call_connection_id=connection_id[:256],
        reason=reason,
        finished_at=timezone.now(),
    )


answerer = Answerer()
