"""Base classes of the admin: read-only records, and pages whose cost does not grow with the
tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.db.models import DateTimeField, Model, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from calls.admin import display
from calls.admin.pagination import CappedPaginator
from calls.admin.search import TermSearch

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
    _InlineFormSet = BaseInlineFormSet[Any, Any, Any]
else:
    _ModelAdmin, _TabularInline, _InlineFormSet = (
        admin.ModelAdmin,
        admin.TabularInline,
        BaseInlineFormSet,
    )


class ReadOnly:
    """Rows are created by the recorder; users with the view permission can only view them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RecordAdmin(ReadOnly, _ModelAdmin):
    """Counts to ten thousand at most, searches by index first, and lists rows in a constant number
    of queries.
    """

    search: ClassVar[TermSearch]
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counting per filter reads the whole table per filter
    list_per_page = 50
    list_max_show_all = 200

    class Media:
        css: ClassVar = {"all": ["calls/admin/records.css"]}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Leaves times to our own filters: Django would ask the database for any year."""
        name = lookup.split("__", maxsplit=1)[0]
        fields = {field.name for field in self.opts.fields if isinstance(field, DateTimeField)}
        return name not in fields and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        rows, notes = self.search.narrow(queryset, search_term)
        for note in notes:
            self.message_user(request, note, messages.WARNING)
        return rows, False


class FirstRows(_InlineFormSet):
    """The first rows of an inline; `is_cut` if there are more."""

    most_rows: ClassVar[int]
    is_cut = False

    def get_queryset(self) -> Any:
        if not hasattr(self, "_first_rows"):
            rows = list(super().get_queryset()[: self.most_rows + 1])
            self.is_cut = len(rows) > self.most_rows
            self._first_rows = rows[: self.most_rows]
        return self._first_rows


class RecordInline(ReadOnly, _TabularInline):
    """The first related rows of a record, with a link to all of them."""

    template = "admin/calls/inline.html"
    formset = FirstRows
    most_rows = 20
    extra = 0
    can_delete = False

    def get_formset(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        formset = super().get_formset(request, obj, **options)
        formset.most_rows = self.most_rows  # type: ignore[attr-defined]
        return formset


def link_to(record: Model | None) -> str:
    """Links to the page of a record, by its name."""
    if record is None:
        return display.NOTHING
    return display.link(_page_of(record), display.isolated(record))


def link_in_short(record: Model) -> str:
    """Links to the page of a record by the start of its name: full names make each row of a list
    four lines high.
    """
    name = str(record)
    return display.link(
        _page_of(record), display.isolated(name if len(name) <= 12 else f"{name[:8]}…")
    )


def link_from(text: object, record: Model) -> str:
    """Links to the page of a record, by another text."""
    return display.link(_page_of(record), text)


def link_to_list(model: type[Model], text: object, **parameters: Any) -> SafeString:
    """Links to the list of a model with filters."""
    path = reverse(f"admin:calls_{model._meta.model_name}_changelist")
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return display.link(f"{path}?{query}", text)


def _page_of(record: Model) -> str:
    return reverse(f"admin:calls_{record._meta.model_name}_change", args=[record.pk])
