"""Events about the start and the end of calls.

The start is added by the transaction that creates the row of the call. The end has no transaction
of its own, because the state of a call is derived: a job finds the calls that are not live any
more. Canary calls are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from calls.identity import is_canary
from calls.models import AwaitedEnd, Call, NewEvent, OutgoingEvent, Subscription, database_now
from calls.notifications import outbox
from calls.notifications.payloads import call_payloads

MAX_AGE = timedelta(days=1)
"""Calls that started earlier are not told of: their journals have waited in a spool."""

MAX_ENDS_PER_RUN = 200


@contextmanager
def of_new_calls(call_ids: Iterable[str]) -> Iterator[None]:
    """Adds the start of each of these calls that the body creates. Enter it in a transaction."""
    ids = {UUID(call_id) for call_id in call_ids}
    known = set(Call.objects.filter(pk__in=ids).values_list("pk", flat=True))
    yield
    if new := ids - known:
        _add_started(new)


def _add_started(call_ids: Collection[UUID]) -> None:
    recent = Call.objects.filter(pk__in=call_ids, started_at__gt=timezone.now() - MAX_AGE)
    connections = dict(recent.values_list("pk", "call_connection_id"))
    told = [pk for pk, connection_id in connections.items() if not is_canary(connection_id)]
    if not told:
        return
    started = [
        NewEvent(
            outbox.CALL_STARTED,
            datetime.fromisoformat(payload["started_at"]),
            payload,
            str(call_id),
            call_id,
        )
        for call_id, payload in call_payloads(told).items()
    ]
    OutgoingEvent.objects.add(*started)
    AwaitedEnd.objects.bulk_create(
        [AwaitedEnd(call_id=call_id) for call_id in told], ignore_conflicts=True
    )


def add_ended(stopping: Event) -> None:
    """Adds the events of calls that have ended. A job; raises `django.db.Error`.

    If nobody has ended the socket of a call (its process died), the end may turn out to be a later
    one, or the call to go on. So its end is compared for a day, and told again if it differs.
    """
    live = Subscription.objects.live(database_now()).order_by().values("call")
    ended = AwaitedEnd.objects.exclude(call_id__in=live)
    untold_first = ended.order_by(F("told_at").asc(nulls_first=True), "call_id")
    call_ids = list(untold_first.values_list("call_id", flat=True)[:MAX_ENDS_PER_RUN])
    payloads = call_payloads(call_ids)
    sockets = Subscription.objects.filter(call__in=call_ids).unfinished(database_now())
    unfinished = set(sockets.order_by().values_list("call", flat=True))
    for call_id in call_ids:
        if stopping.is_set():
            return
        with transaction.atomic():
            payload = payloads.get(call_id)
            if payload and payload["ended_at"]:
                at = datetime.fromisoformat(payload["ended_at"])
                key = f"{call_id}:{payload['ended_at']}"
                outbox.add(outbox.CALL_ENDED, at, payload, key=key, call_id=call_id)
            row = AwaitedEnd.objects.filter(call_id=call_id)
            if call_id in unfinished:
                row.update(told_at=timezone.now())
            else:
                row.delete()
