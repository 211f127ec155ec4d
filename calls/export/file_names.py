"""Names of downloaded files: `call-20261123T093000Z-1a2b3c4d-mix.wav`. They contain ids and never
personal names, because files are passed on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from calls.export.plan import Plan
from calls.models import Call, Segment
from calls.times import from_seconds


def call_file_name(plan: Plan, call_id: UUID, values: dict[str, Any]) -> str:
    """Returns the name of a call's audio file, with the start of the axis, and the range in seconds
    if it is not the whole call. `values` are the validated parameters.
    """
    layout = plan.layout.value
    if values.get("participant"):
        layout = f"track-{_short(plan.tracks[0].participant_id)}"
    seconds = ""
    if plan.sample_count != plan.axis.length:
        seconds = f"-{plan.first / plan.sample_rate:.3f}s-{plan.last / plan.sample_rate:.3f}s"
    started_at = _stamp(from_seconds(plan.axis.zero))
    return f"call-{started_at}-{_short(call_id)}-{layout}{seconds}.{plan.format.name}"


def call_folder_name(call: Call) -> str:
    """Returns the name of a call's folder in a zip; folders sort by time."""
    return f"{_stamp(call.started_at)}-{call.pk}"


def segment_file_name(segment: Segment) -> str:
    """Returns the name of one segment's WAV file."""
    owner = f"{_short(segment.participant.call_id)}-{_short(segment.participant_id)}"
    return f"segment-{_stamp(segment.started_at)}-{owner}.wav"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _short(row_id: UUID) -> str:
    return row_id.hex[:8]
