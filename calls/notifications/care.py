"""Alarms in the care of a user: acknowledged, snoozed, released; kept in the ledger of the call."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from calls.models import Call, LedgerEntry, RaisedAlarm
from calls.search import uuid_in

log = structlog.get_logger(__name__)

MAX_HISTORY = 100
"""Actions that an alarm keeps, the newest."""


MAX_ACTIVE = 1_000


class AlreadyCleared(Exception):
    """The alarm is not active any more, so there is nothing to look after."""


def acknowledge(alarm: RaisedAlarm, user: User) -> RaisedAlarm:
    """Notes that the user looks after the alarm from now on; it replaces the one before.

    Returns the alarm as it is now. Raises `AlreadyCleared`.
    """
    changes = {"acknowledged_at": timezone.now(), "acknowledged_by": user}
    return _apply(alarm, user, "acknowledged", changes, until=None)


def snooze(alarm: RaisedAlarm, user: User, until: datetime) -> RaisedAlarm:
    """Keeps the alarm quiet until then: no mail, no sound. Otherwise as `acknowledge`."""
    return _apply(alarm, user, "snoozed", {"snoozed_until": until}, until)


def release(alarm: RaisedAlarm, user: User) -> RaisedAlarm:
    """Undoes `acknowledge` and `snooze`: nobody looks after it, and it is not quiet."""
    changes = {"acknowledged_at": None, "acknowledged_by": None, "snoozed_until": None}
    return _apply(alarm, user, "released", changes, until=None)


def active() -> list[dict[str, Any]]:
    """Returns the active alarms as JSON for pages, the newest first: as on the live socket, with
    `state_of`. `is_of_job`: a job has raised it, not a recorder: the live socket does not have it.
    """
    rows = RaisedAlarm.objects.filter(cleared_at=None).select_related("acknowledged_by")
    return [
        {
            "alarm": row.name,
            "call": row.call_id and str(row.call_id),
            "participant": row.participant_id and str(row.participant_id),
            "since": row.raised_at.isoformat(),
            "is_of_job": uuid_in(row.origin) is None,
            **state_of(row),
        }
        for row in rows[:MAX_ACTIVE]
    ]


def state_of(alarm: RaisedAlarm) -> dict[str, Any]:
    """Returns the user in charge of the alarm, and its snooze, as JSON for pages."""
    user = alarm.acknowledged_by
    return {
        "id": str(alarm.id),
        "acknowledged_at": alarm.acknowledged_at and alarm.acknowledged_at.isoformat(),
        "acknowledged_by": user and user.get_username(),
        "snoozed_until": alarm.snoozed_until and alarm.snoozed_until.isoformat(),
    }


def _apply(
    alarm: RaisedAlarm, user: User, action: str, changes: dict[str, Any], until: datetime | None
) -> RaisedAlarm:
    now = timezone.now()
    note = {"at": now.isoformat(), "user": user.get_username(), "action": action}
    if until:
        note["until"] = until.isoformat()
    with transaction.atomic():
        # `of`: the user is joined by an outer join, which Postgres does not lock
        rows = RaisedAlarm.objects.select_related("acknowledged_by")
        row = rows.select_for_update(of=("self",)).get(id=alarm.id)
        if row.cleared_at:
            raise AlreadyCleared
        for field, value in {**changes, "history": [*row.history, note][-MAX_HISTORY:]}.items():
            setattr(row, field, value)
        row.save(update_fields=[*changes, "history"])
        _note_in_ledger(row, now, action, note)
    log.info("alarm handled", alarm=str(row.id), name=row.name, action=action, user=user.pk)
    return row


def _note_in_ledger(row: RaisedAlarm, now: datetime, action: str, note: dict[str, str]) -> None:
    """Writes the ledger entry of a call's alarm; the call may not be a row yet, or be deleted."""
    if row.call_id is None or not Call.objects.filter(id=row.call_id).exists():
        return
    kept = {name: note[name] for name in ("user", "until") if name in note}
    LedgerEntry.objects.create(
        id=uuid4(),
        call_id=row.call_id,
        kind=LedgerEntry.Kind.ALARM_HANDLED,
        reason=action,
        started_at=now,
        ended_at=now,
        detail={"alarm": row.name, "alarm_id": str(row.id), **kept},
    )
