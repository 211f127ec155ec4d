"""Statements of other systems that calls took place, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from django.db import transaction

from calls import identity
from calls.coverage import due
from calls.models import ExpectedCall, database_now

MAX_SOURCE = 64


class StatedCall(NamedTuple):
    """A call that took place. At least one of the two ids is given; `ended_at` None: the end is not
    known yet.
    """

    source: str
    call_connection_id: str
    correlation_id: str
    started_at: datetime
    ended_at: datetime | None = None
    participants: int | None = None

    @property
    def row_id(self) -> UUID:
        """The same for every statement of a source about the call: the last one counts."""
        name = self.call_connection_id or f"correlation:{self.correlation_id}"
        return uuid5(identity.NAMESPACE, f"expected:{self.source}:{name}")


def state(calls: Sequence[StatedCall]) -> int:
    """Writes statements, and marks their calls to be judged; returns how many are new.

    Canary calls are left out. Raises `django.db.Error`.
    """
    last = {one.row_id: one for one in calls if not identity.is_canary(one.call_connection_id)}
    rows = [
        ExpectedCall(id=row_id, received_at=database_now(), **one._asdict())
        for row_id, one in sorted(last.items())
    ]
    with transaction.atomic():
        known = ExpectedCall.objects.filter(id__in=last).count()
        ExpectedCall.objects.bulk_create(
            rows,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=[
                *("call_connection_id", "correlation_id", "started_at", "ended_at"),
                *("participants", "received_at"),
            ],
        )
        due.mark(
            due.CallKey(one.call_connection_id, one.correlation_id, one.started_at)
            for one in last.values()
        )
    return len(rows) - known
