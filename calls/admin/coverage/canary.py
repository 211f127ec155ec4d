"""Admin of canary runs: calls that acsmedia has placed to test itself, and their results."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from calls.admin import display
from calls.admin.filters import SpanFilter
from calls.admin.records import RecordAdmin, link_to_list
from calls.admin.search import TermSearch
from calls.models import Call, CanaryRun
from calls.permissions import SEE
from calls.wording import CANARY_FAILURES


@admin.register(CanaryRun)
class CanaryRunAdmin(RecordAdmin):
    search = TermSearch(ids=("pk",), whole=("call_connection_id",))
    search_fields = search.whole
    search_help_text = "Id of a run, or whole connection id"
    ordering = ("-started_at", "-id")  # index canary_newest_first
    list_display = ("at", "outcome", "why", "delay", "difference_samples", "call")
    list_filter = ("outcome", ("started_at", SpanFilter))
    fields = (
        *("at", "finished", "outcome", "why", "more", "delay", "interval"),
        *("sample_count", "difference_samples", "call", "deleted", "id"),
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Needs the permission to see calls: there is none for these rows."""
        return request.user.has_perm(SEE)

    @admin.display(description="Started", ordering="started_at")
    def at(self, run: CanaryRun) -> str:
        return display.moment(run.started_at)

    @admin.display(description="Finished")
    def finished(self, run: CanaryRun) -> str:
        return display.moment(run.finished_at)

    @admin.display(description="Reason")
    def why(self, run: CanaryRun) -> str:
        return CANARY_FAILURES.get(run.reason, run.reason) or display.NOTHING

    @admin.display(description="Detail")
    def more(self, run: CanaryRun) -> str:
        return display.identifier(run.detail)

    @admin.display(description="Delay")
    def delay(self, run: CanaryRun) -> str:
        return display.clock(run.delay_seconds)

    @admin.display(description="Interval")
    def interval(self, run: CanaryRun) -> str:
        return display.clock(run.every_seconds)

    @admin.display(description="Call")
    def call(self, run: CanaryRun) -> str:
        """Links to its call in the list of calls, which hides canary calls otherwise."""
        name = display.identifier(run.call_connection_id)
        if run.deleted_at:
            return name
        return link_to_list(Call, name, q=run.call_connection_id, canaries="only")

    @admin.display(description="Call deleted")
    def deleted(self, run: CanaryRun) -> str:
        return display.moment(run.deleted_at)
