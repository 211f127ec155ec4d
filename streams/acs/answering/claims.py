"""Rows of answered calls: claimed by one process at a time, for as long as the call rings.

The row's id is derived from the call's context, so a repeated event never answers twice. All times
are of the database's clock, which all processes share.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4, uuid5

from django.db.models import DateTimeField, Q, QuerySet, Value
from django.db.models.functions import Least

from calls.identity import NAMESPACE
from calls.models import AnsweredCall, database_now

RINGS_FOR = timedelta(seconds=60)
"""Older calls are not answered: their context has expired, and nobody waits any more."""

CLAIM = timedelta(seconds=30)
"""Longer than all attempts take."""

WAITING = AnsweredCall.State.WAITING


class Incoming(NamedTuple):
    """An incoming call that a rule wants answered. `occurred_at`: when it began to ring, by the
    sender's clock.
    """

    event_id: UUID
    context: str
    correlation_id: str
    occurred_at: datetime

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE, f"answered:{self.context}")


class Claim(NamedTuple):
    """A call that this process attempts. `id`: of this attempt."""

    call: Incoming
    id: UUID


def take(call: Incoming) -> Claim | None:
    """Takes the call for this process; None if it is decided, another process attempts it, or it
    rings no more.
    """
    now = database_now()
    began = Least(Value(call.occurred_at), now, output_field=DateTimeField())
    row = AnsweredCall(
        id=call.id,
        event_id=call.event_id,
        correlation_id=call.correlation_id,
        began_at=began,
        claimed_until=now,
    )
    AnsweredCall.objects.bulk_create([row], ignore_conflicts=True)
    claim = Claim(call, uuid4())
    free = _row(call).filter(_is_free(), _rings())
    taken = free.update(claim_id=claim.id, claimed_until=database_now() + CLAIM)
    return claim if taken else None


def release(claim: Claim) -> bool:
    """Gives the call back, for the next time that its event is sent; False if it rings no more, or
    another process has it.
    """
    return bool(_own(claim).filter(_rings()).update(claimed_until=database_now()))


def finish(
    claim: Claim, state: AnsweredCall.State, *, connection_id: str = "", reason: str = ""
) -> bool:
    """Writes the outcome; False if another process has the call, or has decided it."""
    return bool(
        _own(claim).update(
            state=state,
            call_connection_id=connection_id[:256],
            reason=reason,
            finished_at=database_now(),
        )
    )


def expire(call: Incoming) -> bool:
    """Writes that the call rings no more, and was never answered; False if that is not so."""
    lost = _row(call).filter(_is_free()).exclude(_rings())
    return bool(
        lost.update(state=AnsweredCall.State.FAILED, reason="too_late", finished_at=database_now())
    )


def are_waiting(calls: Collection[Incoming]) -> bool:
    """Returns whether one of the calls is not decided."""
    return AnsweredCall.objects.filter(pk__in={call.id for call in calls}, state=WAITING).exists()


def _row(call: Incoming) -> QuerySet[AnsweredCall]:
    return AnsweredCall.objects.filter(pk=call.id, state=WAITING)


def _own(claim: Claim) -> QuerySet[AnsweredCall]:
    return _row(claim.call).filter(claim_id=claim.id)


def _is_free() -> Q:
    return Q(claimed_until__lte=database_now())


def _rings() -> Q:
    return Q(began_at__gt=database_now() - RINGS_FOR)
