"""Alarms as rows: each origin reports its active alarms, and the rows follow.

An origin is a recording process (its id), or a job (its name). Each report is complete: an alarm
that it does not contain any more is cleared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from calls import identity
from calls.identity import CANARY_PREFIX
from calls.models import Call, RaisedAlarm, database_now
from calls.notifications import outbox
from calls.search import uuid_in
from calls.wording import ALARMS, severity_of

LOST_AFTER = timedelta(minutes=2)
"""Recorders report every five seconds."""


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """An alarm that its origin holds to be active. `name`: a key of `calls.wording.ALARMS`;
    `detail`: JSON without personal data, since it is sent to other systems.
    """

    name: str
    call_id: UUID | None
    participant_id: UUID | None
    since: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


def report(origin: str, alarms: Sequence[ActiveAlarm]) -> None:
    """Writes the rows of an origin's active alarms: raises the new ones, clears the others.

    Events for other systems are added in the same transaction. Raises `django.db.Error`.
    """
    now = timezone.now()
    with transaction.atomic():
        active = RaisedAlarm.objects.select_for_update().filter(origin=origin, cleared_at=None)
        before = {row.id: row for row in active}
        wanted = {alarm_id_of(origin, alarm): alarm for alarm in alarms}
        canaries = _canaries_among(wanted[new] for new in wanted.keys() - before.keys())
        for alarm_id, alarm in wanted.items():
            if alarm.call_id in canaries:
                continue
            if alarm_id not in before:
                _raise(alarm_id, origin, alarm, now)
            elif before[alarm_id].detail != alarm.detail:
                RaisedAlarm.objects.filter(id=alarm_id).update(detail=dict(alarm.detail))
        still = RaisedAlarm.objects.filter(id__in=before.keys() & wanted.keys())
        still.update(seen_at=database_now())
        for alarm_id in before.keys() - wanted.keys():
            _clear(before[alarm_id], now)


def clear_all(origin: str, ended: str) -> None:
    """Clears the alarms of an origin that reports no more; `ended`: why, for `detail`. Raises
    `django.db.Error`.
    """
    with transaction.atomic():
        active = RaisedAlarm.objects.select_for_update().filter(origin=origin, cleared_at=None)
        for row in active:
            row.detail = {**row.detail, "ended": ended}
            _clear(row, timezone.now())


def clear_lost() -> None:
    """Clears the alarms of processes that have not reported for `LOST_AFTER`, by the clock of the
    database: those of hosts may differ. Raises `django.db.Error`.
    """
    silent = RaisedAlarm.objects.filter(cleared_at=None, seen_at__lt=database_now() - LOST_AFTER)
    for origin in set(silent.order_by().values_list("origin", flat=True)):
        if uuid_in(origin):  # not a job, which reports when it runs
            clear_all(origin, "process_lost")


def alarm_id_of(origin: str, alarm: ActiveAlarm) -> UUID:
    """Returns the id of the row, the same in every report of the alarm."""
    about = f"{alarm.call_id}:{alarm.participant_id}:{alarm.since.isoformat()}"
    return uuid5(identity.NAMESPACE, f"alarm:{origin}:{alarm.name}:{about}")


def payload_of(row: RaisedAlarm) -> dict[str, Any]:
    """Returns the `data` of an event about an alarm."""
    return {
        "id": str(row.id),
        "name": row.name,
        "text": ALARMS.get(row.name, row.name),
        "severity": severity_of(row.name),
        "call_id": row.call_id and str(row.call_id),
        "participant_id": row.participant_id and str(row.participant_id),
        "raised_at": row.raised_at.isoformat(),
        "cleared_at": row.cleared_at and row.cleared_at.isoformat(),
        "detail": row.detail,
    }


def _canaries_among(alarms: Iterable[ActiveAlarm]) -> set[UUID]:
    """Returns the canary calls of alarms: they have an alarm of their own (calls/canary/)."""
    call_ids = {alarm.call_id for alarm in alarms if alarm.call_id}
    if not call_ids:
        return set()
    canaries = Call.objects.filter(pk__in=call_ids, call_connection_id__startswith=CANARY_PREFIX)
    return set(canaries.values_list("pk", flat=True))


def _raise(alarm_id: UUID, origin: str, alarm: ActiveAlarm, now: datetime) -> None:
    """Inserts the row. One that was cleared becomes active again: its origin had been silent."""
    row = RaisedAlarm(
        id=alarm_id,
        name=alarm.name,
        origin=origin,
        call_id=alarm.call_id,
        participant_id=alarm.participant_id,
        raised_at=alarm.since,
        seen_at=database_now(),
        detail=dict(alarm.detail),
    )
    same = RaisedAlarm.objects.filter(id=alarm_id)
    again = same.update(cleared_at=None, seen_at=database_now())
    if not again:
        RaisedAlarm.objects.bulk_create([row], ignore_conflicts=True)
    key = f"{alarm_id}:{now.isoformat()}" if again else str(alarm_id)
    _tell(outbox.ALARM_RAISED, alarm.since, row, key)


def _clear(row: RaisedAlarm, now: datetime) -> None:
    row.cleared_at = max(now, row.raised_at)
    row.save(update_fields=["cleared_at", "detail"])
    key = f"{row.id}:{now.isoformat()}"
    _tell(outbox.ALARM_CLEARED, row.cleared_at, row, key)


def _tell(event_type: str, at: datetime, row: RaisedAlarm, key: str) -> None:
    """Adds an event, but not for the endpoints that the alarm is about: each failure would give
    them one more event to fail at.
    """
    outbox.add(event_type, at, payload_of(row), key=key, not_to=row.detail.get("endpoints", ()))
