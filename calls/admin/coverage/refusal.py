"""Admin of refused handshakes: media sockets that were not accepted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from calls.admin import display
from calls.admin.filters import SpanFilter
from calls.admin.records import RecordAdmin
from calls.admin.search import TermSearch
from calls.models import RefusedHandshake
from calls.wording import REFUSALS, refusal_text


class ReasonFilter(admin.SimpleListFilter):
    """Filters by reason, in words. Lists all of them: to ask the table which occur reads it all."""

    title = parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(REFUSALS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        return queryset.filter(reason=self.value()) if self.value() in REFUSALS else None


@admin.register(RefusedHandshake)
class RefusedHandshakeAdmin(RecordAdmin):
    search = TermSearch(ids=("pk", "process"), whole=("call_connection_id", "correlation_id"))
    search_fields = search.whole
    search_help_text = "Whole connection id or correlation id"
    ordering = ("-first_at",)
    list_display = ("at", "why", "count", "from_acs", "client", "connection")
    list_filter = (ReasonFilter, "from_acs", ("first_at", SpanFilter))
    fieldsets = (
        (None, {"fields": ("why", "count", "at", "until", "from_acs")}),
        ("Handshake", {"fields": ("client", "connection", "correlation", "process", "id")}),
    )

    @admin.display(description="First", ordering="first_at")
    def at(self, refusal: RefusedHandshake) -> str:
        return display.moment(refusal.first_at)

    @admin.display(description="Last")
    def until(self, refusal: RefusedHandshake) -> str:
        return display.moment(refusal.last_at)

    @admin.display(description="Reason")
    def why(self, refusal: RefusedHandshake) -> str:
        return refusal_text(refusal.reason)

    @admin.display(description="Address")
    def client(self, refusal: RefusedHandshake) -> str:
        return display.identifier(refusal.address or "")

    @admin.display(description="Connection id")
    def connection(self, refusal: RefusedHandshake) -> str:
        return display.identifier(refusal.call_connection_id)

    @admin.display(description="Correlation id")
    def correlation(self, refusal: RefusedHandshake) -> str:
        return display.identifier(refusal.correlation_id)
