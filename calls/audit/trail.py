"""Writes audit entries: each gets its place in the chain, and no two the same.

The chain has one lock: an advisory lock of the transaction on Postgres, the write lock on SQLite.
It is held until the transaction ends. So an entry is the last statement of its transaction, and
large work is done in small transactions with an entry each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from calls.audit.actors import Actor
from calls.audit.chain import GENESIS, Link, hash_of, portable, text_of
from calls.models import Call
from calls.models.audit.entry import Action, AuditEntry

CHAIN_LOCK = 0x61756469
"""The key of the advisory lock: "audi" in ASCII."""

LOCK_MILLISECONDS = 5_000
"""A transaction that holds the chain for longer fails the others, instead of stopping them all."""

_HEAD = "SELECT number, hash FROM calls_auditentry ORDER BY number DESC LIMIT 1"
_LOCK = (
    "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true),"
    " pg_advisory_xact_lock(%s)"
)
_TIME_AND_HEAD = (
    "SELECT set_config('lock_timeout', %s, true), clock_timestamp(), number, hash FROM (SELECT) one"
    " LEFT JOIN LATERAL"
    " (SELECT number, hash FROM calls_auditentry ORDER BY number DESC LIMIT 1) head ON true"
)


def record(
    action: Action,
    *,
    actor: Actor,
    call: Call | UUID | None = None,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Inserts one entry, in the caller's transaction if there is one, and returns it.

    Raises `django.db.Error`; the caller must then not send, change or delete anything.
    """
    call_id, connection_id = _names_of(call)
    link = Link(
        number=0,
        at=datetime.min,  # noqa: DTZ901 - replaced under the lock
        actor_kind=actor.kind,
        actor_name=text_of(actor.name)[:256],
        actor_id=actor.id,
        address=actor.address,
        action=str(Action(action)),
        call=call_id,
        call_connection_id=text_of(connection_id),
        reason=text_of(reason),
        detail=portable(dict(detail or {})),
        previous_hash=GENESIS,
    )
    with transaction.atomic():
        return _append(link)


def link_of(entry: AuditEntry) -> Link:
    """Returns the columns of a row, for the chain."""
    return Link(**{name: getattr(entry, name) for name in Link.__slots__})


def _append(link: Link) -> AuditEntry:
    now, last, previous = _locked_head()
    link = replace(link, number=last + 1, at=now, previous_hash=previous)
    return AuditEntry.objects.create(**asdict(replace(link, hash=hash_of(link))))


def _locked_head() -> tuple[datetime, int, str]:
    """Takes the lock of the chain until the transaction ends; SQLite's write lock is enough.

    Returns the time, and the number and hash of the last entry. The head is read in a statement of
    its own: one that waits for a lock sees the rows from before it waited.
    """
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(_HEAD)
            return timezone.now(), *(cursor.fetchone() or (0, GENESIS))
        cursor.execute(_LOCK, [f"{LOCK_MILLISECONDS}ms", CHAIN_LOCK])
        cursor.execute(_TIME_AND_HEAD, [cursor.fetchone()[0]])
        _, now, number, previous = cursor.fetchone()
    return now, number or 0, previous or GENESIS


def _names_of(call: Call | UUID | None) -> tuple[UUID | None, str]:
    if call is None:
        return None, ""
    if isinstance(call, Call):
        return call.pk, call.call_connection_id
    found = Call.objects.filter(pk=call).values_list("call_connection_id", flat=True).first()
    return call, found or ""
