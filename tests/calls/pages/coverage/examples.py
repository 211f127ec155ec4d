"""Coverage of calls, for tests of pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from calls.models import Call, CallCoverage, MissingTime, coverage_id_of
from tests.calls.rows import make_call, make_participant

Missing = tuple[str, float, float]
"""Reason, offset from the start of the call in seconds, length in seconds."""


def make_coverage(
    at: datetime,
    verdict: str = "complete",
    *missing: Missing,
    call: Call | None = None,
    seconds: float = 100.0,
    **values: Any,
) -> CallCoverage:
    """Creates the coverage of a call, with spans of missing time."""
    connection = call.call_connection_id if call else f"connection-{uuid4()}"
    lost = sum(length for _reason, _offset, length in missing)
    row = CallCoverage.objects.create(
        id=coverage_id_of(connection, ""),
        call_connection_id=connection,
        call_id=call.pk if call else None,
        started_at=at,
        ended_at=at + timedelta(seconds=seconds),
        verdict=verdict,
        expected_seconds=seconds,
        recorded_seconds=seconds - lost,
        missing_seconds=lost,
        **values,
    )
    for reason, offset, length in missing:
        start = at + timedelta(seconds=offset)
        MissingTime.objects.create(
            coverage=row,
            reason=reason,
            started_at=start,
            ended_at=start + timedelta(seconds=length),
            seconds=length,
        )
    return row


def make_recorded(
    at: datetime, verdict: str = "complete", *missing: Missing, **values: Any
) -> CallCoverage:
    """Creates a call with a participant who is heard from `at` on, and its coverage."""
    call = make_call(started_at=at)
    seconds = values.get("seconds", 100.0)
    make_participant(call, heard_at=at, heard_until=at + timedelta(seconds=seconds))
    return make_coverage(at, verdict, *missing, call=call, **values)
