"""Periodic jobs of canary calls: the alarm if they stay away, and the deletion of old ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event

from django.utils import timezone

from calls.canary import status
from calls.models import Call, CanaryRun, database_now
from calls.storage import deletion
from calls.storage.holds import Held

KEPT_FOR = timedelta(days=1)
"""Calls and their audio."""

RUNS_KEPT_FOR = timedelta(days=30)
"""Rows of runs, whose calls are deleted."""

MAX_AT_ONCE = 100


def report_alarm(_stopping: Event) -> None:
    """Raises the alarm also when the process that places the calls has died."""
    status.report_alarm(timezone.now())


def delete_old(stopping: Event) -> None:
    """Deletes the calls of old runs, and later the runs; some at a time."""
    now = timezone.now()
    old = CanaryRun.objects.with_calls().filter(started_at__lt=now - KEPT_FOR)
    for run in old.order_by("started_at")[:MAX_AT_ONCE]:
        if stopping.is_set():
            return
        _delete_calls_of(run, now)
    CanaryRun.objects.filter(started_at__lt=now - RUNS_KEPT_FOR).exclude(deleted_at=None).delete()


def _delete_calls_of(run: CanaryRun, now: datetime) -> None:
    calls = Call.objects.filter(call_connection_id=run.call_connection_id)
    for call_id in calls.order_by().values_list("pk", flat=True):
        try:
            deletion.delete_call(call_id, database_now())
        except (deletion.StillLive, Held):  # its socket is not ended, or a hold: the next run
            return
    CanaryRun.objects.filter(pk=run.pk).update(deleted_at=now)
