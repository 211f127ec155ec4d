"""Figures of coverage for metrics: two queries, each from few rows or from an index alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Sum

from calls.models import COUNTED, CallCoverage, MissingTotal
from calls.wording import MISSING_REASONS

PERIOD = timedelta(days=1)


class Figures(NamedTuple):
    """`captured_ratio`: of the calls that started within `PERIOD`, None if none was expected.
    `missing_seconds`: by reason, of all calls ever; it never goes down.
    """

    captured_ratio: float | None
    missing_seconds: dict[str, float]


def figures(now: datetime) -> Figures:
    judged = CallCoverage.objects.filter(
        COUNTED, started_at__gt=now - PERIOD, verdict__in=("complete", "partial", "missing")
    )
    sums = judged.aggregate(
        expected=Sum("expected_seconds", default=0.0), recorded=Sum("recorded_seconds", default=0.0)
    )
    ratio = sums["recorded"] / sums["expected"] if sums["expected"] else None
    totals = dict(MissingTotal.objects.values_list("reason", "seconds"))
    return Figures(ratio, {**dict.fromkeys(MISSING_REASONS, 0.0), **totals})
