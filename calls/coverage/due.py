"""Marks calls to be judged. Call it in the transaction that writes a witness.

So no witness is overlooked, however late it is committed: the row of the call is locked until then,
and the job that judges waits for the lock before it reads the witnesses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When

from calls.identity import is_canary
from calls.models import Call, CallCoverage, CallEvent, coverage_id_of, database_now

AGAIN = timedelta(seconds=5)
"""From something late until the call is judged again: what comes with it is read with it."""

RANGE_BATCH = 500

EVERY = Q()


class CallKey(NamedTuple):
    """The names of a call by one witness, and the time of the witness. `call_id` is needed only for
    a recording without ids of ACS.
    """

    call_connection_id: str
    correlation_id: str
    at: datetime
    call_id: UUID | None = None

    @property
    def coverage_id(self) -> UUID:
        return coverage_id_of(self.call_connection_id, self.correlation_id, self.call_id)

    @property
    def is_counted(self) -> bool:
        """Whether it names a call, and no canary call."""
        names = (self.call_connection_id, self.correlation_id, self.call_id)
        return any(names) and not is_canary(self.call_connection_id)


def mark(
    keys: Iterable[CallKey] = (), *, known: Iterable[CallKey] = (), judged: Iterable[CallKey] = ()
) -> None:
    """Marks calls to be judged: `COVERAGE_DELAY_SECONDS` from now, or at once if they have been
    judged before. Creates the rows that are missing of `keys`, none of `known` (another witness has
    to name them) and of `judged` (only calls that have a verdict: something of them came late).

    A call of `keys` may have a row by its correlation id alone although a witness names its
    connection: that row is due soon, so that the job joins both. Until then it is counted twice.

    Few statements for any number. Call it once in a transaction: it locks all rows together, in the
    order of their ids, as every other place does.
    """
    wanted, others, late = _by_id(keys), _by_id(known), _by_id(judged)
    _create(wanted)
    joinable = _joinable(list(wanted.values()))
    # one statement locks what it marks itself
    if sum(map(bool, (wanted, others, late, joinable))) > 1:
        lock({*wanted, *others, *late, *joinable})
    if joinable:
        _set_due(joinable, soon=True)
    if wanted and _set_due(wanted) < len(wanted):
        _create(wanted)  # meanwhile the job has deleted a row: it knew of no call yet
    if others:
        _set_due(others)
    if late:
        _set_due(late, Q(judged_at__isnull=False))


def lock(ids: Collection[UUID]) -> None:
    """Locks the rows with these ids, in the order that all transactions keep."""
    rows = CallCoverage.objects.select_for_update(no_key=True).filter(id__in=ids)
    list(rows.order_by("id").values_list("id"))


def _in_order(ids: Collection[UUID], condition: Q) -> QuerySet[CallCoverage, Any]:
    """Returns a subquery that locks the rows in the order of `lock`: the limit keeps the order."""
    rows = CallCoverage.objects.select_for_update(no_key=True).filter(condition, id__in=ids)
    return rows.order_by("id").values("id")[: len(ids)]


def _by_id(keys: Iterable[CallKey]) -> dict[UUID, CallKey]:
    return {key.coverage_id: key for key in keys if key.is_counted}


def mark_range(start: datetime, end: datetime) -> None:
    """Marks the recordings of a range of time that no other witness knew when they were judged:
    they are unexpected if calls of about that time have witnesses. Others change nothing by it.
    Call it outside of a transaction: it marks a few at a time, so that others never wait for long.
    Index: coverage_newest_first.
    """
    alone = CallCoverage.objects.filter(
        started_at__gte=start,
        started_at__lte=end,
        judged_at__isnull=False,
        verdict__in=("complete", "partial"),
        facts__basis="journal",
    )
    ids = sorted(alone.order_by().values_list("id", flat=True))
    for first in range(0, len(ids), RANGE_BATCH):
        batch = ids[first : first + RANGE_BATCH]
        with transaction.atomic():
            _set_due(batch)


def _joinable(keys: Collection[CallKey]) -> set[UUID]:
    """Returns the rows by the correlation id alone of calls whose other id is known: from one of
    the keys, an event, or a recording. Indexes: event_of_correlation, call_correlation_id.
    """
    both = {key.correlation_id for key in keys if key.call_connection_id and key.correlation_id}
    named = {coverage_id_of("", one) for one in both}
    found = set(_ids(CallCoverage.objects.filter(id__in=named), "id")) if named else set()
    if alone := {key.correlation_id for key in keys if not key.call_connection_id} - {""}:
        for model in (CallEvent, Call):
            others = model.objects.filter(correlation_id__in=alone).exclude(call_connection_id="")
            found |= {coverage_id_of("", one) for one in _ids(others, "correlation_id")}
    return found


def _ids(rows: QuerySet[Any, Any], name: str) -> QuerySet[Any, Any]:
    return rows.order_by().values_list(name, flat=True).distinct()


def _set_due(ids: Collection[UUID], condition: Q = EVERY, *, soon: bool = False) -> int:
    """Sets when to judge the rows that meet the condition, and returns their number. `soon`: also
    those that have not been judged.
    """
    # Unconditional in what the job writes: an update that skipped a locked row by its former
    # `due_at` would be lost.
    delay = timedelta(seconds=settings.COVERAGE_DELAY_SECONDS)
    again = database_now() + min(AGAIN, delay)
    first = again if soon else database_now() + delay
    due_at = Case(When(judged_at=None, then=first), default=again)
    return CallCoverage.objects.filter(id__in=_in_order(ids, condition)).update(
        due_at=Case(When(Q(due_at=None) | Q(due_at__gt=due_at), then=due_at), default=F("due_at")),
        notify=Case(When(judged_at=None, then=Value(value=True)), default=F("notify")),
    )


def _create(wanted: Mapping[UUID, CallKey]) -> None:
    """Creates the rows that are missing, in the order of their ids."""
    rows = [_new_row(wanted[coverage_id]) for coverage_id in sorted(wanted)]
    CallCoverage.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def _new_row(key: CallKey) -> CallCoverage:
    delay = timedelta(seconds=settings.COVERAGE_DELAY_SECONDS)
    return CallCoverage(
        id=key.coverage_id,
        call_connection_id=key.call_connection_id,
        correlation_id=key.correlation_id,
        call_id=None if key.call_connection_id or key.correlation_id else key.call_id,
        started_at=key.at,
        due_at=database_now() + delay,
    )
