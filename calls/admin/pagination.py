"""Pagination with a capped count: five million calls are not counted to show the first fifty."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to `most_rows`; `is_capped` if there are more."""

    most_rows = 10_000
    """Rows that can be reached by paging. Search and filters reach the others, and faster."""

    def page(self, number: Any) -> Any:
        """Selects the rows of the page first, so that annotations are not computed for skipped
        rows.
        """
        number = self.validate_number(number)
        begin = (number - 1) * self.per_page
        assert isinstance(self.object_list, QuerySet), "the admin paginates querysets"
        end = min(begin + self.per_page, self.count)
        keys = list(self.object_list.values_list("pk", flat=True)[begin:end])
        return Page(self.object_list.filter(pk__in=keys), number, self)

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.most_rows)

    @property
    def is_capped(self) -> bool:
        return self._counted > self.most_rows

    @cached_property
    def _counted(self) -> int:
        assert isinstance(self.object_list, QuerySet), "the admin paginates querysets"
        return self.object_list.order_by().values("pk")[: self.most_rows + 1].count()
