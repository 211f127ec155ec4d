"""Events for other systems, written in the transaction of their fact and sent afterwards."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from calls.models import EventType, NewEvent, OutgoingEvent

CALL_STARTED = EventType.CALL_STARTED.value
CALL_ENDED = EventType.CALL_ENDED.value
CALL_DELETED = EventType.CALL_DELETED.value
RECORDING_READY = EventType.RECORDING_READY.value
RECORDING_INCOMPLETE = EventType.RECORDING_INCOMPLETE.value
RECORDING_MISSING = EventType.RECORDING_MISSING.value
ALARM_RAISED = EventType.ALARM_RAISED.value
ALARM_CLEARED = EventType.ALARM_CLEARED.value
TEST = EventType.TEST.value


def add(
    event_type: str,
    occurred_at: datetime,
    data: dict[str, Any],
    *,
    key: str,
    call_id: UUID | None = None,
    not_to: Collection[int] = (),
) -> None:
    """Writes an event for other systems. Call it in the transaction of the fact.

    `data` is JSON; `key` names the fact: the same type and key are the same event, so repeating it
    is harmless. `call_id`: the call that `data` describes; deleting the call deletes the event.
    `not_to`: endpoints that do not get it.
    """
    event = NewEvent(event_type, occurred_at, data, key, call_id, frozenset(not_to))
    OutgoingEvent.objects.add(event)
