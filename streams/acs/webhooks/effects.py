"""Consequences of stored events: names of participants, and calls that have ended.

The state of a call is derived from its events (`CallQuerySet.with_state`), so nothing is written
for it. Recorders are told, since they show their calls on dashboards without asking the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from calls.coverage.acs_events import Event, names_of
from calls.coverage.stored_events.names import CallIds, calls_of, name_participants
from calls.live import channel
from calls.live.messages import ReportedEnd
from calls.times import iso_text
from streams.acs.webhooks.parsing import ReceivedEvent
from streams.acs.webhooks.storage import plausible

ENDS = ("CallDisconnected", "CallEnded")
LINKS = "CallConnected"
"""It names both the connection and the server's id of a call, which events of Event Grid have."""


def apply_names(events: Sequence[ReceivedEvent], received_at: datetime) -> None:
    """Names participants of the calls that the events are about. Raises `django.db.Error`."""
    named = [
        CallIds(event.call_connection_id, event.correlation_id, event.server_call_id)
        for event in events
        if event.type == LINKS or any(names_of(_as_event(event, received_at)))
    ]
    if named:
        name_participants(calls_of(named))


def reported_ends(events: Sequence[ReceivedEvent], received_at: datetime) -> list[ReportedEnd]:
    """Returns the ends of calls that the events report, as recorders are told."""
    return [
        {
            "call_connection_id": event.call_connection_id if event.type == ENDS[0] else "",
            "correlation_id": event.correlation_id if event.type == ENDS[1] else "",
            # it cannot have happened later, whatever the sender's clock says
            "at": iso_text(min(plausible(event.occurred_at, received_at), received_at)),
        }
        for event in events
        if event.type in ENDS
    ]


async def report(ends: list[ReportedEnd]) -> None:
    """Tells the recorders that calls have ended. Best effort: without it, dashboards show the end
    after the grace time.
    """
    if not ends:
        return
    try:
        await channel.report_ends(ends)
    except channel.LAYER_ERRORS as error:
        channel.layer_outage.note(error)


def _as_event(event: ReceivedEvent, received_at: datetime) -> Event:
    return Event(event.type, event.occurred_at, received_at, event.sequence_number, event.data)
