"""Witnesses of a call, read from the rows: events, statements, refusals and our own recording.

Few queries per call, each with an index. Rows that name only the correlation id count for every
call connection that has this id by another witness: ACS may connect more than once to one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Min, Q, QuerySet
from django.db.models.functions import Left

from calls.coverage import acs_events
from calls.coverage.acs_events import PROVING, UNSPECIFIED, CallHistory, Event, Span, history_of
from calls.coverage.history import MAX_EVENTS
from calls.coverage.judging.witnesses import (
    Events,
    Gap,
    Interruption,
    Presence,
    Refusal,
    Socket,
    Statement,
    Track,
    Witnesses,
)
from calls.coverage.limits import AHEAD, LONGEST_CALL
from calls.coverage.refusals import SIGNED
from calls.models import (
    Call,
    CallCoverage,
    CallEvent,
    ExpectedCall,
    FailedJournal,
    LedgerEntry,
    Participant,
    RefusedHandshake,
    Subscription,
)
from calls.times import to_microseconds

NEIGHBOURHOOD = timedelta(hours=1)
"""A call without witnesses is odd if others of this time have some."""

MOST_STATEMENTS = 1_000
MOST_REFUSALS = 5_000
MOST_SERVERS = 100
"""Rows of a call that are read: it has some."""

UUID_CHARACTERS = 36
_FAILED = "MediaStreamingFailed"


@dataclass(frozen=True, slots=True)
class SocketRow:
    """A media socket; `ended_at` None: its recorder has not ended it, and was there at `seen_at`.
    `is_whole`: no journal of it has failed.
    """

    started_at: datetime
    ended_at: datetime | None
    seen_at: datetime
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rows of a call. `call_ids`: of the chain of its recordings, the first one first.
    `event_count`: rows of events, also of those that prove no call.
    """

    call_ids: tuple[UUID, ...]
    started_at: datetime | None
    history: CallHistory | None
    events: Events | None
    statements: tuple[ExpectedCall, ...]
    refusals: tuple[RefusedHandshake, ...]
    sockets: tuple[SocketRow, ...]
    tracks: tuple[Track, ...]
    correlation_id: str
    last_received_at: datetime | None
    event_count: int

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of rows by kind of witness; they grow until rows are deleted."""
        return {
            "recordings": len(self.call_ids),
            "events": self.event_count,
            "statements": len(self.statements),
            "refusals": len(self.refusals),
        }

    def witnesses(self, *, until: datetime) -> Witnesses:
        """Returns the witnesses; a state without an end lasts until the moment `until`."""
        spans = [
            Socket(
                to_microseconds(one.started_at),
                to_microseconds(max(one.ended_at or one.seen_at, one.started_at)),
                is_over=one.ended_at is not None and one.is_whole,
            )
            for one in self.sockets
        ]
        found = Witnesses(
            events=self.events,
            statements=tuple(_statement(one) for one in self.statements),
            refusals=tuple(_refusal(one) for one in self.refusals if self._proves(one)),
            sockets=tuple(spans),
            tracks=self.tracks,
        )
        is_alone = not (self.event_count or found.statements)
        if is_alone and self.started_at and self.tracks:
            found = found._replace(has_neighbours=_has_neighbours(self.started_at, until))
        return found

    def _proves(self, refusal: RefusedHandshake) -> bool:
        is_known = self.events or self.statements or self.sockets
        return bool(is_known) or refusal.reason in SIGNED


def load(row: CallCoverage) -> Loaded:
    """Reads all witnesses of a call."""
    calls = _calls_of(row)
    correlations = _correlations(row, calls)
    if row.call_connection_id:
        calls += _calls(Q(call_connection_id="", correlation_id__in=correlations))
    statements = ExpectedCall.objects.filter(_names(row, correlations)).order_by("started_at", "id")
    events = _events_of(row, correlations)
    rows = list(events.filter(type__in=PROVING)[:MAX_EVENTS])
    history = history_of(_event(one) for one in rows) if rows else None
    ids = [call.id for call in calls]
    refusals = RefusedHandshake.objects.none()
    if row.call_connection_id:
        refusals = RefusedHandshake.objects.filter(call_connection_id=row.call_connection_id)
    return Loaded(
        call_ids=tuple(ids),
        started_at=min((call.started_at for call in calls), default=None),
        history=history,
        events=_proven(history, rows) if history else None,
        statements=tuple(statements[:MOST_STATEMENTS]),
        refusals=tuple(refusals.order_by("first_at", "id")[:MOST_REFUSALS]),
        sockets=_sockets(ids),
        tracks=_tracks(ids),
        correlation_id=row.correlation_id or next(iter(sorted(correlations)), ""),
        last_received_at=max((one.received_at for one in rows), default=None),
        event_count=events.order_by()[:MAX_EVENTS].count(),
    )


def connection_of(correlation_id: str) -> str:
    """Returns the connection id that a witness names together with the correlation id; the first
    one in order if there are several, "" if there is none.
    """
    found = [
        model.objects.filter(correlation_id=correlation_id)
        .exclude(call_connection_id="")
        .aggregate(first=Min("call_connection_id"))["first"]
        for model in (Call, CallEvent, ExpectedCall)
    ]
    return min((one for one in found if one), default="")


def _calls_of(row: CallCoverage) -> list[Call]:
    """Returns the recordings of the call, in the order of their chain."""
    if row.call_connection_id:
        wanted = Q(call_connection_id=row.call_connection_id)
    elif row.correlation_id:
        wanted = Q(call_connection_id="", correlation_id=row.correlation_id)
    else:
        wanted = Q(id=row.call_id)
    return _calls(wanted)


def _calls(wanted: Q) -> list[Call]:
    found = Call.objects.filter(wanted).order_by("continuation", "started_at", "id")
    return list(found.only("id", "started_at", "correlation_id"))


def _correlations(row: CallCoverage, calls: Iterable[Call]) -> set[str]:
    """Returns the correlation ids of the call: it may change within a connection."""
    found = {row.correlation_id, *(call.correlation_id for call in calls)}
    if row.call_connection_id:
        for model in (CallEvent, ExpectedCall):
            named = model.objects.filter(call_connection_id=row.call_connection_id)
            found |= set(named.order_by().values_list("correlation_id", flat=True).distinct())
    return found - {""}


def _names(row: CallCoverage, correlations: set[str]) -> Q:
    """Returns the condition that a row names the call."""
    wanted = Q(call_connection_id="", correlation_id__in=correlations)
    if row.call_connection_id:
        wanted |= Q(call_connection_id=row.call_connection_id)
    return wanted


def _events_of(row: CallCoverage, correlations: set[str]) -> QuerySet[CallEvent]:
    """Returns the events of the call, in the order of `Meta.ordering`."""
    wanted = _names(row, correlations)
    if row.call_connection_id:
        named = CallEvent.objects.filter(call_connection_id=row.call_connection_id)
        servers = named.exclude(server_call_id="").order_by().values_list("server_call_id")
        # as values, not as a query: only then the database joins indexes
        ids = [one for (one,) in servers.distinct()[:MOST_SERVERS]]
        wanted |= Q(call_connection_id="", server_call_id__in=ids)
    return CallEvent.objects.filter(wanted)


def _event(row: CallEvent) -> Event:
    return Event(row.type, row.occurred_at, row.received_at, row.sequence_number, row.data)


def _proven(history: CallHistory, rows: Sequence[CallEvent]) -> Events | None:
    """Returns the history as a witness; None if it proves no call, such as one that only rang."""
    spans = [
        *history.streaming,
        *history.interruptions,
        *(span for one in history.participants for span in one.present),
    ]
    known = [span.started_at for span in spans] + [span.ended_at for span in spans if span.ended_at]
    known += [at for at in (history.connected_at, history.disconnected_at) if at]
    if not known:
        return None
    last = max(known)
    return Events(
        connected_us=_microseconds(history.connected_at),
        disconnected_us=_microseconds(history.disconnected_at),
        first_us=to_microseconds(min(known)),
        last_us=to_microseconds(last),
        presences=tuple(_presence(one, last) for one in history.participants),
        interruptions=tuple(
            Interruption(*span, one.reason)
            for one in history.interruptions
            for span in _spans([one], last)
        ),
        failure=_failure(rows, history),
        earliest_us=min(
            to_microseconds(one.received_at) - to_microseconds(one.occurred_at) for one in rows
        ),
    )


def _presence(one: acs_events.Presence, last: datetime) -> Presence:
    quiet = _spans((*one.muted, *one.on_hold), last)
    return Presence(one.raw_id, _spans(one.present, last), quiet)


FOREVER_US = 86_400_000_000


def _spans(spans: Sequence[Span], last: datetime) -> tuple[tuple[int, int], ...]:
    """Returns spans in µs. One without an end lasts beyond the end of the call."""
    forever = to_microseconds(last) + FOREVER_US
    ends = [forever if one.ended_at is None else to_microseconds(one.ended_at) for one in spans]
    starts = [to_microseconds(one.started_at) for one in spans]
    return tuple(zip(starts, ends, strict=True))


def _failure(rows: Iterable[CallEvent], history: CallHistory) -> str:
    """Returns why streaming failed last: the code of ACS, or its detail; "" if it did not."""
    failed = [one for one in rows if one.type.lower().endswith(_FAILED.lower())]
    if not failed:
        return ""
    last = max(failed, key=lambda one: (one.occurred_at, one.received_at, one.id))
    result = last.data.get("resultInformation")
    code = result.get("subCode") if isinstance(result, dict) else None
    if isinstance(code, int) and not isinstance(code, bool) and code > 0:
        return str(code)[:16]
    return history.interruptions[-1].reason if history.interruptions else UNSPECIFIED


def _statement(row: ExpectedCall) -> Statement:
    end_us = _microseconds(stated_end(row))
    return Statement(row.source, to_microseconds(row.started_at), end_us, row.participants)


def stated_end(row: ExpectedCall) -> datetime | None:
    """Returns the end of a call by a statement, within its limits: legs of calls with the same id
    may add up to more.
    """
    if row.ended_at is None:
        return None
    latest = min(row.started_at + LONGEST_CALL, max(row.received_at + AHEAD, row.started_at))
    return min(row.ended_at, latest)


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)


def _refusal(row: RefusedHandshake) -> Refusal:
    return Refusal(to_microseconds(row.first_at), to_microseconds(row.last_at), row.reason)


def _sockets(call_ids: Sequence[UUID]) -> tuple[SocketRow, ...]:
    """Returns the media sockets of the recordings, each once."""
    found = (
        Subscription.objects.filter(call__in=call_ids)
        .order_by()
        .values_list("stream_id")
        .annotate(began=Min("connected_at"), ended=Max("disconnected_at"), seen=Max("seen_at"))
        .order_by("began", "stream_id")
    )
    rows = list(found)
    unfinished = _unfinished(call_ids)
    set_aside = _set_aside(row[0] for row in rows)
    return tuple(
        SocketRow(
            started_at,
            None if stream_id in unfinished else ended_at,
            seen_at,
            is_whole=str(stream_id) not in set_aside,
        )
        for stream_id, started_at, ended_at, seen_at in rows
    )


def _unfinished(call_ids: Sequence[UUID]) -> set[UUID]:
    rows = Subscription.objects.filter(call__in=call_ids, disconnected_at=None)
    return set(rows.order_by().values_list("stream_id", flat=True))


def _set_aside(stream_ids: Iterable[UUID]) -> set[str]:
    """Returns the ids of those sockets that have a journal which could not be sealed. Few rows,
    mostly none: no index.
    """
    failed = FailedJournal.objects.annotate(stream=Left("name", UUID_CHARACTERS))
    ids = [str(one) for one in stream_ids]
    return set(failed.filter(stream__in=ids).values_list("stream", flat=True))


def _tracks(call_ids: Sequence[UUID]) -> tuple[Track, ...]:
    """Returns the tracks with audio. A participant has one, over all recordings of the chain."""
    heard = Participant.objects.filter(call__in=call_ids, heard_at__isnull=False)
    gaps: dict[str, list[Gap]] = {}
    entries = LedgerEntry.objects.gaps().filter(call__in=call_ids, ended_at__isnull=False)
    columns = ("participant__raw_id", "started_at", "ended_at", "reason")
    for raw_id, start, end, reason in entries.order_by().values_list(*columns):
        gap = Gap(to_microseconds(start), to_microseconds(end), reason or "not_known")
        gaps.setdefault(raw_id or "", []).append(gap)
    extents: dict[str, list[tuple[int, int]]] = {}
    for raw_id, heard_at, heard_until in heard.values_list("raw_id", "heard_at", "heard_until"):
        if heard_at is None or heard_until is None:
            continue  # announced, and nothing sealed yet
        extent = (to_microseconds(heard_at), to_microseconds(heard_until))
        extents.setdefault(raw_id, []).append(extent)
    return tuple(
        _track(raw_id, sorted(of_calls), sorted(gaps.get(raw_id, ())))
        for raw_id, of_calls in sorted(extents.items())
    )


def _track(raw_id: str, extents: list[tuple[int, int]], gaps: list[Gap]) -> Track:
    """Returns the track of a participant; between two recordings no socket was open."""
    end_us = extents[0][1]
    for start, end in extents[1:]:
        if start > end_us:
            gaps.append(Gap(end_us, start, "not_connected"))
        end_us = max(end_us, end)
    return Track(raw_id, extents[0][0], end_us, tuple(sorted(gaps)))


def _has_neighbours(start: datetime, until: datetime) -> bool:
    """Whether other calls of about this time have witnesses besides our sockets. Indexes:
    event_of_type, expected_newest_first.
    """
    begin, end = start - NEIGHBOURHOOD, until + NEIGHBOURHOOD
    return (
        CallEvent.objects.filter(type__in=PROVING, received_at__range=(begin, end)).exists()
        or ExpectedCall.objects.filter(started_at__range=(begin, end)).exists()
    )
