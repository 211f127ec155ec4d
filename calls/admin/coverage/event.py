"""Admin of events that ACS has reported."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from calls.admin import display
from calls.admin.filters import SpanFilter
from calls.admin.records import RecordAdmin
from calls.admin.search import TermSearch
from calls.coverage.acs_events import TYPES
from calls.models import CallEvent
from calls.wording import ACS_EVENTS


class TypeFilter(admin.SimpleListFilter):
    """Filters by type. Lists all known ones: to ask the table which occur would read it all."""

    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(TYPES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        return queryset.filter(type=self.value()) if self.value() else None


@admin.register(CallEvent)
class CallEventAdmin(RecordAdmin):
    search = TermSearch(
        ids=("pk",), whole=("call_connection_id", "correlation_id", "server_call_id")
    )
    search_fields = search.whole
    search_help_text = "Whole connection id, correlation id or server call id"
    ordering = ("-received_at", "-id")  # index event_newest_first
    list_display = ("at", "name", "source", "connection", "correlation", "received")
    list_filter = (TypeFilter, ("received_at", SpanFilter))
    fieldsets = (
        (None, {"fields": ("name", "meaning", "source", "at", "received", "sequence_number")}),
        ("Call", {"fields": ("connection", "correlation", "server")}),
        ("Event", {"fields": ("identity", "id", "contents")}),
    )

    @admin.display(description="Occurred")
    def at(self, event: CallEvent) -> str:
        return display.moment(event.occurred_at, milliseconds=True)

    @admin.display(description="Received", ordering="received_at")
    def received(self, event: CallEvent) -> str:
        return display.moment(event.received_at, milliseconds=True)

    @admin.display(description="Type")
    def name(self, event: CallEvent) -> str:
        return display.identifier(event.type)

    @admin.display(description="Meaning")
    def meaning(self, event: CallEvent) -> str:
        return ACS_EVENTS.get(event.type, display.NOTHING)

    @admin.display(description="Connection id")
    def connection(self, event: CallEvent) -> str:
        return display.identifier(event.call_connection_id)

    @admin.display(description="Correlation id")
    def correlation(self, event: CallEvent) -> str:
        return display.identifier(event.correlation_id)

    @admin.display(description="Server call id")
    def server(self, event: CallEvent) -> str:
        return display.identifier(event.server_call_id)

    @admin.display(description="Event id")
    def identity(self, event: CallEvent) -> str:
        return display.identifier(event.event_id)

    @admin.display(description="Data")
    def contents(self, event: CallEvent) -> str:
        return display.json_text(event.data)
