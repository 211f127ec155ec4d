"""Looking for a part of an identifier or a name: a lookup with an index, and how short or common a
part may be.

A B-tree knows beginnings only, so part of a number used to read every participant there was. On
Postgres `part` asks an index of trigrams first (`calls_trigrams`, made by migration 0005 in plain
SQL, so that neither an extension nor a superuser is needed) and then compares as `icontains` does;
what it finds is the same. Elsewhere it is `icontains`.
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
"""Characters. Shorter parts are in no trigram, and in nearly every number."""

COMMON = 5_000
"""Rows with the part above which it is quicker to look at the newest rows one by one than to list
all that have it.
"""


@CharField.register_lookup
class PartLookup(_Lookup):
    """`raw_id__part="55501"`: contains it, in either case."""

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
    """Whether these are more than `COMMON`; stops to count there."""
    return rows.order_by()[: COMMON + 1].count() > COMMON
