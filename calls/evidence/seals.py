"""Seals calls: computes and signs the root of a complete call, and again whenever it differs.

The job takes the calls that `CallSealDue` names. Each is sealed in a transaction of its own, so it
may stop or be repeated at any time; two processes at once make no second version.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Event
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models.functions import Left
from django.utils import timezone

from calls.evidence import keys
from calls.evidence.loading import leaves_of
from calls.evidence.tree import RootBuilder
from calls.models import (
    Call,
    CallSeal,
    CallSealDue,
    FailedJournal,
    Subscription,
    database_now,
)
from calls.times import iso_text

log = structlog.get_logger(__name__)

PURPOSE = "call 1"
"""First line of what is signed (docs/evidence.md)."""

RUN_SECONDS = 3.0
BATCH = 50
INCOMPLETE_PAUSE = timedelta(minutes=10)
FAULT_PAUSE = timedelta(hours=1)
UUID_CHARACTERS = 36


class Incomplete(Exception):
    """The call is live, or not all of it is sealed: its root would only be a preliminary one."""


def run(stopping: Event) -> None:
    """Seals calls that are due, for a while. A job."""
    until = time.monotonic() + RUN_SECONDS
    due = CallSealDue.objects.filter(due_at__lte=database_now()).order_by("due_at")
    for call_id, due_at in list(due.values_list("call_id", "due_at")[:BATCH]):
        if stopping.is_set() or time.monotonic() > until:
            return
        again_at = _attempt(call_id)
        # Unless it has been marked again meanwhile.
        CallSealDue.objects.filter(call_id=call_id, due_at=due_at).update(due_at=again_at)


def is_due() -> bool:
    """Whether the job has work."""
    return CallSealDue.objects.filter(due_at__lte=database_now()).exists()


def _attempt(call_id: UUID) -> datetime | None:
    """Seals a call; returns when to try again, None if that is done. A fault of one call must not
    keep the others from being sealed.
    """
    try:
        seal(call_id)
    except Incomplete:
        return timezone.now() + INCOMPLETE_PAUSE
    except DatabaseError:
        raise
    except Exception:
        log.exception("evidence not signed", call=str(call_id))
        return timezone.now() + FAULT_PAUSE
    return None


def seal(call_id: UUID) -> CallSeal | None:
    """Returns the newest seal of the call, a new one if the call differs from it or it was not
    signed and now there is a key; None if the call does not exist.

    Raises `Incomplete`, and `keys.WrongKey`.
    """
    with transaction.atomic():
        # The lock that a sealer takes before it adds rows.
        call = Call.objects.select_for_update(no_key=True).filter(pk=call_id).first()
        if call is None:
            return None
        _check_complete(call_id)
        tree = RootBuilder()
        for line in leaves_of(call).lines():
            tree.add(line)
        former = CallSeal.objects.filter(call_id=call_id).order_by("version").last()
        root = tree.root().hex()
        is_signable = keys.current_key() is not None
        if former and former.root == root and (former.signature or not is_signable):
            return former
        return _add(call_id, root, tree.count, former)


def _add(call_id: UUID, root: str, leaf_count: int, former: CallSeal | None) -> CallSeal:
    sealed_at, version = timezone.now(), former.version + 1 if former else 1
    predecessor = sha256(former.statement.encode()).hexdigest() if former else ""
    members = {
        "call": str(call_id),
        "leaves": leaf_count,
        "predecessor": predecessor,
        "root": root,
        "sealed_at": iso_text(sealed_at),
        "version": version,
    }
    statement = json.dumps(members, sort_keys=True, separators=(",", ":"))
    made = keys.sign(PURPOSE, statement.encode())
    return CallSeal.objects.create(
        call_id=call_id,
        version=version,
        root=root,
        leaf_count=leaf_count,
        statement=statement,
        signature=made.signature.hex() if made else "",
        key_id=made.key_id if made else "",
        predecessor=predecessor,
        sealed_at=sealed_at,
    )


def _check_complete(call_id: UUID) -> None:
    """Raises `Incomplete` while a recorder may add rows, or a journal could not be sealed.

    A socket that nobody has ended for a day is of a lost host: the first leaf counts it.
    """
    now, sockets = database_now(), Subscription.objects.filter(call=call_id)
    if sockets.live(now).exists() or sockets.unfinished(now).exists():
        raise Incomplete
    streams = [str(one) for one in sockets.order_by().values_list("stream_id", flat=True)]
    failed = FailedJournal.objects.annotate(stream=Left("name", UUID_CHARACTERS))
    if failed.filter(stream__in=streams).exists():
        raise Incomplete
