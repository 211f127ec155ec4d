"""A search term as rows: whole identifiers through indexes first, parts of them only where no whole
one matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import QuerySet
from django.utils.text import smart_split, unescape_string_literal

from calls.lookups import SHORTEST

MAX_OWNERS = 500
"""Rows with a part of a term whose own rows are listed, the newest: so the list stays quick
whatever is typed.
"""


@dataclass(frozen=True)
class PartColumns:
    """Columns of a model that are looked through for parts, and where the listed rows name a row of
    it.
    """

    model: str
    columns: tuple[str, ...]
    lookup: str
    newest_first: str

    @property
    def said(self) -> str:
        names: Any = apps.get_model("calls", self.model)._meta.verbose_name_plural
        return f"the {names}"

    def newest_with(self, part: str) -> tuple[list[UUID], bool]:
        """Primary keys of rows with the part in one of the columns, and whether there are more."""
        rows = apps.get_model("calls", self.model)._default_manager.order_by(self.newest_first)
        found: set[UUID] = set()
        is_cut = False
        for column in self.columns:  # one query each, for each has an index of its own
            keys = list(
                rows.filter(**{f"{column}__part": part}).values_list("pk", flat=True)[
                    : MAX_OWNERS + 1
                ]
            )
            is_cut |= len(keys) > MAX_OWNERS
            found.update(keys[:MAX_OWNERS])
        return list(found), is_cut


OF_CALL = ("call_connection_id", "correlation_id")
OF_VOICE = ("raw_id", "display_name")


@dataclass(frozen=True)
class TermSearch:
    """Where the terms of a search box are looked for in one model; several terms must all match."""

    ids: tuple[str, ...]
    """Lookups that are compared to a UUID of ours."""
    whole: tuple[str, ...]
    """Lookups with an index that are compared to text."""
    places: tuple[PartColumns, ...] = ()

    def narrow(self, queryset: QuerySet[Any], text: str) -> tuple[QuerySet[Any], list[str]]:
        """The rows that match, and what is to be said of terms that were not looked for
        everywhere.
        """
        notes: list[str] = []
        for term in terms_of(text):
            whole = self._with_whole(queryset.model, term)
            if whole.exists():
                queryset = queryset.filter(pk__in=whole)
            elif len(term) < SHORTEST:
                notes.append(
                    f"Parts of at least {SHORTEST} characters are looked for: “{term}” is none."
                )
                queryset = queryset.none()
            else:
                queryset = self._with_part(queryset, term, notes)
        return queryset, notes

    def _with_whole(self, model: Any, term: str) -> QuerySet[Any]:
        """Primary keys. One SELECT per lookup, united: a database cannot use several indexes for an
        OR over joins.
        """
        conditions: list[dict[str, Any]] = [
            {lookup: uuid} for uuid in _uuids(term) for lookup in self.ids
        ]
        return _united(model, [*conditions, *({lookup: term} for lookup in self.whole)])

    def _with_part(self, queryset: QuerySet[Any], part: str, notes: list[str]) -> QuerySet[Any]:
        conditions: list[dict[str, Any]] = []
        for place in self.places:
            keys, is_cut = place.newest_with(part)
            if keys:
                conditions.append({f"{place.lookup}__in": keys})
            if is_cut:
                notes.append(
                    f"“{part}” is in more than {MAX_OWNERS} of {place.said}: the newest are shown."
                )
        return (
            queryset.filter(pk__in=_united(queryset.model, conditions))
            if conditions
            else queryset.none()
        )


@dataclass(frozen=True)
class CallSearch(TermSearch):
    """Calls are found as REST finds them, however common a part is."""

    def _with_part(self, queryset: Any, part: str, notes: list[str]) -> QuerySet[Any]:
        found: QuerySet[Any] = queryset.holding(part, part)
        return found


def terms_of(text: str) -> Iterator[str]:
    """Words, or what stands between quotes."""
    for term in smart_split(text):
        quoted = len(term) > 1 and term[0] in "\"'" and term[0] == term[-1]
        yield unescape_string_literal(term) if quoted else term


def _uuids(term: str) -> list[UUID]:
    try:
        return [UUID(term)]
    except ValueError:
        return []


def _united(model: Any, conditions: list[dict[str, Any]]) -> QuerySet[Any]:
    first, *others = (
        model.objects.filter(**condition).order_by().values("pk") for condition in conditions
    )
    united: QuerySet[Any] = first.union(*others)
    return united
