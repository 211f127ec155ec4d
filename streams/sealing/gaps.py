"""Missing time of tracks that several sockets of a call have to do with.

Sealed in order, a file goes on from the axis that the socket before it has left, and its digest
finds the gaps. But a process that takes over what a dead one has left may have sealed the call's
later sockets by then, and several processes may seal at the same moment. So a gap that was true
when it was found may be filled later, in part or as a whole, and what a digest takes for missing
may have been recorded by another socket.

Therefore, when rows of a call with several sockets are written, its gaps are derived anew from the
segments that are stored by then, under the lock on the call: between the neighbours of what the
file has added, behind a socket that is over, and wherever the digest has found something missing.
What no segment covers is a gap; entries that say otherwise are deleted. Whatever the order in which
sockets are sealed, in the end the gaps are the same.

Why time is missing is known best to the socket that lies before it. Behind one that is open it is
too early to say, unless somebody has found a gap there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import Cast, Coalesce
from msgspec import structs

from calls import identity
from calls.models import LedgerEntry, Segment, Subscription
from calls.times import from_sample
from streams.sealing import digest as sealing
from streams.sealing import ledger
from streams.sealing.digest import Digest
from streams.timeline.track import TOLERANCE_US, Gap

PLACE = Cast("start_sample", FloatField()) / F("sample_rate")
"""Seconds since the Unix epoch: rates may differ along a track."""


class Neighbour(NamedTuple):
    """A segment as it lies in its track."""

    start_sample: int
    sample_count: int
    sample_rate: int
    stream_id: UUID
    place: float

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.sample_count


@dataclass(frozen=True, slots=True)
class TrackChange:
    """What one file says of a track. `ending`: why time is missing behind its socket, once that is
    over.
    """

    stream_id: UUID
    found: Sequence[Gap]
    ending: str | None

    def reason(
        self, missing: Gap, before: Neighbour, later: Sequence[Neighbour], known: Iterable[Gap]
    ) -> str | None:
        """Why the time between a neighbour and the later ones is missing; None where it is too
        early to say.
        """
        told: str | None = next((gap.reason for gap in known if overlap(gap, missing)), None)
        seen: str | None = next((gap.reason for gap in self.found if overlap(gap, missing)), None)
        if before.stream_id == self.stream_id:
            if any(one.stream_id == self.stream_id for one in later):
                return seen or told or "not_received"
            return self.ending or seen or told
        found = told or seen
        return (
            found if found not in {None, "not_connected"} else _ending_of(before.stream_id) or found
        )


def reconciled_gaps(
    digest: Digest, segments: Sequence[sealing.SealedSegment], voices: Collection[str]
) -> Iterator[LedgerEntry]:
    """The gaps around what a file has added, once its `segments` are rows; entries that these
    contradict are deleted.

    `voices`: all of its socket, because a socket that is over may be followed by others in every
    track.
    """
    call_id, stream_id = UUID(digest.handshake.call_id), UUID(digest.handshake.stream_id)
    added = [
        *segments,
        *digest.segments,
    ]  # one may have been moved; or be a row already, and not be added again
    raw_ids = {segment.raw_id for segment in added} | {raw_id for raw_id, _ in digest.gaps}
    for raw_id in sorted(raw_ids | set(voices if digest.ending else ())):
        participant_id = identity.participant_id_of(call_id, raw_id)
        found = [gap for of, gap in digest.gaps if of == raw_id]
        last = _last_place(participant_id, stream_id) if digest.ending else None
        places = [
            segment.start_sample / segment.sample_rate
            for segment in added
            if segment.raw_id == raw_id
        ]
        places += [gap.start_sample / gap.sample_rate for gap in found]
        places += [(gap.start_sample + gap.sample_count) / gap.sample_rate for gap in found]
        places += [] if last is None else [last]
        if places:
            neighbours = _neighbours(participant_id, min(places), max(places))
            for gap in _reconciled(
                participant_id, neighbours, TrackChange(stream_id, found, digest.ending)
            ):
                yield ledger.gap_entry(call_id, participant_id, gap)


def gap_between(
    end_sample: int, rate: int, next_start: int, next_rate: int, reason: str
) -> Gap | None:
    """The time between two neighbours of a track, at the rate of the first; None where law 4 calls
    it no gap.
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


def _reconciled(
    participant_id: UUID, neighbours: Sequence[Neighbour], look: TrackChange
) -> list[Gap]:
    """The gaps between the neighbours that have no entry yet; entries that are none of the gaps are
    deleted.
    """
    if len(neighbours) < 2:
        return []
    known = _known(participant_id, neighbours[0], neighbours[-1])
    gaps = []
    for number, (before, behind) in enumerate(pairwise(neighbours), 1):
        missing = gap_between(
            before.end_sample, before.sample_rate, behind.start_sample, behind.sample_rate, ""
        )
        if missing and (
            reason := look.reason(missing, before, neighbours[number:], known.values())
        ):
            gaps.append(structs.replace(missing, reason=reason))
    if wrong := [entry_id for entry_id, gap in known.items() if gap not in gaps]:
        LedgerEntry.objects.filter(id__in=wrong).delete()
    return [gap for gap in gaps if gap not in known.values()]


def _known(participant_id: UUID, first: Neighbour, last: Neighbour) -> dict[UUID, Gap]:
    """The track's entries between the two."""
    entries = LedgerEntry.objects.filter(
        participant=participant_id,
        kind=LedgerEntry.Kind.GAP,
        started_at__lt=from_sample(last.start_sample, last.sample_rate),
        ended_at__gt=from_sample(first.end_sample, first.sample_rate),
    )
    columns = ("start_sample", "sample_count", "sample_rate", "reason")
    return {
        entry.pk: Gap(*(getattr(entry, name) for name in columns))
        for entry in entries.order_by().only(*columns)
    }


def _neighbours(participant_id: UUID, first: float, last: float) -> list[Neighbour]:
    """The segments from the one before the place `first` to the one behind the place `last`."""
    track = _track(participant_id)
    before = track.filter(place__lt=first).order_by("-place").values("place")[:1]
    behind = track.filter(place__gt=last).order_by("place").values("place")[:1]
    within = track.filter(
        place__gte=Coalesce(before, first), place__lte=Coalesce(behind, last)
    ).order_by("place")
    columns = ("start_sample", "sample_count", "sample_rate", "subscription__stream_id", "place")
    return [Neighbour(*values) for values in within.values_list(*columns)]


def _last_place(participant_id: UUID, stream_id: UUID) -> float | None:
    own = _track(participant_id).filter(subscription__stream_id=stream_id).order_by("-place")
    place: float | None = own.values_list("place", flat=True).first()
    return place


def _ending_of(stream_id: UUID) -> str | None:
    """Why audio may be missing behind another socket; None while it is open: it will look at its
    own end.
    """
    ends = (
        Subscription.objects.filter(stream_id=stream_id)
        .order_by()
        .values_list("disconnected_at", "close_code")
    )
    if any(disconnected_at is None for disconnected_at, _ in ends):
        return None
    return "recorder_stopped" if all(code is None for _, code in ends) else "not_connected"


def _track(participant_id: UUID) -> QuerySet[Any, Any]:
    """Annotates `place`."""
    track: QuerySet[Any, Any] = Segment.objects.filter(participant_id=participant_id).annotate(
        place=PLACE
    )
    return track
