"""Mails about alarms, to the addresses of their severity: at most one per alarm name and quarter of
an hour; alarms that come meanwhile are in the next one.

Alarms that a user has acknowledged or snoozed are left out. Mails name calls by their address only,
never a number or a person.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Event
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models import Q, QuerySet
from django.urls import get_script_prefix
from django.utils import timezone

from calls.models import RaisedAlarm
from calls.notifications import digest
from calls.notifications.payloads import links_of
from calls.wording import ALARM_SEVERITIES, ALARMS, severity_of

log = structlog.get_logger(__name__)

BETWEEN_MAILS = timedelta(minutes=15)
CLAIM = timedelta(minutes=2)
"""A mail that failed, or whose process died, is sent again after this time."""

MAX_AGE = timedelta(days=1)
"""Alarms that were raised earlier are not mailed, so that an upgrade sends none of the past."""

MAX_LINES = 50
"""Alarms that one mail lists; it counts the others."""


class Mailer:
    """Sends in a thread of its own: a mail server that hangs must not delay other jobs."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def run(self, stopping: Event) -> None:
        """Starts the thread, unless it still works. A job."""
        is_wanted = any(_recipients().values()) or settings.DIGEST_MAIL
        if is_wanted and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(
                target=_send_all, args=(stopping,), name="mail", daemon=True
            )
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Waits for the thread; False if it still works."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()


def _recipients() -> dict[str, list[str]]:
    return {
        "critical": settings.ALARM_MAIL_CRITICAL,
        "major": settings.ALARM_MAIL_MAJOR,
        "minor": settings.ALARM_MAIL_MINOR,
    }


def _send_all(stopping: Event) -> None:
    try:
        for name in _names():
            recipients = _recipients()[severity_of(name)]
            if recipients and not stopping.is_set():
                _send_about(name, recipients)
        if settings.DIGEST_MAIL and not stopping.is_set():
            digest.send_if_due(timezone.now())
    except (OSError, DatabaseError) as error:  # SMTPException is an OSError
        log.warning("mail delayed", error=type(error).__name__)  # its text may contain addresses
    except Exception:  # a fault must be seen, and must not end the process
        log.exception("mail failed")
    finally:
        connections.close_all()


def _names() -> list[str]:
    """Returns the names of alarms that have not been mailed; critical ones first."""
    ranks = list(ALARM_SEVERITIES)
    names = set(_unmailed().order_by().values_list("name", flat=True))
    return sorted(names, key=lambda name: (ranks.index(severity_of(name)), name))


def _unmailed() -> QuerySet[RaisedAlarm]:
    """Selects alarms that have not been mailed, and that no process mails just now."""
    now = timezone.now()
    free = Q(mail_claimed_at=None) | Q(mail_claimed_at__lt=now - CLAIM)
    recent = RaisedAlarm.objects.filter(free, mailed_at=None, raised_at__gt=now - MAX_AGE)
    return recent.exclude(_is_handled(now))


def _is_handled(now: datetime) -> Q:
    return Q(snoozed_until__gt=now) | Q(acknowledged_at__isnull=False, cleared_at=None)


def _send_about(name: str, recipients: Sequence[str]) -> None:
    """Sends one mail about all alarms of a name, unless there was one within `BETWEEN_MAILS`.

    Raises `OSError`: they are mailed later.
    """
    now = timezone.now()
    of_name = RaisedAlarm.objects.filter(name=name)
    being_sent = Q(mailed_at=None, mail_claimed_at__gt=now - CLAIM)
    if of_name.filter(Q(mailed_at__gt=now - BETWEEN_MAILS) | being_sent).exists():
        return
    # An alarm that comes back is a new row: it is as quiet as the one that was snoozed.
    handled = {_subject_of(row) for row in of_name.filter(_is_handled(now))}
    unmailed = _unmailed().filter(name=name).order_by("raised_at")
    rows = [row for row in unmailed if _subject_of(row) not in handled]
    ids = [row.pk for row in rows]
    if not ids or _unmailed().filter(pk__in=ids).update(mail_claimed_at=now) < len(ids):
        return  # another process has been faster
    message = _message(name, rows, recipients)
    connections.close_all()  # not kept from others while the mail server takes its time
    message.send()
    RaisedAlarm.objects.filter(pk__in=ids).update(mailed_at=timezone.now())
    log.info("alarm mailed", name=name, alarms=len(rows))


def _subject_of(row: RaisedAlarm) -> tuple[object, ...]:
    """Returns the call and participant of an alarm, or its process."""
    return (row.call_id, row.participant_id) if row.call_id else (row.origin,)


def _message(name: str, rows: Sequence[RaisedAlarm], recipients: Sequence[str]) -> EmailMessage:
    text, severity = ALARMS.get(name, name), severity_of(name)
    count = f" ({len(rows)} times)" if len(rows) > 1 else ""
    lines = [f"{text} ({severity})", "", *(_line(row) for row in rows[:MAX_LINES])]
    if len(rows) > MAX_LINES:
        lines.append(f"and {len(rows) - MAX_LINES} more")
    if settings.PUBLIC_URL:
        lines += ["", f"Dashboard: {settings.PUBLIC_URL}{get_script_prefix()}"]
    subject = f"acsmedia: {text}, {severity}{count}"
    return EmailMessage(subject, "\n".join(lines) + "\n", to=list(recipients))


def _line(row: RaisedAlarm) -> str:
    zone = ZoneInfo(settings.DIGEST_ZONE)
    since = f"{row.raised_at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    until = "active"
    if row.cleared_at:
        until = f"cleared {row.cleared_at.astimezone(zone):%H:%M:%S}"
    where = links_of(row.call_id)["page"] if row.call_id else "installation"
    return f"- since {since}, {until}: {where}"
