"""Witnesses of one call: events of ACS, statements of other systems, our own sockets, and refused
handshakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from calls.coverage.acs_events import CallHistory
from calls.models import (
    Call,
    CallCoverage,
    ExpectedCall,
    RefusedHandshake,
    Subscription,
    coverage_id_of,
)
from calls.times import length_text
from calls.wording import REFUSALS, STREAMING_DETAILS, close_text

_DIFFERENCES = (
    ("longer_seconds", "The recording is {} than the call", "longer", "shorter"),
    ("clock_ahead_seconds", "The clock of the recorder was {} ACS", "ahead of", "behind"),
    ("moved_seconds", "By its own clock, the best witness had it {}", "earlier", "later"),
)
"""Name in `CallCoverage.facts`, text, and words for more and less than 0."""

MOST_OBSERVATIONS = 1_000
"""Rows of one kind of witness that a page shows."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A time that a witness names; `is_fault`: something did not work then."""

    started_at: datetime
    ended_at: datetime | None
    text: str
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness. `kind`: "events", "statement", "sockets" or "refusals"."""

    kind: str
    name: str
    observations: list[Observation]
    participants: int | None = None

    @property
    def started_at(self) -> datetime:
        return min(each.started_at for each in self.observations)

    @property
    def ended_at(self) -> datetime | None:
        """The end that it states; None if it knows none."""
        ends = [each.ended_at for each in self.observations]
        return None if None in ends else max(end for end in ends if end)


def witnesses_of(
    call_connection_id: str, correlation_id: str, told: CallHistory, call: Call | None = None
) -> list[Witness]:
    """Returns the witnesses that say something; `told`: the `history` of the call."""
    found = [
        _acs(told),
        *_statements(call_connection_id, correlation_id),
        _sockets(call),
        _refusals(refusals_of(call_connection_id, correlation_id)),
    ]
    return [witness for witness in found if witness.observations]


def coverage_of(call: Call) -> QuerySet[CallCoverage]:
    """Selects the coverage of a recorded call, which continued calls have in common."""
    own = Q(call_id=call.pk)
    if call.call_connection_id or call.correlation_id:
        own |= Q(pk=coverage_id_of(call.call_connection_id, call.correlation_id))
    return CallCoverage.objects.filter(own)


def refusals_of(call_connection_id: str, correlation_id: str) -> list[RefusedHandshake]:
    """Returns the refused handshakes of a call, the oldest first."""
    own = Q(pk__in=[])
    if call_connection_id:
        own |= Q(call_connection_id=call_connection_id)
    if correlation_id:
        own |= Q(call_connection_id="", correlation_id=correlation_id)
    rows = RefusedHandshake.objects.filter(own).order_by("first_at", "id")
    return list(rows[:MOST_OBSERVATIONS])


def _acs(told: CallHistory) -> Witness:
    observations = []
    if started := told.connected_at or told.disconnected_at:
        observations.append(
            Observation(started, told.disconnected_at, "The call, by the events of ACS")
        )
    observations += [Observation(*span[:2], "ACS streams") for span in told.streaming]
    observations += [
        Observation(*span[:2], STREAMING_DETAILS.get(span.reason, span.reason), is_fault=True)
        for span in told.interruptions
    ]
    present = sum(bool(each.present) for each in told.participants)
    return Witness("events", "Events of ACS", observations, present or None)


def _statements(call_connection_id: str, correlation_id: str) -> list[Witness]:
    own = Q(pk__in=[])
    if call_connection_id:
        own |= Q(call_connection_id=call_connection_id)
    if correlation_id:
        own |= Q(call_connection_id="", correlation_id=correlation_id)
    rows = ExpectedCall.objects.filter(own)
    return [
        Witness(
            "statement",
            f"Statement: {each.source}",
            [Observation(each.started_at, each.ended_at, f"The call, by {each.source}")],
            each.participants,
        )
        for each in rows.order_by("started_at", "id")[:MOST_OBSERVATIONS]
    ]


def _sockets(call: Call | None) -> Witness:
    sockets = Subscription.objects.filter(call=call) if call else Subscription.objects.none()
    observations = [
        Observation(
            each.connected_at,
            each.disconnected_at,
            f"Socket, {close_text(each.close_code)}" if each.disconnected_at else "Socket, open",
        )
        for each in sockets.order_by("connected_at", "id")
    ]
    return Witness(
        "sockets", "Our sockets", observations, call.participants.count() if call else None
    )


def _refusals(refused: list[RefusedHandshake]) -> Witness:
    observations = [
        Observation(
            each.first_at,
            each.last_at,
            f"Refused {each.count} times: {REFUSALS.get(each.reason, each.reason)}"
            if each.count > 1
            else f"Refused: {REFUSALS.get(each.reason, each.reason)}",
            is_fault=True,
        )
        for each in refused
    ]
    return Witness("refusals", "Refused handshakes", observations)


def differences(coverage: CallCoverage) -> list[str]:
    """Returns what differs between expected and recorded, apart from missing time."""
    found = []
    expected, recorded = coverage.participants_expected, coverage.participants_recorded
    if expected is not None and recorded < expected:
        found.append(f"{recorded} of {expected} participants recorded")
    if coverage.more_than_four:
        found.append(
            "More than four participants: ACS sends the four most dominant speakers, so a voice"
            " may be missing by design"
        )
    for name, text, more, less in _DIFFERENCES:
        if seconds := float(coverage.facts.get(name) or 0.0):
            length = length_text(abs(seconds))
            found.append(text.format(f"{length} {more if seconds > 0 else less}"))
    return found
