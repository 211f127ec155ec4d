"""Joining of a call that is known by its correlation id only to its call connection."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

from calls.coverage import due
from calls.coverage.job.loading import connection_of
from calls.coverage.job.verdicts import JUDGED, keep_former
from calls.models import CallCoverage, FormerVerdict, MissingTime, database_now


def join(coverage_id: UUID, now: datetime) -> bool:
    """Joins the call to its connection, once a witness names both ids; says whether it has. Its row
    is deleted; its verdict and its former ones go with it.

    Call it in a transaction that has locked no coverage: it locks both rows.
    """
    named = CallCoverage.objects.filter(call_connection_id="").exclude(correlation_id="")
    row = named.filter(id=coverage_id, due_at__lte=database_now()).first()
    if row is None or not (connection_id := connection_of(row.correlation_id)):
        return False
    key = due.CallKey(connection_id, row.correlation_id, row.started_at)
    if not key.is_counted:
        return False
    due.mark([key], known=[key._replace(call_connection_id="")])
    source = CallCoverage.objects.filter(id=coverage_id).first()
    if source is not None:  # else another process has joined it
        _unite(source, CallCoverage.objects.get(id=key.coverage_id), now)
    return True


def _unite(source: CallCoverage, target: CallCoverage, now: datetime) -> None:
    facts = united(source.facts, target.facts)
    if source.judged_at and target.judged_at is None:
        for name in JUDGED:
            setattr(target, name, getattr(source, name))
        MissingTime.objects.filter(coverage=source).update(coverage=target)
    elif source.judged_at:
        keep_former(source, now)
    FormerVerdict.objects.filter(coverage=source).update(coverage=target)
    target.facts = facts
    target.save(update_fields=JUDGED)
    source.delete()


def united(source: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """Returns the facts of both rows: those of the target, and of both the seconds that are in the
    totals, the event that was sent out last, and the numbers of witnesses.
    """
    facts = {**source, **target}
    counted = Counter(source.get("counted", {}))
    counted.update(target.get("counted", {}))
    rows = Counter(source.get("rows", {})) | Counter(target.get("rows", {}))
    recordings = max(source.get("recordings", 0), target.get("recordings", 0))
    told = target.get("told") or source.get("told", "")
    facts |= {"counted": dict(counted), "rows": dict(rows), "told": told}
    return facts | ({"recordings": recordings} if recordings else {})
