"""Admin of subscriptions: the sockets of calls, their audio formats, ends and counters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from calls.admin import display
from calls.admin.filters import SocketStateFilter, SpanFilter, of
from calls.admin.records import (
    RecordAdmin,
    RecordInline,
    link_from,
    link_in_short,
    link_to,
    link_to_list,
)
from calls.admin.search import (
    CALL_COLUMNS,
    PARTICIPANT_COLUMNS,
    PartColumns,
    TermSearch,
)
from calls.close_codes import GOOD_CLOSE_CODES
from calls.models import (
    CLOCK_TOLERANCE,
    COUNTS,
    HEARTBEAT_TIMEOUT,
    Call,
    Segment,
    Subscription,
)


class SocketColumns:
    """Columns of a socket in list, page and inline."""

    @admin.display(description="Connected", ordering="connected_at")
    def connected(self, subscription: Subscription) -> str:
        return display.moment(subscription.connected_at)

    @admin.display(description="Disconnected")
    def disconnected(self, subscription: Subscription) -> str:
        return display.moment(subscription.disconnected_at)

    @admin.display(description="Open for")
    def duration(self, subscription: Subscription) -> str:
        end = subscription.disconnected_at or subscription.seen_at
        return display.clock(max(end - subscription.connected_at, timedelta(0)).total_seconds())

    @admin.display(description="State")
    def state(self, subscription: Subscription) -> str:
        if subscription.disconnected_at is None:
            age = timezone.now() - subscription.seen_at
            is_open = -CLOCK_TOLERANCE < age < HEARTBEAT_TIMEOUT
            return "Open" if is_open else "Closed abnormally: the recorder crashed"
        if subscription.close_code is None:
            return "Closed abnormally: no close code"
        is_normal = subscription.close_code in GOOD_CLOSE_CODES
        return f"{'Closed' if is_normal else 'Closed abnormally'}: {subscription.close_code}"

    @admin.display(description="Format")
    def audio_format(self, subscription: Subscription) -> str:
        if subscription.sample_rate is None:
            return display.NOTHING
        channels = "mono" if subscription.channels == 1 else f"{subscription.channels} channels"
        return display.isolated(f"{subscription.encoding} {subscription.sample_rate} Hz {channels}")


class SubscriptionInline(SocketColumns, RecordInline):
    model = Subscription
    fields = readonly_fields = (
        *("link", "disconnected", "state", "audio_format"),
        *COUNTS,
    )

    @admin.display(description="Connected")
    def link(self, subscription: Subscription) -> str:
        return link_from(self.connected(subscription), subscription)


@admin.register(Subscription)
class SubscriptionAdmin(SocketColumns, RecordAdmin):
    search = TermSearch(
        ids=("pk", "stream_id", "call"),
        whole=("call__call_connection_id", "call__correlation_id", "call__participants__raw_id"),
        sources=(
            PartColumns("Subscription", ("subscription_id",), "pk", "-connected_at"),
            PartColumns("Call", CALL_COLUMNS, "call", "-started_at"),
            PartColumns("Participant", PARTICIPANT_COLUMNS, "call__participants", "-heard_at"),
        ),
    )
    search_fields = search.whole
    search_help_text = (
        "Subscription id, connection id, correlation id, raw id or part of a "
        "number, or an acsmedia id"
    )
    ordering = ("-connected_at",)
    list_display = (
        "connected",
        "state",
        "duration",
        "audio_format",
        "segments",
        "audio",
        "problems",
        "call_in_short",
    )
    list_filter = (SocketStateFilter, ("connected_at", SpanFilter), of("call", Call))
    list_select_related = ("call",)
    fieldsets = (
        (None, {"fields": ("state", "of_call", "segments", "subscription_id", "stream_id", "id")}),
        ("Socket", {"fields": ("connected", "disconnected", "seen", "duration", "close_code")}),
        ("Format", {"fields": ("encoding", "sample_rate", "channels", "length")}),
        ("Counters", {"fields": COUNTS}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_segment_count()  # type: ignore[no-any-return, attr-defined]

    @admin.display(description="Last seen")
    def seen(self, subscription: Subscription) -> str:
        return display.moment(subscription.seen_at)

    @admin.display(description="Segments")
    def segments(self, subscription: Any) -> str:
        return link_to_list(Segment, subscription.segment_count, subscription=subscription.pk)

    @admin.display(description="Problems")
    def problems(self, subscription: Subscription) -> str:
        counts = {
            name: subscription.counts[name]
            for name in ("unknown", "malformed", "duplicate", "late", "odd_timestamp")
        }
        shown = (f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        return ", ".join(shown) or "none"

    @admin.display(description="Call")
    def of_call(self, subscription: Subscription) -> str:
        return link_to(subscription.call)

    @admin.display(description="Call")
    def call_in_short(self, subscription: Subscription) -> str:
        return link_in_short(subscription.call)
