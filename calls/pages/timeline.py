"""Timeline of a call: its tracks, gaps and events on one axis, as JSON for the call page.

Seconds count from `audio_started_at`, as in REST. Events before the first sample, or of a call
without audio, have negative positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from calls.export.axis import Axis
from calls.export.queries import axis_if_any
from calls.models import Call, LedgerEntry, Participant, Segment
from calls.times import from_seconds
from calls.wording import event_text, gap_text

MAX_MARKS = 2_000
"""More could be neither seen nor drawn. Gaps are not among them: all gaps are drawn."""

JOINT_SECONDS = 0.001
"""Segments of a track that are cut follow each other without a gap: closer ones become one span."""


Cause = Callable[[datetime, datetime | None], str]
"""Returns the cause of a gap by its start and end, as `calls.coverage.causes.cause_of`."""


def timeline_of(call: Any, cause: Cause) -> dict[str, Any]:
    """Returns `call, state, audio_started_at, duration_seconds, tracks, marks` of a call from
    `Call.objects.with_state`. Five queries: extent, participants, segments, gaps, marks.
    """
    axis = axis_if_any(call.pk)
    participants = list(Participant.objects.filter(call=call))
    recorded, gaps = (_recorded(call, axis), _gaps(call, axis, cause)) if axis else ({}, {})
    marks = list(
        LedgerEntry.objects.filter(call=call).exclude(kind=LedgerEntry.Kind.GAP)[: MAX_MARKS + 1]
    )
    zero = from_seconds(axis.zero) if axis else call.started_at
    return {
        "call": str(call.pk),
        "state": call.state,
        "started_at": call.started_at.isoformat(),
        "audio_started_at": zero.isoformat() if axis else None,
        "duration_seconds": round(axis.length / axis.sample_rate, 6) if axis else 0.0,
        "tracks": [
            _track(each, recorded.get(each.pk, []), gaps.get(each.pk, [])) for each in participants
        ],
        "marks": [_mark(entry, zero) for entry in marks[:MAX_MARKS]],
        "has_more_marks": len(marks) > MAX_MARKS,
    }


def merged(spans: Iterable[tuple[float, float]]) -> list[list[float]]:
    """Joins adjacent or overlapping spans, which are given in order of their starts."""
    joined: list[list[float]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < JOINT_SECONDS:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return joined


def seconds_after(zero: datetime, moment: datetime) -> float:
    return round((moment - zero).total_seconds(), 6)


def _recorded(call: Call, axis: Axis) -> dict[UUID, list[tuple[float, float]]]:
    """Returns the span of each segment in seconds, by participant, in order."""
    spans: dict[UUID, list[tuple[float, float]]] = {}
    rows = Segment.objects.filter(participant__call=call).order_by("participant_id", "start_sample")
    for owner, start, count, rate in rows.values_list(
        "participant_id", "start_sample", "sample_count", "sample_rate"
    ).iterator(chunk_size=2000):
        span = axis.seconds(start, rate), axis.seconds(start + count, rate)
        spans.setdefault(owner, []).append(span)
    return spans


def _gaps(call: Call, axis: Axis, cause: Cause) -> dict[UUID | None, list[dict[str, Any]]]:
    """Returns the gaps by participant, in order.

    Positions come from the samples of a gap (`streams.sealing.ledger.gap_entry`).
    """
    gaps: dict[UUID | None, list[dict[str, Any]]] = {}
    for entry in LedgerEntry.objects.filter(call=call, kind=LedgerEntry.Kind.GAP):
        start, count, rate = entry.start_sample, entry.sample_count, entry.sample_rate
        assert start is not None, "a gap has a place"
        assert count, "a gap has a length"
        assert rate, "a gap has a rate"
        gap = {
            "start": round(axis.seconds(start, rate), 6),
            "end": round(axis.seconds(start + count, rate), 6),
            "reason": entry.reason,
            "label": gap_text(entry.reason, cause(entry.started_at, entry.ended_at)),
        }
        gaps.setdefault(entry.participant_id, []).append(gap)
    return gaps


def _track(
    participant: Participant, spans: list[tuple[float, float]], gaps: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "participant": str(participant.pk),
        "label": participant.label,
        "kind": participant.kind,
        "raw_id": participant.raw_id,
        "segments": len(spans),
        "recorded": [[round(start, 6), round(end, 6)] for start, end in merged(sorted(spans))],
        "gaps": gaps,
    }


def _mark(entry: LedgerEntry, zero: datetime) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "at": seconds_after(zero, entry.started_at),
        "end": seconds_after(zero, entry.ended_at) if entry.ended_at else None,
        "participant": str(entry.participant_id) if entry.participant_id else None,
        "label": event_text(entry.kind, entry.reason, entry.detail),
    }
