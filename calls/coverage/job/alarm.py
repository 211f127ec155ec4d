"""The alarm that calls were not recorded, as the job of coverage reports it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, Min

from calls.models import COUNTED, CallCoverage, RaisedAlarm
from calls.notifications import alarms

ORIGIN = "coverage"
NAME = "calls_missing"
ACTIVE = timedelta(hours=1)
"""How long the alarm stays active after the last such verdict."""

RECENT = timedelta(days=1)
"""Older calls that turn out to be missing, by an import say, raise no alarm."""


def report(now: datetime) -> None:
    """Raises the alarm while the verdict `missing` was reached about a call within the last hour,
    and clears it.
    """
    missing = CallCoverage.objects.filter(
        COUNTED,
        verdict="missing",
        started_at__gt=now - RECENT,
        judged_at__gt=now - ACTIVE,
        notify=True,
    )
    found = missing.aggregate(count=Count("*"), first=Min("judged_at"))
    if not found["count"]:
        alarms.report(ORIGIN, [])
        return
    active = RaisedAlarm.objects.filter(origin=ORIGIN, name=NAME, cleared_at=None)
    # The same alarm goes on while further calls are missing.
    since = active.values_list("raised_at", flat=True).first() or found["first"]
    detail = {"calls": found["count"]}
    alarms.report(ORIGIN, [alarms.ActiveAlarm(NAME, None, None, since, detail)])
