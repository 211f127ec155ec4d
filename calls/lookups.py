"""Indexed substring lookup (`__part`), and its limits.

A B-tree finds prefixes only, so a search for part of a number would read every participant. On
Postgres `part` uses a trigram index first, then compares like `icontains`; the results are the
same. The index (`calls_trigrams`, migration 0005) is plain SQL and needs neither an extension nor a
superuser. On other databases `part` is `icontains`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import CharField, QuerySet
from django.db.models.lookups import IContains, Lookup

if TYPE_CHECKING:
    _Lookup = Lookup[Any]
else:
    _Lookup = Lookup

SHORTEST = 3
"""Characters. A shorter part has no trigram, and occurs in nearly every number."""

TOO_SHORT = f"Use at least {SHORTEST} characters: shorter terms match nearly every number."

COMMON = 5_000
"""Number of matching rows above which checking the newest rows one by one is faster than listing
all matches.
"""


@CharField.register_lookup
class PartLookup(_Lookup):
    """Substring, case-insensitive: `raw_id__part="55501"`."""

    lookup_name = "part"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql: tuple[str, Any] = compiler.compile(IContains(self.lhs, self.rhs))
        return sql

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        contains, parameters = self.as_sql(compiler, connection)
        if len(self.rhs) < SHORTEST:
            return contains, parameters
        column, column_parameters = compiler.compile(self.lhs)
        trigrams = f"calls_trigrams({column}) @> calls_trigrams(%s)"
        return f"({trigrams} AND {contains})", (*column_parameters, self.rhs, *parameters)


def is_common(rows: QuerySet[Any]) -> bool:
    """Whether there are more than `COMMON` rows; stops counting there."""
    return rows.order_by()[: COMMON + 1].count() > COMMON
