"""What the rows know already and sealing must heed: asked for many files at once, each question in
one query.

None of it is believed when rows are written: `rows.write` looks again, under its lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import F, Min, Q

from calls import identity
from calls.models import Participant, Segment, Subscription
from calls.times import EPOCH, from_microseconds
from streams.journal.records import Handshake
from streams.sealing import overlaps
from streams.sealing.digest import SealedSegment as Sealed
from streams.timeline.timeline import Timeline
from streams.timeline.track import Track

HIGHEST_RATE = 96_000
"""Hz, as `protocol.SAMPLE_RATES` accepts: bounds how long a stored segment can be, in samples."""


def sealed_among(files: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of the journal files (stream, sequence) whose segments are rows already: the process
    died before it deleted the file.
    """
    asked = [
        Q(subscription__stream_id=stream_id, journal=sequence) for stream_id, sequence in files
    ]
    if not asked:
        return set()
    found = (
        Segment.objects.filter(reduce(or_, asked))
        .order_by()
        .values_list("subscription__stream_id", "journal")
    )
    return {(str(stream_id), sequence) for stream_id, sequence in found.distinct()}


def duplicates_of(stream_id: str, index: int) -> int:
    """What is counted so far for a subscription that has a row."""
    row: Subscription = Subscription.objects.get(
        id=identity.subscription_row_id(UUID(stream_id), index)
    )
    return row.duplicate


def other_sockets(handshakes: Collection[Handshake]) -> dict[str, datetime]:
    """Of the calls that have a socket beside the one given: when the earliest of those was
    connected, by call id.
    """
    others = Subscription.objects.filter(
        call_id__in={handshake.call_id for handshake in handshakes}
    ).exclude(stream_id__in={handshake.stream_id for handshake in handshakes})
    earliest = others.order_by().values_list("call_id").annotate(earliest=Min("connected_at"))
    return {str(call_id): connected_at for call_id, connected_at in earliest}


def stored_near(
    asked: Iterable[tuple[Handshake, Sequence[Sealed]]],
) -> dict[UUID, list[overlaps.Stored]]:
    """Per participant: what is stored within the reach of the segments of each handshake, in order.

    Audio of the socket itself is among it: it may have been moved behind another's. The reach has
    no end, because what finds its place taken goes behind the whole row of what is stored there,
    however long that is.
    """
    reaches = [_reach(handshake, segments) for handshake, segments in asked if segments]
    if not reaches:
        return {}
    found = Segment.objects.filter(reduce(or_, reaches)).order_by("start_sample")
    stored: dict[UUID, list[overlaps.Stored]] = {}
    for participant_id, start, count, sha256 in found.values_list(
        "participant_id", "start_sample", "sample_count", "sha256"
    ):
        stored.setdefault(participant_id, []).append((start, start + count, sha256))
    return stored


def axes_of(handshakes: Collection[Handshake]) -> list[Timeline]:
    """The axis that each call has in the database before this file; empty when there is nothing.

    It knows where each track ends, so that time without a socket is a gap and nothing is put on top
    of anything. Only closed sockets that opened earlier count: of those that are open at the same
    time `seats` keeps out of the way.
    """
    if not handshakes:
        return []
    heard: dict[str, list[Participant]] = {}
    calls = {handshake.call_id for handshake in handshakes}
    for participant in Participant.objects.filter(call_id__in=calls).exclude(heard_until=None):
        heard.setdefault(str(participant.call_id), []).append(participant)
    return [_axis(handshake, heard.get(handshake.call_id, ())) for handshake in handshakes]


def _reach(handshake: Handshake, segments: Sequence[Sealed]) -> Q:
    call_id = UUID(handshake.call_id)
    longest = round(handshake.segment_seconds * HIGHEST_RATE)
    return Q(
        participant__in={
            identity.participant_id_of(call_id, segment.raw_id) for segment in segments
        },
        start_sample__gt=min(segment.start_sample for segment in segments) - longest,
    )


def _axis(handshake: Handshake, participants: Iterable[Participant]) -> Timeline:
    stream_id = UUID(handshake.stream_id)
    own = Q(subscription__stream_id=stream_id)
    earlier = Q(subscription__connected_at__lt=from_microseconds(handshake.connected_at_us))
    before = (own & Q(journal__lt=handshake.sequence)) | (
        earlier & Q(subscription__disconnected_at__isnull=False) & ~own
    )
    timeline = Timeline()
    for participant in participants:
        of_track = Segment.objects.filter(before, participant=participant).select_related(
            "subscription"
        )
        last = of_track.order_by(
            (F("start_sample") * 1.0 / F("sample_rate")).desc()
        ).first()  # rates may differ
        if last is None:
            continue
        reason = "not_received" if last.subscription.stream_id == stream_id else "not_connected"
        timeline.tracks[participant.raw_id] = Track(
            last.sample_rate, end=last.start_sample + last.sample_count, gap_reason=reason
        )
        until_us = (last.ended_at - EPOCH) // timedelta(microseconds=1)
        timeline.latest_us = max(timeline.latest_us or until_us, until_us)
    return timeline
