"""Calls that have no coverage yet: recorded before there was any, or by a process of the version
before. They are added slowly, the newest first, and all calls are read through once a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from calls.coverage.due import CallKey
from calls.models import Call, CallCoverage, JobLease, database_now

JOB = "coverage_older_calls"
CALLS = 500
"""Calls that are read at once."""

EVERY = timedelta(days=1)
SETTLED = timedelta(hours=12)
"""A younger call is marked by the sealer itself when its socket closes."""

OVERLAP = timedelta(days=2)


def add_older_calls() -> int:
    """Adds some calls without coverage to the queue; returns how many."""
    JobLease.objects.bulk_create([JobLease(name=JOB)], ignore_conflicts=True)
    lease = JobLease.objects.get(name=JOB)
    position: dict[str, Any] = lease.position or _pass_from(timezone.now(), until="")
    if position["done"]:
        if timezone.now() < datetime.fromisoformat(position["begun"]) + EVERY:
            return 0
        begun = datetime.fromisoformat(position["begun"])
        position = _pass_from(timezone.now(), until=(begun - SETTLED - OVERLAP).isoformat())
    rows, position = _next(position)
    added = _add(rows)
    JobLease.objects.filter(name=JOB).update(position=position)
    return added


def _pass_from(now: datetime, *, until: str) -> dict[str, Any]:
    """Returns the start of a pass: from the newest call down to the moment `until`."""
    before = (now - SETTLED).isoformat()
    return {"begun": now.isoformat(), "before": before, "id": "", "until": until, "done": False}


def _next(position: dict[str, Any]) -> tuple[list[CallKey], dict[str, Any]]:
    """Returns the next calls of the pass, and the position after them."""
    before, pk = datetime.fromisoformat(str(position["before"])), position["id"]
    older = Q(started_at__lt=before)
    if pk:
        older |= Q(started_at=before, id__lt=pk)
    calls = Call.objects.filter(older)
    if position["until"]:
        calls = calls.filter(started_at__gte=datetime.fromisoformat(str(position["until"])))
    columns = ("call_connection_id", "correlation_id", "started_at", "id")
    rows = [
        CallKey(*values)
        for values in calls.order_by("-started_at", "-id").values_list(*columns)[:CALLS]
    ]
    if len(rows) < CALLS:
        return rows, {**position, "done": True}
    last = rows[-1]
    return rows, {**position, "before": last.at.isoformat(), "id": str(last.call_id)}


def _add(keys: list[CallKey]) -> int:
    """Adds those of the calls that have no coverage."""
    wanted = {key.coverage_id: key for key in keys if key.is_counted}
    known = set(CallCoverage.objects.filter(id__in=wanted).values_list("id", flat=True))
    rows = [
        CallCoverage(
            id=coverage_id,
            call_connection_id=key.call_connection_id,
            correlation_id=key.correlation_id,
            started_at=key.at,
            due_at=database_now(),
            notify=False,
        )
        for coverage_id, key in sorted(wanted.items())
        if coverage_id not in known
    ]
    CallCoverage.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)
