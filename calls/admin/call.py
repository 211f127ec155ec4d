"""Admin of calls: the searchable list, and the page of a call with its recording."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from calls.admin import display, recording
from calls.admin.call_deletion import DeletionMixin
from calls.admin.filters import CanaryFilter, KindFilter, SpanFilter, StateFilter
from calls.admin.ledger import LedgerInline
from calls.admin.participant import ParticipantInline
from calls.admin.records import RecordAdmin, link_to_list
from calls.admin.retention.call_holds import HoldMixin
from calls.admin.search import CallSearch
from calls.admin.subscription import SubscriptionInline
from calls.identity import is_canary
from calls.models import Call, Segment, database_now

IDS = ("connection", "correlation", "id")


@admin.register(Call)
class CallAdmin(DeletionMixin, HoldMixin, RecordAdmin):
    search = CallSearch(
        ids=(
            "pk",
            "participants",
            "participants__segments",
            "subscriptions",
            "subscriptions__stream_id",
        ),
        whole=("call_connection_id", "correlation_id", "participants__raw_id"),
    )
    search_fields = search.whole
    search_help_text = (
        "Connection id, correlation id, raw id or part of a number, name, or an acsmedia id"
    )
    ordering = ("-started_at", "-id")  # index call_newest_first
    list_display = ("started", "state_shown", "voices", "duration", "segments", "size", "gaps")
    list_filter = (StateFilter, ("started_at", SpanFilter), KindFilter, CanaryFilter)
    actions = ("delete_selected", "hold_selected")
    inlines = (ParticipantInline, SubscriptionInline, LedgerInline)
    fieldsets = (
        (None, {"fields": ("state_shown", "started", "ended", *IDS, "held_by")}),
        (
            "Recording",
            {"fields": ("listen", "audio_started", "duration", "segments", "size", "gaps")},
        ),
        ("Export", {"fields": ("mix", "tracks", "integrity")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        calls: Any = super().get_queryset(request)
        described: QuerySet[Any] = (
            calls.with_state(database_now()).with_audio_extent().with_recording()
        )
        return described.prefetch_related("participants")

    @admin.display(description="Started", ordering="started_at")
    def started(self, call: Call) -> str:
        return display.moment(call.started_at)

    @admin.display(description="Ended")
    def ended(self, call: Call) -> str:
        return display.moment(call.ended_at)

    @admin.display(description="State")
    def state_shown(self, call: Call) -> str:
        return display.state(call.state, is_canary=is_canary(call.call_connection_id))

    @admin.display(description="Participants")
    def voices(self, call: Any) -> str:
        return display.names(call.participants.all())

    @admin.display(description="Call connection id")
    def connection(self, call: Call) -> str:
        return display.identifier(call.call_connection_id)

    @admin.display(description="Correlation id")
    def correlation(self, call: Call) -> str:
        return display.identifier(call.correlation_id)

    @admin.display(description="Audio started")
    def audio_started(self, call: Call) -> str:
        return display.moment(call.audio_started_at, milliseconds=True)

    @admin.display(description="Duration")
    def duration(self, call: Call) -> str:
        if call.audio_started_at is None or call.audio_ended_at is None:
            return display.NOTHING
        return display.clock((call.audio_ended_at - call.audio_started_at).total_seconds())

    @admin.display(description="Segments")
    def segments(self, call: Any) -> str:
        return link_to_list(Segment, call.segment_count, call=call.pk)

    @admin.display(description="Size")
    def size(self, call: Any) -> str:
        return display.size(call.stored_bytes)

    @admin.display(description="Gaps")
    def gaps(self, call: Any) -> str:
        return display.gaps(call.gap_count, call.gap_seconds)

    @admin.display(description="Listen")
    def listen(self, call: Any) -> str:
        if not call.segment_count:
            return "No audio stored yet."
        return recording.player(recording.address("call-audio", call.pk, layout="mix"), "the call")

    @admin.display(description="Mixed audio")
    def mix(self, call: Call) -> str:
        return recording.downloads(call.pk, layout="mix")

    @admin.display(description="One channel per participant")
    def tracks(self, call: Any) -> str:
        channels = sum(participant.heard_at is not None for participant in call.participants.all())
        return recording.downloads(call.pk, channels=channels, layout="tracks")

    @admin.display(description="Integrity")
    def integrity(self, call: Call) -> str:
        manifest = display.link(recording.address("call-manifest", call.pk), "Manifest")
        return format_html(
            "{} · {}",
            manifest,
            display.link(recording.address("call-segments", call.pk), "Segments"),
        )
