"""Rows of events: each is stored once, however often it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from calls.coverage import due
from calls.coverage.limits import AHEAD, EARLIEST
from calls.identity import event_row_id
from calls.models import CallEvent
from streams.acs.webhooks.parsing import ReceivedEvent

ROWS_PER_STATEMENT = 500
"""How far the clock of a sender may be ahead."""


def store(source: CallEvent.Source, events: Iterable[ReceivedEvent], received_at: datetime) -> None:
    """Writes the events, and returns after they are committed. Raises `django.db.Error`.

    The id of a row is derived from the sender's ids, so a repetition changes nothing: the first
    arrival counts.
    """
    rows = [
        CallEvent(
            id=event_row_id(event.source, event.event_id),
            source=source,
            event_id=event.event_id,
            type=event.type,
            call_connection_id=event.call_connection_id,
            correlation_id=event.correlation_id,
            server_call_id=event.server_call_id,
            occurred_at=plausible(event.occurred_at, received_at),
            received_at=received_at,
            sequence_number=event.sequence_number,
            data=event.data,
        )
        for event in events
    ]
    with transaction.atomic():
        CallEvent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)
        due.mark(
            due.CallKey(row.call_connection_id, row.correlation_id, row.occurred_at) for row in rows
        )


def plausible(occurred_at: datetime, received_at: datetime) -> datetime:
    """Returns the time of an event; the time of its arrival instead of one that cannot be: it
    would make a call of centuries. .NET writes a time that is not set as the year 1.
    """
    return occurred_at if EARLIEST <= occurred_at <= received_at + AHEAD else received_at
