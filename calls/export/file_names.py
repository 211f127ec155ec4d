"""File names that say call and layout: `call-20261123T093000Z-1a2b3c4d-mix.wav`. Ids only: names
travel.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from calls.export.plan import Plan
from calls.models import Call, Segment
from calls.times import from_seconds


def of_call(plan: Plan, call_id: UUID, values: dict[str, Any]) -> str:
    """Begins with the moment of the call's zero; a part says from which second to which."""
    began = from_seconds(plan.axis.zero)
    what = (
        f"track-{_short(plan.tracks[0].participant_id)}"
        if values.get("participant")
        else plan.layout.value
    )
    part = ""
    if plan.sample_count != plan.axis.length:
        part = f"-{plan.first / plan.sample_rate:.3f}s-{plan.last / plan.sample_rate:.3f}s"
    return f"call-{_stamp(began)}-{_short(call_id)}-{what}{part}.{plan.format.name}"


def of_folder(call: Call) -> str:
    """Of a call among others: sorted by name they stand in the order of time."""
    return f"{_stamp(call.started_at)}-{call.pk}"


def of_segment(segment: Segment) -> str:
    owner = f"{_short(segment.participant.call_id)}-{_short(segment.participant_id)}"
    return f"segment-{_stamp(segment.started_at)}-{owner}.wav"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _short(row_id: UUID) -> str:
    return row_id.hex[:8]
