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
