"""Reads the leaves of a call from its rows. No audio is read: rows have the hash of the PCM, and
every export compares the stored audio with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Max, Min

from calls.evidence.leaves import CallLeaves, GapLeaf, SegmentLeaf, TrackLeaves
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from calls.times import to_microseconds

DECLARED = ("gap", "pause")
"""Kinds of events that declare time without audio."""


def leaves_of(call: Call) -> CallLeaves:
    """Returns the leaves of everything that is sealed now. Call it in a transaction that has
    locked the call, so that no sealer adds rows meanwhile.
    """
    sockets = Subscription.objects.filter(call=call)
    rows = list(sockets.order_by().values_list("stream_id", "disconnected_at"))
    open_sockets = {stream for stream, ended_at in rows if ended_at is None}
    times = sockets.aggregate(start=Min("connected_at"), end=Max("disconnected_at"))
    segments, gaps = _segments(call.pk), _gaps(call.pk)
    return CallLeaves(
        call=str(call.pk),
        call_connection_id=call.call_connection_id,
        correlation_id=call.correlation_id,
        started_us=to_microseconds(times["start"] or call.started_at),
        ended_us=_microseconds(times["end"]),
        sockets=len({stream for stream, _ended_at in rows}),
        open_sockets=len(open_sockets),
        tracks=[
            TrackLeaves(str(pk), raw_id, segments.get(pk, []), gaps.get(pk, []))
            for pk, raw_id in Participant.objects.filter(call=call).values_list("pk", "raw_id")
        ],
        gaps=gaps.get(None, []),
    )


def _segments(call_id: UUID) -> dict[UUID, list[SegmentLeaf]]:
    rows = Segment.objects.filter(participant__call=call_id).order_by()
    columns = ("participant_id", "start_sample", "sample_count", "sample_rate", "sha256")
    found: dict[UUID, list[SegmentLeaf]] = {}
    for participant_id, *values in rows.values_list(*columns).iterator(chunk_size=2000):
        found.setdefault(participant_id, []).append(SegmentLeaf(*values))
    return found


def _gaps(call_id: UUID) -> dict[UUID | None, list[GapLeaf]]:
    """Returns gaps and pauses by participant; those of the whole call under None."""
    rows = LedgerEntry.objects.filter(call=call_id, kind__in=DECLARED).order_by()
    columns = (
        *("participant_id", "kind", "reason", "started_at", "ended_at"),
        *("start_sample", "sample_count", "sample_rate"),
    )
    found: dict[UUID | None, list[GapLeaf]] = {}
    entries: Iterable[tuple[UUID | None, str, str, datetime, datetime | None, int, int, int]]
    entries = rows.values_list(*columns).iterator(chunk_size=2000)
    for participant_id, kind, reason, started_at, ended_at, *place in entries:
        start_us, end_us = to_microseconds(started_at), _microseconds(ended_at)
        gap = GapLeaf(kind, reason, start_us, end_us, *place)
        found.setdefault(participant_id, []).append(gap)
    return found


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
