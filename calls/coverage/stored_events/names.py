"""Display names of participants from events of ACS.

Whichever comes first, row or event: both sides commit what they have, and then look for the other.
So a name is found by one of them at least, however their transactions overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from calls.coverage.acs_events import Event, names_of
from calls.models import Call, CallEvent, Participant

NAMING = ("IncomingCall", "ParticipantsUpdated", "CallParticipantAdded", "CallParticipantRemoved")
"""Types of events that may carry names."""


class CallIds(NamedTuple):
    """The ids by which an event names its call; "" where it has none."""

    call_connection_id: str
    correlation_id: str
    server_call_id: str


def name_participants(call_ids: Iterable[UUID]) -> None:
    """Names participants of these calls as stored events say; the newest name counts. Names that
    people have given stay.
    """
    calls = Call.objects.filter(pk__in=list(call_ids)).order_by()
    for pk, connection_id, correlation_id in calls.values_list(
        "pk", "call_connection_id", "correlation_id"
    ):
        events = CallEvent.objects.of_call(connection_id, correlation_id).filter(type__in=NAMING)
        rows = events.values_list("type", "occurred_at", "received_at", "sequence_number", "data")
        names = {raw_id: name for row in rows for raw_id, name in names_of(Event(*row))}
        Participant.objects.name_by_events(pk, names)


def calls_of(named: Iterable[CallIds]) -> list[UUID]:
    """Returns the recorded calls that events name. Indexes: call_connection_id,
    call_correlation_id, event_of_server_call.
    """
    ids = list(named)
    servers = {one.server_call_id for one in ids} - {""}
    connections = {one.call_connection_id for one in ids}
    if servers:
        others = CallEvent.objects.filter(server_call_id__in=servers).order_by()
        connections |= set(others.values_list("call_connection_id", flat=True).distinct())
    correlations = {one.correlation_id for one in ids} - {""}
    found = Q(call_connection_id__in=connections - {""}) | Q(correlation_id__in=correlations)
    return list(Call.objects.filter(found).order_by().values_list("pk", flat=True))
