"""The history of a call by the events of ACS, from their rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache

from calls.coverage.acs_events import CallHistory, Event, Span, history_of
from calls.coverage.causes import cause_of
from calls.models import CallEvent

MAX_EVENTS = 5_000
"""Most events of a call that are read; a call has some dozens."""


def history(call_connection_id: str, correlation_id: str) -> CallHistory:
    """Returns the history of a call by the events of ACS."""
    events = CallEvent.objects.of_call(call_connection_id, correlation_id)
    return history_of(
        Event(each.type, each.occurred_at, each.received_at, each.sequence_number, each.data)
        for each in events[:MAX_EVENTS]
    )


def causes(
    call_connection_id: str, correlation_id: str
) -> Callable[[datetime, datetime | None], str]:
    """Returns `cause_of` for the gaps of a call. Its events are read when the first gap asks."""

    @cache
    def interruptions() -> tuple[Span, ...]:
        return history(call_connection_id, correlation_id).interruptions

    return lambda started_at, ended_at: cause_of(interruptions(), started_at, ended_at)
