"""The alarm and the figures of canary calls, from the rows of their runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from calls.models import CanaryRun
from calls.notifications import alarms
from calls.notifications.alarms import ActiveAlarm
from calls.wording import CANARY_FAILURES

ORIGIN = "canary"
ALARM = "canary_failed"
ALLOWED = timedelta(minutes=5)
"""Longest duration of a run: after two intervals and this time without one, they have stopped."""

CONCERN_FOR = timedelta(days=1)
"""For this long a failed run raises the alarm if no further runs are expected."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of the last runs: `passed_at` of the last good one, the others of the last one that
    has them. None: there is none.
    """

    passed_at: datetime | None
    delay_seconds: float | None
    difference_samples: int | None
    alarm_is_active: bool


def report_alarm(now: datetime) -> None:
    """Raises or clears the alarm. Raises `django.db.Error`."""
    alarm = active_alarm(now)
    alarms.report(ORIGIN, [alarm] if alarm else [])


def active_alarm(now: datetime) -> ActiveAlarm | None:
    """Returns the alarm that is to be active: the last run failed, or expected runs stay away."""
    last = CanaryRun.objects.order_by("-started_at", "-id").first()
    if last is None or (last.every_seconds is None and now - last.started_at > CONCERN_FOR):
        return None
    failed = list(CanaryRun.objects.failed_since_success().values_list("finished_at", "reason"))
    overdue_at = _overdue_at(last)
    is_overdue = overdue_at is not None and now > overdue_at
    if not failed and not is_overdue:
        return None
    since = [at for at, _reason in failed] + ([overdue_at] if is_overdue else [])
    reason = "stopped" if is_overdue else failed[0][1]
    detail = {"reason": reason, "text": CANARY_FAILURES.get(reason, reason)}
    return ActiveAlarm(ALARM, None, None, min(at for at in since if at), detail)


def figures(now: datetime) -> Figures:
    """Returns the figures for `/metrics`. Raises `django.db.Error`."""
    finished = CanaryRun.objects.finished()
    passed = finished.filter(outcome=CanaryRun.Outcome.PASSED)
    delays = finished.exclude(delay_seconds=None).values_list("delay_seconds", flat=True)
    differences = finished.exclude(difference_samples=None)
    return Figures(
        passed_at=passed.values_list("finished_at", flat=True).first(),
        delay_seconds=delays.first(),
        difference_samples=differences.values_list("difference_samples", flat=True).first(),
        alarm_is_active=active_alarm(now) is not None,
    )


def _overdue_at(last: CanaryRun) -> datetime | None:
    """Returns when the run after `last` is overdue; None if none is expected."""
    if last.every_seconds is None:
        return None
    return last.started_at + timedelta(seconds=2 * last.every_seconds) + ALLOWED
