"""Admin of answered calls: incoming calls that acsmedia was to answer."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from calls.admin import display
from calls.admin.filters import SpanFilter
from calls.admin.records import RecordAdmin
from calls.admin.search import TermSearch
from calls.models import AnsweredCall
from calls.permissions import SEE
from calls.wording import ANSWER_FAILURES


@admin.register(AnsweredCall)
class AnsweredCallAdmin(RecordAdmin):
    search = TermSearch(ids=("pk", "event_id"), whole=("call_connection_id", "correlation_id"))
    search_fields = search.whole
    search_help_text = "Whole connection id or correlation id"
    ordering = ("-began_at", "-id")  # index answered_newest_first
    list_display = ("at", "state", "why", "connection", "correlation")
    list_filter = ("state", ("began_at", SpanFilter))
    fields = (
        *("at", "state", "why", "finished", "claimed"),
        *("connection", "correlation", "event_id", "id"),
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Needs the permission to see calls: there is none for these rows."""
        return request.user.has_perm(SEE)

    @admin.display(description="Rang", ordering="began_at")
    def at(self, row: AnsweredCall) -> str:
        return display.moment(row.began_at, milliseconds=True)

    @admin.display(description="Reason")
    def why(self, row: AnsweredCall) -> str:
        return ANSWER_FAILURES.get(row.reason, row.reason) or display.NOTHING

    @admin.display(description="Decided")
    def finished(self, row: AnsweredCall) -> str:
        return display.moment(row.finished_at, milliseconds=True)

    @admin.display(description="Attempted until")
    def claimed(self, row: AnsweredCall) -> str:
        return display.moment(row.claimed_until)

    @admin.display(description="Connection id")
    def connection(self, row: AnsweredCall) -> str:
        return display.identifier(row.call_connection_id)

    @admin.display(description="Correlation id")
    def correlation(self, row: AnsweredCall) -> str:
        return display.identifier(row.correlation_id)
