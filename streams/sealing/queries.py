"""Queries that sealing needs before it writes, each batched over many files.

Results may be stale: `rows.write` checks again under its lock.
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
from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.placement import Stored
from streams.timeline.timeline import Timeline
from streams.timeline.track import Track

HIGHEST_RATE = 96_000
"""Hz, the highest that a sender's decoder accepts: limits the length of a stored segment, in
samples.
"""


def sealed_among(files: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    """Returns the journal files (stream, sequence) whose segments are rows already: the process
    died before it deleted the file.
    """
    conditions = [
        Q(subscription__stream_id=stream_id, journal=sequence) for stream_id, sequence in files
    ]
    if not conditions:
        return set()
    found = (
        Segment.objects.filter(reduce(or_, conditions))
        .order_by()
        .values_list("subscription__stream_id", "journal")
    )
    return {(str(stream_id), sequence) for stream_id, sequence in found.distinct()}


def duplicates_of(stream_id: str, index: int) -> int:
    """Returns the duplicates counted so far for a subscription that has a row."""
    row: Subscription = Subscription.objects.get(
        id=identity.subscription_row_id(UUID(stream_id), index)
    )
    return row.duplicate


def other_sockets(handshakes: Collection[Handshake]) -> dict[str, datetime]:
    """Returns the connection time of the earliest other socket, by call id; calls without another
    socket are left out.
    """
    others = Subscription.objects.filter(
        call_id__in={handshake.call_id for handshake in handshakes}
    ).exclude(stream_id__in={handshake.stream_id for handshake in handshakes})
    earliest = others.order_by().values_list("call_id").annotate(earliest=Min("connected_at"))
    return {str(call_id): connected_at for call_id, connected_at in earliest}


def stored_near(
    files: Iterable[tuple[Handshake, Sequence[SealedSegment]]],
) -> dict[UUID, list[Stored]]:
    """Returns the stored segments that the segments of each file may overlap, in order, by
    participant.

    They include audio of the socket itself, which may have been moved behind another's. The range
    has no end, because an overlap moves all stored audio that follows without a space, however long
    that is.
    """
    ranges = []
    for handshake, segments in files:
        if segments:
            call_id = UUID(handshake.call_id)
            raw_ids = {segment.raw_id for segment in segments}
            ids = {identity.participant_id_of(call_id, raw_id) for raw_id in raw_ids}
            longest = round(handshake.segment_seconds * HIGHEST_RATE)
            first = min(segment.start_sample for segment in segments)
            ranges.append(Q(participant__in=ids, start_sample__gt=first - longest))
    if not ranges:
        return {}
    found = Segment.objects.filter(reduce(or_, ranges)).order_by("start_sample")
    stored: dict[UUID, list[Stored]] = {}
    columns = ("start_sample", "sample_count", "sample_rate", "sha256", "audio_name")
    for participant_id, segment_id, stream_id, *values in found.values_list(
        "participant_id", "id", "subscription__stream_id", *columns
    ):
        stored.setdefault(participant_id, []).append(Stored(segment_id, str(stream_id), *values))
    return stored


def axes_of(handshakes: Collection[Handshake]) -> list[Timeline]:
    """Returns the axis of each call before this file, as the database has it; empty without audio.

    It contains the end of each track, so that time without a socket is a gap and no audio overlaps.
    Only sockets that were closed before this one opened count: `overlaps` handles those open at the
    same time.
    """
    if not handshakes:
        return []
    heard: dict[str, list[Participant]] = {}
    calls = {handshake.call_id for handshake in handshakes}
    for participant in Participant.objects.filter(call_id__in=calls).exclude(heard_until=None):
        heard.setdefault(str(participant.call_id), []).append(participant)
    return [_axis(handshake, heard.get(handshake.call_id, ())) for handshake in handshakes]


def _axis(handshake: Handshake, participants: Iterable[Participant]) -> Timeline:
    stream_id = UUID(handshake.stream_id)
    own = Q(subscription__stream_id=stream_id)
    connected_at = from_microseconds(handshake.connected_at_us)
    earlier = Q(
        subscription__connected_at__lt=connected_at,
        subscription__disconnected_at__lte=connected_at,
    )
    before = (own & Q(journal__lt=handshake.sequence)) | (earlier & ~own)
    timeline = Timeline()
    for participant in participants:
        track = Segment.objects.filter(before, participant=participant)
        seconds = F("start_sample") * 1.0 / F("sample_rate")  # rates may differ
        last = track.select_related("subscription").order_by(seconds.desc()).first()
        if last is None:
            continue
        reason = "not_received" if last.subscription.stream_id == stream_id else "not_connected"
        timeline.tracks[participant.raw_id] = Track(
            last.sample_rate, end=last.start_sample + last.sample_count, gap_reason=reason
        )
        until_us = (last.ended_at - EPOCH) // timedelta(microseconds=1)
        timeline.latest_us = max(timeline.latest_us or until_us, until_us)
    return timeline
