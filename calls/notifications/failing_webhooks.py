"""The alarm that endpoints have accepted nothing for long. It is not sent to these endpoints."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event

from django.conf import settings
from django.urls import get_script_prefix
from django.utils import timezone

from calls.models import RaisedAlarm, WebhookEndpoint
from calls.notifications import alarms
from calls.notifications.alarms import ActiveAlarm

ORIGIN = "webhooks"
ALARM = "webhook_failing"
FAILS_FOR = timedelta(minutes=15)
"""Shorter failures, such as the restart of a receiver, raise no alarm."""


def report_alarm(_stopping: Event) -> None:
    """Raises the alarm while an enabled endpoint fails for `FAILS_FOR`, and clears it after the
    next event that it accepts. A job; raises `django.db.Error`.
    """
    alarm = active_alarm(timezone.now())
    alarms.report(ORIGIN, [alarm] if alarm else [])


def active_alarm(now: datetime) -> ActiveAlarm | None:
    """Returns the alarm that is to be active: one for all endpoints."""
    endpoints = WebhookEndpoint.objects.filter(is_enabled=True, failing_since__lt=now - FAILS_FOR)
    failing = dict(endpoints.values_list("pk", "failing_since"))
    if not failing:
        return None
    active = RaisedAlarm.objects.filter(origin=ORIGIN, name=ALARM, cleared_at=None)
    # It goes on while another endpoint fails.
    since = active.values_list("raised_at", flat=True).first() or min(
        filter(None, failing.values())
    )
    root = f"{settings.PUBLIC_URL}{get_script_prefix()}"
    detail = {"endpoints": sorted(failing), "list": f"{root}admin/calls/webhookendpoint/"}
    return ActiveAlarm(ALARM, None, None, since, detail)
