"""The latest call of a connection id, and whether it has ended: then a later socket begins a new
call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Max
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from calls.identity import CallLink
from calls.models.call import Call
from calls.models.subscription import Subscription

ROWS_PER_STATEMENT = 500

MAX_READ = 100
"""Calls of one connection id that are read: one for each sender whose id it is."""


def latest_calls(asked: Mapping[UUID, str]) -> dict[UUID, CallLink]:
    """Returns the latest call of each connection id that has one, by the id of its first call.

    `asked`: connection ids, by the id of the first call. Index: call_connection_id.
    """
    # All sockets of a process that restarts ask at once, so this is two queries for all of them.
    recorded = Call.objects.filter(call_connection_id__in=set(asked.values())).order_by()
    numbers = dict(recorded.values_list("call_connection_id").annotate(Max("continuation")))
    last = {
        first_id: CallLink(first_id, numbers[connection_id])
        for first_id, connection_id in asked.items()
        if connection_id in numbers
    }
    ids = {one.id for link in last.values() for one in (link, link.following)}
    existing = set(Call.objects.filter(id__in=ids).values_list("id", flat=True))
    found = {
        first_id: link
        if link.id in existing and link.following.id not in existing
        else _latest_call(first_id, asked[first_id])
        for first_id, link in last.items()
    }
    return {first_id: link for first_id, link in found.items() if link}


def _latest_call(first_id: UUID, connection_id: str) -> CallLink | None:
    """Returns the latest call although the numbers in the rows do not tell it: another sender has a
    call with a higher one, or a process of the version before numbers sealed a call, with 0.
    """
    calls = Call.objects.filter(call_connection_id=connection_id).order_by("-continuation")
    numbers = dict(calls.values_list("id", "continuation")[:MAX_READ])
    highest = max(numbers.values(), default=0) + len(numbers)
    links = (CallLink(first_id, number) for number in range(highest, -1, -1))
    return next((link for link in links if link.id in numbers), None)


def going_on(
    links: Collection[CallLink],
    closed_ids: Collection[str],
    now: datetime | Now | CombinedExpression,
) -> set[CallLink]:
    """Returns the calls that have not ended: a socket is open, was within the grace time, or its
    end is not known.

    `closed_ids`: sockets that have ended for longer, which their process knows better.
    """
    sockets = Subscription.objects.filter(call__in={link.id for link in links})
    sockets = sockets.exclude(stream_id__in=closed_ids).not_over(now)
    call_ids = set(sockets.order_by().values_list("call", flat=True))
    return {link for link in links if link.id in call_ids}


def create_and_lock(calls: Collection[Call]) -> dict[UUID, datetime]:
    """Creates the missing calls, links those that continue another one, and locks all of them
    against other processes until the transaction ends. Returns when they started.

    The lock comes before any row that refers to a call, and in a mode that does not conflict with
    such rows: otherwise two processes could wait for each other.
    """
    Call.objects.bulk_create(calls, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)
    wanted = {call.id: call for call in calls}
    following = {call.continued_from_id: call.id for call in calls if call.continued_from_id}
    locked = Call.objects.select_for_update(no_key=True).filter(id__in=wanted | following)
    started: dict[UUID, datetime] = {}
    for call_id, started_at, known_id, number in locked.order_by("id").values_list(
        "id", "started_at", "continued_in_id", "continuation"
    ):
        if call_id in following and known_id is None:
            Call.objects.filter(id=call_id).update(continued_in_id=following[call_id])
        if call := wanted.get(call_id):
            started[call_id] = started_at
            if number < call.continuation:  # created by the version before numbers
                Call.objects.filter(id=call_id).update(
                    continuation=call.continuation, continued_from_id=call.continued_from_id
                )
    return started
