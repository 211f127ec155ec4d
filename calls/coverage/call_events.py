"""Events of a call in order of time: its ledger, and the events of ACS.

The ledger of a long call has a hundred thousand entries, so they are read page by page; events of
ACS are few, and are read each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from django.db.models import Q

from calls.coverage.acs_events import CallHistory, Note, Presence, Span
from calls.coverage.causes import cause_of
from calls.coverage.history import history
from calls.identity import participant_id_of
from calls.models import Call, LedgerEntry, Participant
from calls.wording import STREAMING_DETAILS, event_text

KINDS_OF_ACS = {
    "joined": "Joined",
    "left": "Left",
    "mute": "Muted",
    "hold": "On hold",
    "pause": "Streaming stopped on request",
    "not_streamed": "Not streamed by ACS",
    "acs_event": "Event of ACS",
}
"""Kinds that events of ACS add to those of `LedgerEntry`."""

KINDS = (*LedgerEntry.Kind.values, *KINDS_OF_ACS)

STOPPED = "subscriptionStopped"


class Position(NamedTuple):
    """The place of an event in the order of all events of its call."""

    started_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class CallEventLine:
    """One event. `participant`: None if it concerns the whole call, or somebody without audio."""

    id: UUID
    kind: str
    reason: str
    text: str
    participant: UUID | None
    started_at: datetime
    ended_at: datetime | None
    detail: dict[str, Any]

    @property
    def position(self) -> Position:
        return Position(self.started_at, self.id)


class CallEvents:
    """The events of one call, of these kinds."""

    def __init__(self, call: Call, kinds: frozenset[str] = frozenset(KINDS)) -> None:
        self._call, self._kinds = call, kinds

    def after(self, position: Position | None, limit: int) -> list[CallEventLine]:
        """Returns the first events after a position; None: of all."""
        entries = self._entries.order_by("started_at", "id")
        told = self._told
        if position is not None:
            at, pk = position
            entries = entries.filter(Q(started_at__gt=at) | Q(started_at=at, id__gt=pk))
            told = [one for one in told if one.position > position]
        found = [*map(self._line, entries[:limit]), *told[:limit]]
        return sorted(found, key=_position)[:limit]

    def before(self, position: Position, limit: int) -> list[CallEventLine]:
        """Returns the last events before a position, in order of time."""
        at, pk = position
        entries = self._entries.filter(Q(started_at__lt=at) | Q(started_at=at, id__lt=pk))
        latest = entries.order_by("-started_at", "-id")[:limit]
        told = [one for one in self._told if one.position < position]
        return sorted([*map(self._line, latest), *told[-limit:]], key=_position)[-limit:]

    @property
    def _entries(self) -> Any:
        kinds = self._kinds & set(LedgerEntry.Kind.values)
        return LedgerEntry.objects.filter(call=self._call, kind__in=kinds)

    @cached_property
    def _history(self) -> CallHistory:
        return history(self._call.call_connection_id, self._call.correlation_id)

    @cached_property
    def _told(self) -> list[CallEventLine]:
        """The events of ACS, in order of time."""
        if not self._kinds & KINDS_OF_ACS.keys():
            return []
        begin, end = _bounds(self._call)
        lines = (line for line in self._lines_of_acs() if line.kind in self._kinds)
        inside = (line for line in lines if begin <= line.started_at < end)
        return sorted(inside, key=_position)

    def _lines_of_acs(self) -> Iterator[CallEventLine]:
        tracks = set(Participant.objects.filter(call=self._call).values_list("id", flat=True))
        for presence in self._history.participants:
            own_id = participant_id_of(self._call.id, presence.raw_id)
            participant = own_id if own_id in tracks else None
            yield from _presence_lines(self._call, presence, participant)
        for span in self._history.interruptions:
            kind = "pause" if span.reason == STOPPED else "not_streamed"
            yield _line(self._call, kind, span, STREAMING_DETAILS.get(span.reason, span.reason))
        alike: Counter[Note] = Counter()  # not their place: an earlier event may come later
        for note in self._history.notes:
            alike[note] += 1
            key = f"{note.text}:{alike[note]}"
            span = Span(note.at, None, note.type)
            yield _line(self._call, "acs_event", span, note.text, key=key)

    def _line(self, entry: LedgerEntry) -> CallEventLine:
        detail = entry.detail
        if entry.kind == LedgerEntry.Kind.GAP:
            spans = self._history.interruptions
            if cause := cause_of(spans, entry.started_at, entry.ended_at):
                detail = {**detail, "cause": cause}
        text = event_text(entry.kind, entry.reason, detail)
        ids = (entry.id, entry.kind, entry.reason, text, entry.participant_id)
        return CallEventLine(*ids, entry.started_at, entry.ended_at, detail)


def _presence_lines(
    call: Call, presence: Presence, participant: UUID | None
) -> Iterator[CallEventLine]:
    """Yields what events say of one participant, who may have no track, or no audio yet."""
    detail = {"raw_id": presence.raw_id, "display_name": presence.display_name}

    def line(kind: str, span: Span) -> CallEventLine:
        text = KINDS_OF_ACS[kind]
        return _line(call, kind, span, text, participant, detail, key=presence.raw_id)

    for span in presence.present:
        yield line("joined", Span(span.started_at, None))
        if span.ended_at is not None:
            yield line("left", Span(span.ended_at, None))
    yield from (line("mute", span) for span in presence.muted)
    yield from (line("hold", span) for span in presence.on_hold)


def _line(
    call: Call,
    kind: str,
    span: Span,
    text: str,
    participant: UUID | None = None,
    detail: dict[str, Any] | None = None,
    key: str = "",
) -> CallEventLine:
    """Returns a line whose id is the same whenever it is read."""
    made_id = uuid5(call.id, f"{kind}:{span.started_at.isoformat()}:{span.reason}:{key}")
    times = span.started_at, span.ended_at
    return CallEventLine(made_id, kind, span.reason, text, participant, *times, detail or {})


def _bounds(call: Call) -> tuple[datetime, datetime]:
    """Returns the time that belongs to this call of a chain: all of them share the events."""
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    if call.continued_from_id:
        begin = call.started_at
    if call.continued_in_id:
        later = Call.objects.filter(pk=call.continued_in_id).values_list("started_at", flat=True)
        end = next(iter(later), end)
    return begin, end


def _position(line: CallEventLine) -> Position:
    return line.position
