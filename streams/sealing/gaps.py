"""Recomputes the gaps of calls that had more than one socket.

Sealed in order, a file continues the axis that the socket before it has left, and its digest finds
the gaps. But a process that takes over the folder of a dead one may have sealed later sockets of
the call by then, and several processes may seal at the same moment. So a gap that was true when it
was found may be filled later, in part or as a whole, and time that a digest considers missing may
have been recorded by another socket.

Therefore, when rows of a call with several sockets are written, its gaps are derived again from the
segments stored by then, under the lock on the call: between the neighbours of the segments that the
file has added or moved, after a socket that is over, and wherever the digest has found something
missing. Time without a segment is a gap; entries that contradict this are deleted. In the end the
gaps are the same in any order of sealing.

The reason of a gap between two sockets comes from the times in which the sockets of the call were
open. After an open socket no gap is derived yet, unless a digest has found one there. When a socket
is over, the gaps after the sockets that ended since it was opened are derived again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, FloatField, Q, QuerySet
from django.db.models.functions import Cast, Coalesce
from msgspec import convert, structs

from calls import identity
from calls.models import LedgerEntry, Segment, Subscription
from calls.times import from_sample, to_microseconds
from streams.sealing import ledger
from streams.sealing.digest import Digest, SealedSegment
from streams.sealing.overlaps.open_time import (
    OPEN,
    OpenTime,
    ended_after_start,
    reason_between,
)
from streams.sealing.overlaps.placement import Move
from streams.timeline.losses import Loss, explain
from streams.timeline.socket_clock import SocketClock
from streams.timeline.track import TOLERANCE_US, Gap

PLACE = Cast("start_sample", FloatField()) / F("sample_rate")
"""Seconds since the Unix epoch: rates may differ along a track."""

NEXT = timedelta(milliseconds=1)
"""A gap begins or ends at a segment that is no further from it: rates may differ."""


class Neighbour(NamedTuple):
    """A segment and its place in its track."""

    start_sample: int
    sample_count: int
    sample_rate: int
    stream_id: UUID
    place: float

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.sample_count


class SocketRow(NamedTuple):
    """A row of a socket; it has several if it had several AudioMetadata."""

    connected_at: datetime
    disconnected_at: datetime | None
    close_code: int | None
    position: int | None
    clock: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TrackChange:
    """The gaps that one file `found` in a track, what its socket could not write of it, and the
    sockets of the call by stream id. `is_ending`: its socket is over.
    """

    stream_id: UUID
    found: Sequence[Gap]
    losses: Sequence[Loss]
    is_ending: bool
    sockets: Mapping[UUID, OpenTime]

    def reason(
        self, missing: Gap, before: Neighbour, later: Sequence[Neighbour], known: Iterable[Gap]
    ) -> str | None:
        """Returns why the time between a neighbour and the later ones is missing; None while it is
        too early to decide.
        """
        gaps = [gap for gap in (*self.found, *known) if overlap(gap, missing)]
        unwritten = [gap for gap in gaps if gap.reason == "not_written"]
        # The audio around a loss may be in later files of the socket.
        is_decided = self.is_ending or later[0].stream_id == self.stream_id
        if is_decided and explain(self.losses, missing):
            return "not_written"
        if structs.replace(missing, reason="not_written") in unwritten:
            return "not_written"
        # Of a gap that was longer, it is not known in which part the disk failed.
        otherwise = "not_written" if unwritten else "not_received"
        socket, after = self.sockets[before.stream_id], self.sockets[later[0].stream_id]
        # One wrong timestamp is enough for audio of a socket to lie after its end.
        is_comparable = socket.end_us != OPEN and not after.has_another_clock(socket)
        if socket == after or (
            not is_comparable and any(one.stream_id == before.stream_id for one in later)
        ):
            return otherwise
        if socket.end_us == OPEN:  # sealing the last file of that socket will decide
            return "not_written" if unwritten else next((gap.reason for gap in gaps), None)
        reason = reason_between(socket, after, self.sockets.values())
        return otherwise if reason == "not_received" else reason


def reconciled_gaps(
    digest: Digest,
    placed: Sequence[SealedSegment | Move],
    voices: Collection[str],
) -> Iterator[LedgerEntry]:
    """Yields new entries for the gaps around everything that a file has `placed`, once that is
    rows: its segments, and the stored ones that they have moved or cut. Deletes the entries that
    these contradict.

    `voices`: all of its socket, because a socket that is over may be followed by others in every
    track.
    """
    call_id, stream_id = UUID(digest.handshake.call_id), UUID(digest.handshake.stream_id)
    # A segment may have been moved; or it is a row already, and not added again.
    added: list[SealedSegment | Move] = [*placed, *digest.segments]
    sockets = _open_times(call_id)
    ended = ended_after_start(sockets[stream_id], sockets.values()) if digest.ending else []
    raw_ids = {segment.raw_id for segment in added} | {raw_id for raw_id, _ in digest.gaps}
    raw_ids |= {*voices, *_voices_of(ended)} if digest.ending else set()
    for raw_id in sorted(raw_ids):
        participant_id = identity.participant_id_of(call_id, raw_id)
        found = [gap for of, gap in digest.gaps if of == raw_id]
        losses = [loss for loss in digest.losses if loss.raw_id == raw_id]
        change = TrackChange(stream_id, found, losses, digest.ending is not None, sockets)
        track = _Track(participant_id)
        places = track.places(change, [one for one in added if one.raw_id == raw_id])
        for gap in _new_gaps(participant_id, track, [places, *track.ends(ended)], change):
            yield ledger.gap_entry(call_id, participant_id, gap)


def delete_beside(participant_id: UUID, vacated: Move) -> None:
    """Deletes the gaps that end and begin at a segment, which is there no longer."""
    start, end = (
        from_sample(at, vacated.sample_rate) for at in (vacated.start_sample, vacated.end_sample)
    )
    ends = Q(ended_at__range=(start - NEXT, start + NEXT))
    begins = Q(started_at__range=(end - NEXT, end + NEXT))
    entries = LedgerEntry.objects.filter(participant=participant_id, kind=LedgerEntry.Kind.GAP)
    entries.filter(ends | begins).delete()


def gap_between(
    end_sample: int, rate: int, next_start: int, next_rate: int, reason: str
) -> Gap | None:
    """Returns the time between two neighbours of a track, at the rate of the first; None if law 4
    does not make it a gap.
    """
    missing = next_start * rate // next_rate - end_sample
    return (
        Gap(end_sample, missing, rate, reason)
        if missing * 1_000_000 > TOLERANCE_US * rate
        else None
    )


def overlap(one: Gap, other: Gap) -> bool:
    """Whether they have time in common; rates may differ."""
    one_end, other_end = (
        one.start_sample + one.sample_count,
        other.start_sample + other.sample_count,
    )
    return (
        one.start_sample * other.sample_rate < other_end * one.sample_rate
        and other.start_sample * one.sample_rate < one_end * other.sample_rate
    )


def _open_times(call_id: UUID) -> dict[UUID, OpenTime]:
    """Returns when each socket of the call was open."""
    rows: dict[UUID, list[SocketRow]] = {}
    found = Subscription.objects.filter(call_id=call_id).order_by()
    for stream_id, *values in found.values_list("stream_id", *SocketRow._fields):
        rows.setdefault(stream_id, []).append(SocketRow(*values))
    return {stream_id: _open_time(stream_id, of_socket) for stream_id, of_socket in rows.items()}


def _open_time(stream_id: UUID, rows: Sequence[SocketRow]) -> OpenTime:
    """Returns when a socket was open, from the rows of its subscriptions."""
    starts_us = [to_microseconds(row.connected_at) for row in rows]
    ends_us = [
        OPEN if (end := row.disconnected_at) is None else to_microseconds(end) for row in rows
    ]
    died = all(row.close_code is None for row in rows)
    clocks = [convert(row.clock, SocketClock) for row in rows if row.clock]
    clock = max(clocks, key=lambda one: one.arrived_us, default=SocketClock())
    position, heard_us = rows[0].position, clock.arrived_us
    return OpenTime(stream_id, min(starts_us), max(ends_us), died, position, clock, heard_us)


def _voices_of(stream_ids: Collection[UUID]) -> set[str]:
    """Returns the raw ids of the tracks with audio of these sockets."""
    if not stream_ids:
        return set()
    found = Segment.objects.filter(subscription__stream_id__in=stream_ids).order_by()
    return set(found.values_list("participant__raw_id", flat=True).distinct())


class _Track:
    """The segments of one participant."""

    def __init__(self, participant_id: UUID) -> None:
        self._segments: QuerySet[Any, Any] = Segment.objects.filter(
            participant_id=participant_id
        ).annotate(place=PLACE)

    def places(self, change: TrackChange, segments: Iterable[SealedSegment | Move]) -> list[float]:
        """Returns the places that the file concerns: its segments, both ends of the gaps it found,
        and its socket's last segment once that is over.
        """
        places = [segment.start_sample / segment.sample_rate for segment in segments]
        places += [gap.start_sample / gap.sample_rate for gap in change.found]
        places += [(gap.start_sample + gap.sample_count) / gap.sample_rate for gap in change.found]
        if change.is_ending:
            places += self._end(change.stream_id)
        return places

    def ends(self, stream_ids: Iterable[UUID]) -> list[list[float]]:
        """Returns the place of the last segment of each socket, or nothing."""
        return [self._end(stream_id) for stream_id in stream_ids]

    def neighbours(self, places: Collection[float]) -> list[Neighbour]:
        """Returns the segments between the first and the last of the places, and one on each
        side.
        """
        if not places:
            return []
        first, last = min(places), max(places)
        before = self._segments.filter(place__lt=first).order_by("-place").values("place")[:1]
        after = self._segments.filter(place__gt=last).order_by("place").values("place")[:1]
        within = self._segments.filter(
            place__gte=Coalesce(before, first), place__lte=Coalesce(after, last)
        ).order_by("place")
        columns = (
            "start_sample",
            "sample_count",
            "sample_rate",
            "subscription__stream_id",
            "place",
        )
        return [Neighbour(*values) for values in within.values_list(*columns)]

    def _end(self, stream_id: UUID) -> list[float]:
        own = self._segments.filter(subscription__stream_id=stream_id)
        return list(own.order_by("-place").values_list("place", flat=True)[:1])


def _new_gaps(
    participant_id: UUID, track: _Track, parts: Iterable[Collection[float]], change: TrackChange
) -> list[Gap]:
    """Returns the gaps around all places in the parts of a track that have no entry yet."""
    gaps: list[Gap] = []
    for places in parts:
        found = _reconciled(participant_id, track.neighbours(places), change)
        gaps += [gap for gap in found if gap not in gaps]
    return gaps


def _reconciled(
    participant_id: UUID, neighbours: Sequence[Neighbour], change: TrackChange
) -> list[Gap]:
    """Returns the gaps between the neighbours that have no entry yet; deletes entries of other
    gaps.
    """
    if len(neighbours) < 2:
        return []
    first, last = neighbours[0], neighbours[-1]
    entries = LedgerEntry.objects.filter(
        participant=participant_id,
        kind=LedgerEntry.Kind.GAP,
        started_at__lt=from_sample(last.start_sample, last.sample_rate),
        ended_at__gt=from_sample(first.end_sample, first.sample_rate),
    ).order_by()
    columns = ("start_sample", "sample_count", "sample_rate", "reason")
    known = {entry_id: Gap(*values) for entry_id, *values in entries.values_list("id", *columns)}
    gaps = []
    for number, (before, after) in enumerate(pairwise(neighbours), 1):
        missing = gap_between(
            before.end_sample, before.sample_rate, after.start_sample, after.sample_rate, ""
        )
        if missing and (
            reason := change.reason(missing, before, neighbours[number:], known.values())
        ):
            gaps.append(structs.replace(missing, reason=reason))
    if wrong := [entry_id for entry_id, gap in known.items() if gap not in gaps]:
        LedgerEntry.objects.filter(id__in=wrong).delete()
    return [gap for gap in gaps if gap not in known.values()]
