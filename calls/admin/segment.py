"""Admin of segments, each with a player and the hash of its file."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest

from calls.admin import display, recording
from calls.admin.filters import SpanFilter, of
from calls.admin.records import RecordAdmin, link_in_short, link_to
from calls.admin.search import CALL_COLUMNS, PARTICIPANT_COLUMNS, PartColumns, TermSearch
from calls.models import Call, Participant, Segment, Subscription


@admin.register(Segment)
class SegmentAdmin(RecordAdmin):
    search = TermSearch(
        ids=("pk", "participant", "subscription", "participant__call"),
        whole=(
            "participant__raw_id",
            "participant__call__call_connection_id",
            "participant__call__correlation_id",
        ),
        sources=(
            PartColumns("Participant", PARTICIPANT_COLUMNS, "participant", "-heard_at"),
            PartColumns("Call", CALL_COLUMNS, "participant__call", "-started_at"),
        ),
    )
    search_fields = search.whole
    search_help_text = (
        "Connection id, correlation id, raw id or part of a number, or an acsmedia id"
    )
    list_display = ("started", "length", "participant_link", "peak", "rms", "size", "call_in_short")
    list_filter = (
        ("sealed_at", SpanFilter),
        of("call", Call, "participant__call"),
        of("participant", Participant),
        of("subscription", Subscription),
    )
    list_select_related = ("participant__call",)
    fieldsets = (
        (None, {"fields": ("listen", "participant_link", "of_call", "subscription_link", "id")}),
        (
            "Position",
            {
                "fields": (
                    "started",
                    "ended",
                    "length",
                    "start_sample",
                    "sample_count",
                    "sample_rate",
                    "journal",
                )
            },
        ),
        ("Level", {"fields": ("peak", "rms")}),
        ("Stored", {"fields": ("sealed", "sha256", "pcm_size", "size", "audio_name")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("peaks", "stamps")

    def get_ordering(self, request: HttpRequest) -> list[str | Combinable]:
        """Orders all segments newest first; those of one call or track in order of time."""
        if "call" in request.GET or "participant" in request.GET:
            return ["participant", "start_sample"]  # constraint segment_one_per_start
        return ["-sealed_at"]  # index segment_newest_first

    @admin.display(description="Listen")
    def listen(self, segment: Segment) -> str:
        return recording.player(
            recording.address("segment-audio", segment.pk), f"segment {segment}"
        )

    @admin.display(description="Started")
    def started(self, segment: Segment) -> str:
        return display.moment(segment.started_at, milliseconds=True)

    @admin.display(description="Ended")
    def ended(self, segment: Segment) -> str:
        return display.moment(segment.ended_at, milliseconds=True)

    @admin.display(description="Length")
    def length(self, segment: Segment) -> str:
        return display.clock(segment.duration_seconds)

    @admin.display(description="Participant")
    def participant_link(self, segment: Segment) -> str:
        return link_to(segment.participant)

    @admin.display(description="Subscription")
    def subscription_link(self, segment: Segment) -> str:
        return link_to(segment.subscription)

    @admin.display(description="Call")
    def of_call(self, segment: Any) -> str:
        return link_to(segment.participant.call)

    @admin.display(description="Call")
    def call_in_short(self, segment: Any) -> str:
        return link_in_short(segment.participant.call)

    @admin.display(description="Peak")
    def peak(self, segment: Segment) -> str:
        return display.level(segment.peak_dbfs)

    @admin.display(description="RMS")
    def rms(self, segment: Segment) -> str:
        return display.level(segment.rms_dbfs)

    @admin.display(description="PCM")
    def pcm_size(self, segment: Segment) -> str:
        return display.size(segment.size_bytes)

    @admin.display(description="Size")
    def size(self, segment: Segment) -> str:
        return display.size(segment.stored_bytes)

    @admin.display(description="Sealed")
    def sealed(self, segment: Segment) -> str:
        return display.moment(segment.sealed_at)
