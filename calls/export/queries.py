"""Queries of an export: rows -> recordings and axes. One query reads all segments, so that the
tracks are consistent with each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F, Max, Min

from calls.audio import waveform
from calls.audio.waveform import Cells
from calls.export.axis import Axis, SegmentRef
from calls.export.errors import NoAudio
from calls.export.plan import Recording
from calls.models import Call, Participant, Segment

_COLUMNS = ("id", "start_sample", "sample_count", "sample_rate", "audio_name", "sha256")


def recording_of(call: Call) -> Recording:
    """Returns everything of `call` that is sealed now."""
    rows = (
        Segment.objects.filter(participant__call=call)
        .order_by()
        .values_list("participant_id", *_COLUMNS)
    )
    segments: dict[UUID, list[SegmentRef]] = {}
    for participant_id, *columns in rows.iterator(chunk_size=2000):
        segments.setdefault(participant_id, []).append(SegmentRef(*columns))
    # After the segments: a participant's row is written before the first segment of the track.
    participants = Participant.objects.filter(call=call).values_list("pk", flat=True)
    return Recording(call.pk, {pk: segments.get(pk, []) for pk in participants})


def recording_of_segment(segment: Segment) -> Recording:
    """Returns one segment as a recording of its own: its axis starts at its first sample."""
    ref = SegmentRef(*(getattr(segment, column) for column in _COLUMNS))
    return Recording(segment.participant.call_id, {segment.participant_id: [ref]})


def axis_of(call_id: UUID) -> Axis:
    """Returns the axis of the call's sealed audio, at its highest rate. Raises `NoAudio`."""
    segments = Segment.objects.filter(participant__call=call_id).order_by().values("sample_rate")
    rows = segments.annotate(
        first=Min("start_sample"), last=Max(F("start_sample") + F("sample_count"))
    )
    extents = {row["sample_rate"]: (row["first"], row["last"]) for row in rows}
    if not extents:
        raise NoAudio
    return Axis.from_extents(extents)


def axis_if_any(call_id: UUID) -> Axis | None:
    """Returns the axis of the call, or None if nothing is sealed."""
    try:
        return axis_of(call_id)
    except NoAudio:
        return None


def stored_cells(participant_ids: Iterable[UUID]) -> dict[UUID, Cells]:
    """Returns the stored waveforms of these tracks, by segment. Segments sealed before waveforms
    were stored are missing from the result.
    """
    rows = Segment.objects.filter(
        participant__in=list(participant_ids), peaks__isnull=False
    ).order_by()
    columns = rows.values_list("id", "peaks", "sample_count", "sample_rate")
    loaded = (
        (segment_id, waveform.load(bytes(content or b""), sample_count=count, sample_rate=rate))
        for segment_id, content, count, rate in columns.iterator(chunk_size=2000)
    )
    return {segment_id: cells for segment_id, cells in loaded if cells is not None}
