"""Names of downloaded files: `call-20261123T093000Z-1a2b3c4d-mix.wav`. They contain ids and never
personal names, because files are passed on. Times are in the zone of the viewer, with its offset:
`call-20261123T183000+0900-…`.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any
from uuid import UUID

from calls.export.plan import Plan
from calls.models import Call, Segment
from calls.times import from_seconds, stamp_text


def call_file_name(plan: Plan, call_id: UUID, values: dict[str, Any], zone: tzinfo = UTC) -> str:
    """Returns the name of a call's audio file, with the start of the axis, and the range in seconds
    if it is not the whole call. `values` are the validated parameters.
    """
    layout = plan.layout.value
    if values.get("participant"):
        layout = f"track-{_short(plan.tracks[0].participant_id)}"
    seconds = ""
    if plan.sample_count != plan.axis.length:
        seconds = f"-{plan.first / plan.sample_rate:.3f}s-{plan.last / plan.sample_rate:.3f}s"
    started_at = stamp_text(from_seconds(plan.axis.zero), zone)
    return f"call-{started_at}-{_short(call_id)}-{layout}{seconds}.{plan.format.name}"


def call_folder_name(call: Call, zone: tzinfo = UTC) -> str:
    """Returns the name of a call's folder in a zip; folders sort by time."""
    return f"{stamp_text(call.started_at, zone)}-{call.pk}"


def segment_file_name(segment: Segment, zone: tzinfo = UTC) -> str:
    """Returns the name of one segment's WAV file."""
    owner = f"{_short(segment.participant.call_id)}-{_short(segment.participant_id)}"
    return f"segment-{stamp_text(segment.started_at, zone)}-{owner}.wav"


def _short(row_id: UUID) -> str:
    return row_id.hex[:8]
