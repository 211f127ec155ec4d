"""Rows -> what an export plans with. One query for the segments, so that all tracks are of one
moment.
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
    """What is sealed of `call` now."""
    rows = (
        Segment.objects.filter(participant__call=call)
        .order_by()
        .values_list("participant_id", *_COLUMNS)
    )
    heard: dict[UUID, list[SegmentRef]] = {}
    for participant_id, *columns in rows.iterator(chunk_size=2000):
        heard.setdefault(participant_id, []).append(SegmentRef(*columns))
    # After the segments: a participant row is there before the first segment of the track.
    participants = Participant.objects.filter(call=call).values_list("pk", flat=True)
    return Recording(
        call.pk, {participant_id: heard.get(participant_id, []) for participant_id in participants}
    )


def axis_of(call_id: UUID) -> Axis:
    """The axis of what is sealed of a call now, at its highest rate. Raises `NoAudio`."""
    segments = Segment.objects.filter(participant__call=call_id).order_by().values("sample_rate")
    rows = segments.annotate(
        first=Min("start_sample"), last=Max(F("start_sample") + F("sample_count"))
    )
    extents = {row["sample_rate"]: (row["first"], row["last"]) for row in rows}
    if not extents:
        raise NoAudio
    return Axis.over(extents)


def axis_if_any(call_id: UUID) -> Axis | None:
    """The same; None where nothing is sealed."""
    try:
        return axis_of(call_id)
    except NoAudio:
        return None


def stored_cells(participant_ids: Iterable[UUID]) -> dict[UUID, Cells]:
    """The waveforms in the rows of these tracks' segments, by segment; segments sealed before there
    were any lack.
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


def recording_of_segment(segment: Segment) -> Recording:
    """One segment as a recording of its own: its axis starts at its first sample."""
    stretch = SegmentRef(*(getattr(segment, column) for column in _COLUMNS))
    return Recording(segment.participant.call_id, {segment.participant_id: [stretch]})
