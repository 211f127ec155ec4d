"""A search term as rows: whole identifiers through indexes first, parts of them only where no whole one matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.text import smart_split, unescape_string_literal


@dataclass(frozen=True)
class Search:
    """Where the terms of a search box are looked for in one model; several terms must all match."""

    ids: tuple[str, ...]
    """Lookups that are compared to a UUID of ours."""
    whole: tuple[str, ...]
    """Lookups with an index that are compared to text: whole first, then a part of it in either case."""
    parts: tuple[str, ...] = ()
    """Lookups without an index: a part of them is as quick to find as the whole."""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.whole + self.parts

    def narrow(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        for term in terms_of(text):
            queryset = queryset.filter(pk__in=self._matches(queryset.model, term))
        return queryset

    def _matches(self, model: Any, term: str) -> QuerySet[Any]:
        """Primary keys. One SELECT per lookup, united: a database cannot use several indexes for an OR over joins."""
        conditions: list[dict[str, Any]] = [{lookup: uuid} for uuid in _uuids(term) for lookup in self.ids]
        conditions += [{lookup: term} for lookup in self.whole]
        exact = _united(model, conditions)
        if exact.exists():
            return exact
        return _united(model, [{f"{lookup}__icontains": term} for lookup in self.texts])


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
    first, *others = (model.objects.filter(**condition).order_by().values("pk") for condition in conditions)
    united: QuerySet[Any] = first.union(*others)
    return united
