"""Aggregates as subqueries, so that a list of 50 rows does not group the whole table."""

from __future__ import annotations

from typing import Any

from django.db.models import (
    Aggregate,
    ExpressionWrapper,
    F,
    FloatField,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.expressions import RawSQL

SECONDS = Sum(F("sample_count") * 1.0 / F("sample_rate"), output_field=FloatField())
"""Length of segments or gaps, each at its own rate."""


def total_of(
    rows: QuerySet[Any], owner: str, aggregate: Aggregate | ExpressionWrapper[Any]
) -> Subquery:
    """Returns the aggregate over the `rows` whose field `owner` is the row of the outer query.

    NULL if there are none.
    """
    of_owner = rows.filter(**{owner: OuterRef("pk")}).order_by().values(owner)
    return Subquery(of_owner.annotate(_total=aggregate).values("_total"))


def missing_seconds() -> RawSQL:
    """Returns the time of a call in which audio of at least one track is missing, for a query set
    of calls: gaps of several tracks at the same time count once.

    Plain SQL, because Django cannot sum over a window. Index: ledger_of_call.
    """
    return RawSQL(_MISSING_SECONDS, (), output_field=FloatField())  # noqa: S611 - constant text


_MISSING_SECONDS = """(
SELECT COALESCE(SUM(
    CASE WHEN ended <= covered THEN 0 WHEN started < covered THEN ended - covered
    ELSE ended - started END
), 0.0)
FROM (
    SELECT started, ended, COALESCE(MAX(ended) OVER (
        ORDER BY started, ended ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), started) AS covered
    FROM (
        SELECT start_sample * 1.0 / sample_rate AS started,
            (start_sample + sample_count) * 1.0 / sample_rate AS ended
        FROM calls_ledgerentry
        WHERE calls_ledgerentry.call_id = calls_call.id AND calls_ledgerentry.kind = 'gap'
    ) AS gaps
) AS gaps_in_order
)"""
"""Each gap adds what no earlier one has covered."""
