"""Search of the admin: whole identifiers by index first, and parts only if none matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import QuerySet
from django.utils.text import smart_split, unescape_string_literal

from calls.lookups import SHORTEST
from calls.search import number_parts, raw_id_parts, uuid_in

MAX_MATCHES = 500
"""Most matches of a part in a related model, the newest, so that every search is fast."""


@dataclass(frozen=True)
class PartColumns:
    """Columns of a model that are searched for parts, and the lookup from the listed rows to it."""

    model: str
    columns: tuple[str, ...]
    lookup: str
    newest_first: str

    def newest_with(self, part: str) -> tuple[list[UUID], bool]:
        """Returns primary keys of rows with the part in a column, and whether there are more."""
        rows = apps.get_model("calls", self.model)._default_manager.order_by(self.newest_first)
        matches: set[UUID] = set()
        is_cut = False
        for column in self.columns:  # one query each: each column has its own index
            for text in raw_id_parts(part) if column == "raw_id" else [part]:
                found = rows.filter(**{f"{column}__part": text}).values_list("pk", flat=True)
                keys = list(found[: MAX_MATCHES + 1])
                is_cut |= len(keys) > MAX_MATCHES
                matches.update(keys[:MAX_MATCHES])
        return list(matches), is_cut


CALL_COLUMNS = ("call_connection_id", "correlation_id")
PARTICIPANT_COLUMNS = ("raw_id", "display_name")


@dataclass(frozen=True)
class TermSearch:
    """Search of one model; if there are several terms, all must match."""

    ids: tuple[str, ...]
    """Lookups compared to a UUID."""
    whole: tuple[str, ...]
    """Indexed lookups compared to text."""
    sources: tuple[PartColumns, ...] = ()

    def narrow(self, queryset: QuerySet[Any], text: str) -> tuple[QuerySet[Any], list[str]]:
        """Returns the matching rows, and notes for the user about terms with limited results."""
        number = text.strip()
        if " " in number and number_parts(number):
            notes: list[str] = []
            rows = self._with_part(queryset, number, notes)
            if rows.exists():
                return rows, notes
        notes = []
        for term in terms_of(text):
            uuid = uuid_in(term)
            conditions: list[dict[str, Any]] = [{name: uuid} for name in self.ids] if uuid else []
            conditions += ({name: term} for name in self.whole)
            whole = _union(queryset.model, conditions)
            if whole.exists():
                queryset = queryset.filter(pk__in=whole)
            elif len(term) < SHORTEST:
                notes.append(f"“{term}” is too short: parts need at least {SHORTEST} characters.")
                queryset = queryset.none()
            else:
                queryset = self._with_part(queryset, term, notes)
        return queryset, notes

    def _with_part(self, queryset: QuerySet[Any], part: str, notes: list[str]) -> QuerySet[Any]:
        conditions: list[dict[str, Any]] = []
        for source in self.sources:
            keys, is_cut = source.newest_with(part)
            if keys:
                conditions.append({f"{source.lookup}__in": keys})
            if is_cut:
                models: Any = apps.get_model("calls", source.model)._meta.verbose_name_plural
                notes.append(
                    f"“{part}” matches more than {MAX_MATCHES} {models}: the newest are shown."
                )
        return (
            queryset.filter(pk__in=_union(queryset.model, conditions))
            if conditions
            else queryset.none()
        )


@dataclass(frozen=True)
class CallSearch(TermSearch):
    """Finds calls as REST does, without a limit for common parts."""

    def _with_part(self, queryset: Any, part: str, notes: list[str]) -> QuerySet[Any]:
        calls: QuerySet[Any] = queryset.holding(part, *raw_id_parts(part))
        return calls


def terms_of(text: str) -> Iterator[str]:
    """Splits text into words and quoted phrases."""
    for term in smart_split(text):
        quoted = len(term) > 1 and term[0] in "\"'" and term[0] == term[-1]
        yield unescape_string_literal(term) if quoted else term


def _union(model: Any, conditions: list[dict[str, Any]]) -> QuerySet[Any]:
    """Returns the primary keys of rows that meet a condition, with one SELECT per condition: a
    database cannot use several indexes for an OR over joins.
    """
    first, *others = (
        model.objects.filter(**condition).order_by().values("pk") for condition in conditions
    )
    union: QuerySet[Any] = first.union(*others)
    return union
