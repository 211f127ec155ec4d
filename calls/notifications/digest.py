"""The digest: one mail a day with the calls and alarms of the last 24 hours."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connections
from django.db.models import Count, Q
from django.urls import get_script_prefix
from django.utils import timezone

from calls.identity import CANARY_PREFIX
from calls.models import CallCoverage, RaisedAlarm, RefusedHandshake, SentDigest
from calls.wording import ALARMS, severity_of

log = structlog.get_logger(__name__)

CLAIM = timedelta(minutes=10)
"""A digest that failed is sent again after this time."""


def send_if_due(now: datetime) -> bool:
    """Sends the digest of the day from `DIGEST_HOUR` on, once; says whether it did.

    Call it in a thread of its own and outside of a transaction. Raises `OSError`: it is sent later.
    """
    local = now.astimezone(ZoneInfo(settings.DIGEST_ZONE))
    if local.hour < settings.DIGEST_HOUR or not _claim(local):
        return False
    end = local.replace(hour=settings.DIGEST_HOUR, minute=0, second=0, microsecond=0)
    subject = f"acsmedia: digest of {local:%Y-%m-%d}"
    text = digest_text(end - timedelta(days=1), end)
    connections.close_all()  # not kept from others while the mail server takes its time
    EmailMessage(subject, text, to=settings.DIGEST_MAIL).send()
    SentDigest.objects.filter(day=local.date()).update(sent_at=timezone.now())
    log.info("digest mailed", day=str(local.date()))
    return True


def digest_text(start: datetime, end: datetime) -> str:
    """Returns the text for calls that started, and alarms that were raised, from `start` to
    `end`.
    """
    lines = [f"From {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M %Z}", "", *_calls(start, end), ""]
    lines += _alarms(start, end)
    if settings.PUBLIC_URL:
        lines += ["", f"Coverage: {settings.PUBLIC_URL}{get_script_prefix()}coverage/"]
    return "\n".join(lines) + "\n"


def _claim(local: datetime) -> bool:
    """Reserves the digest of a day for this process; False if it has been sent, or is being
    sent.
    """
    day, now = local.date(), timezone.now()
    claimed = SentDigest(day=day, claimed_at=now - 2 * CLAIM)
    SentDigest.objects.bulk_create([claimed], ignore_conflicts=True)
    free = SentDigest.objects.filter(day=day, sent_at=None, claimed_at__lt=now - CLAIM)
    return bool(free.update(claimed_at=now))


def _calls(start: datetime, end: datetime) -> list[str]:
    counted = ~Q(call_connection_id__startswith=CANARY_PREFIX)
    calls = CallCoverage.objects.filter(counted, started_at__gte=start, started_at__lt=end)
    counts = dict(calls.order_by().values_list("verdict").annotate(Count("pk")))
    refused = RefusedHandshake.objects.filter(
        counted, from_acs=True, last_at__gte=start, last_at__lt=end
    )
    lines = [f"{sum(counts.values())} calls"]
    lines += [
        f"- {label}: {counts[verdict]}"
        for verdict, label in CallCoverage.Verdict.choices
        if verdict in counts
    ]
    if count := sum(refused.values_list("count", flat=True)):
        lines.append(f"- handshakes of ACS that were refused: {count}")
    return lines


def _alarms(start: datetime, end: datetime) -> list[str]:
    raised = RaisedAlarm.objects.filter(raised_at__gte=start, raised_at__lt=end)
    counts = Counter(raised.order_by().values_list("name", flat=True))
    active = RaisedAlarm.objects.filter(cleared_at=None).count()
    lines = [f"{counts.total()} alarms, {active} active now"]
    for severity in ("critical", "major", "minor"):
        lines += [
            f"- {ALARMS.get(name, name)} ({severity}): {count}"
            for name, count in counts.most_common()
            if severity_of(name) == severity
        ]
    return lines
