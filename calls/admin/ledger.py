"""Admin of the ledger: the events of a call."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from calls.admin import display
from calls.admin.filters import AudioFaultFilter, SpanFilter, of
from calls.admin.records import RecordAdmin, RecordInline, link_from, link_in_short, link_to
from calls.admin.search import CALL_COLUMNS, PARTICIPANT_COLUMNS, PartColumns, TermSearch
from calls.models import Call, LedgerEntry, Participant
from calls.models.ledger import AUDIO_FAULTS


class EntryColumns:
    """Columns of an event in list, page and inline."""

    @admin.display(description="Started", ordering="started_at")
    def at(self, entry: LedgerEntry) -> str:
        return display.moment(entry.started_at, milliseconds=True)

    @admin.display(description="Ended")
    def until(self, entry: LedgerEntry) -> str:
        return display.moment(entry.ended_at, milliseconds=True)

    @admin.display(description="Length")
    def length(self, entry: LedgerEntry) -> str:
        if entry.ended_at is None:
            return display.NOTHING
        return display.clock((entry.ended_at - entry.started_at).total_seconds())

    @admin.display(description="Participant")
    def participant_link(self, entry: LedgerEntry) -> str:
        return link_to(entry.participant)

    @admin.display(description="Reason")
    def reason_shown(self, entry: LedgerEntry) -> str:
        is_past = entry.reason in AUDIO_FAULTS and "resolved_at" in entry.detail
        return display.identifier(f"{entry.reason} (resolved)" if is_past else entry.reason)

    @admin.display(description="Detail")
    def detail_shown(self, entry: LedgerEntry) -> str:
        return (
            display.identifier(json.dumps(entry.detail, ensure_ascii=False))
            if entry.detail
            else display.NOTHING
        )


class LedgerInline(EntryColumns, RecordInline):
    model = LedgerEntry
    fields = readonly_fields = (
        "link",
        "kind",
        "reason_shown",
        "length",
        "participant_link",
        "detail_shown",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("participant")

    @admin.display(description="Started")
    def link(self, entry: LedgerEntry) -> str:
        return link_from(self.at(entry), entry)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(EntryColumns, RecordAdmin):
    search = TermSearch(
        ids=("pk", "call", "participant", "subscription"),
        whole=("call__call_connection_id", "call__correlation_id", "participant__raw_id"),
        sources=(
            PartColumns("LedgerEntry", ("reason",), "pk", "-started_at"),
            PartColumns("Call", CALL_COLUMNS, "call", "-started_at"),
            PartColumns("Participant", PARTICIPANT_COLUMNS, "participant", "-heard_at"),
        ),
    )
    search_fields = search.whole
    search_help_text = (
        "Reason, connection id, correlation id, raw id or part of a number, or an acsmedia id"
    )
    ordering = ("-started_at",)
    list_display = ("at", "kind", "reason_shown", "length", "participant_link", "call_in_short")
    list_filter = (
        "kind",
        AudioFaultFilter,
        ("started_at", SpanFilter),
        of("call", Call),
        of("participant", Participant),
    )
    list_select_related = ("call", "participant")
    fieldsets = (
        (None, {"fields": ("kind", "reason_shown", "at", "until", "length", "detail_shown")}),
        ("Belongs to", {"fields": ("of_call", "participant_link", "subscription_link", "id")}),
        ("Position", {"fields": ("start_sample", "sample_count", "sample_rate")}),
    )

    @admin.display(description="Call")
    def of_call(self, entry: LedgerEntry) -> str:
        return link_to(entry.call)

    @admin.display(description="Call")
    def call_in_short(self, entry: LedgerEntry) -> str:
        return link_in_short(entry.call)

    @admin.display(description="Subscription")
    def subscription_link(self, entry: LedgerEntry) -> str:
        return link_to(entry.subscription)
