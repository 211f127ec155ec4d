"""Missing time between two sockets of a call whose journals were not sealed in the order in which they were recorded.

In order, a file goes on from the axis that the socket before it has left, and its digest finds the gap. But a process
that takes over what a dead one has left may have sealed the call's next socket by then, and two processes may seal at
the same moment. So when rows are written, under the lock on the call, it is looked at where they touch another socket:

- before the first segment of the file lies audio of a socket that is over (one that is not will look at its own end);
- behind the last segment of a socket that is over lies audio of another.

The ids of gaps are derived, so a gap that somebody has found before is written once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import Cast

from calls import identity
from calls.models import LedgerEntry, Segment, Subscription
from streams import ledger, sealing
from streams.track import TOLERANCE_US, Gap

PLACE = Cast("start_sample", FloatField()) / F("sample_rate")
"""Seconds since the Unix epoch: rates may differ along a track."""


def gaps_beside(
    call_id: UUID, stream_id: UUID, segments: Sequence[sealing.Segment], voices: Collection[str], ending: str | None
) -> Iterator[LedgerEntry]:
    """The gaps around what a file has added, once its segments are rows.

    `ending`: the reason of missing time behind the socket, if it is over; None while another file will follow.
    """
    for raw_id in sorted({segment.raw_id for segment in segments}):
        first = min((one for one in segments if one.raw_id == raw_id), key=lambda one: one.start_sample)
        participant_id = identity.participant_id_of(call_id, raw_id)
        if gap := _gap_before(participant_id, stream_id, first):
            yield ledger.gap_entry(call_id, participant_id, gap)
    for raw_id in sorted(voices) if ending else ():
        participant_id = identity.participant_id_of(call_id, raw_id)
        if gap := _gap_behind(participant_id, stream_id, ending or ""):
            yield ledger.gap_entry(call_id, participant_id, gap)


def gap_between(end_sample: int, rate: int, next_start: int, next_rate: int, reason: str) -> Gap | None:
    """The time between two neighbours of a track, at the rate of the first; None where law 4 calls it no gap."""
    missing = next_start * rate // next_rate - end_sample
    return Gap(end_sample, missing, rate, reason) if missing * 1_000_000 > TOLERANCE_US * rate else None


def _gap_before(participant_id: UUID, stream_id: UUID, first: sealing.Segment) -> Gap | None:
    earlier = _track(participant_id).filter(place__lt=first.start_sample / first.sample_rate)
    before = earlier.select_related("subscription").order_by("-place").first()
    if before is None or before.subscription.stream_id == stream_id:
        return None  # between files of one socket the digest has looked
    if Subscription.objects.filter(stream_id=before.subscription.stream_id, disconnected_at=None).exists():
        return None
    end = before.start_sample + before.sample_count
    return gap_between(end, before.sample_rate, first.start_sample, first.sample_rate, "not_connected")


def _gap_behind(participant_id: UUID, stream_id: UUID, ending: str) -> Gap | None:
    track = _track(participant_id)
    last = track.filter(subscription__stream_id=stream_id).order_by("-place").first()
    if last is None:
        return None
    behind = track.filter(place__gt=last.place).order_by("place").first()
    if behind is None:
        return None
    end = last.start_sample + last.sample_count
    return gap_between(end, last.sample_rate, behind.start_sample, behind.sample_rate, ending)


def _track(participant_id: UUID) -> QuerySet[Any, Any]:
    """Annotates `place`."""
    track: QuerySet[Any, Any] = Segment.objects.filter(participant_id=participant_id).annotate(place=PLACE)
    return track
