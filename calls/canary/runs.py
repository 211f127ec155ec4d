"""The rows of canary runs. A run is written before its call is placed."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from django.utils import timezone

from calls.canary import status
from calls.identity import CANARY_PREFIX
from calls.models import CanaryRun


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run. `reason`: a key of `calls.wording.CANARY_FAILURES`, "" if it passed."""

    reason: str
    detail: str = ""
    sample_count: int = 0
    difference_samples: int | None = None
    delay_seconds: float | None = None


def begin(every_seconds: float | None) -> CanaryRun:
    """Writes the row of a run that begins. Raises `django.db.Error`."""
    run_id = uuid4()
    return CanaryRun.objects.create(
        id=run_id,
        call_connection_id=f"{CANARY_PREFIX}{run_id}",
        started_at=timezone.now(),
        every_seconds=every_seconds,
    )


def finish(run: CanaryRun, result: Result) -> None:
    """Writes the result of a run, and raises or clears the alarm. Raises `django.db.Error`."""
    failed = bool(result.reason)
    CanaryRun.objects.filter(pk=run.pk).update(
        finished_at=timezone.now(),
        outcome=CanaryRun.Outcome.FAILED if failed else CanaryRun.Outcome.PASSED,
        reason=result.reason,
        detail=result.detail[:200],
        sample_count=result.sample_count,
        difference_samples=result.difference_samples,
        delay_seconds=result.delay_seconds,
    )
    status.report_alarm(timezone.now())


def expect_no_more() -> None:
    """Clears the alarm of canary calls that are placed no more, until the next run."""
    CanaryRun.objects.exclude(every_seconds=None).update(every_seconds=None)
    status.report_alarm(timezone.now())
