"""Events, deliveries with their attempts, and alarms: read only, except *Send again*."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from calls.admin import display
from calls.admin.filters import SpanFilter
from calls.admin.records import RecordAdmin, link_from, link_to
from calls.admin.search import TermSearch
from calls.models import (
    Call,
    DeliveryAttempt,
    OutgoingEvent,
    RaisedAlarm,
    WebhookDelivery,
)
from calls.notifications.webhooks import delivery
from calls.wording import ALARMS, severity_of


def attempt_text(attempt: DeliveryAttempt) -> str:
    """Describes an attempt: the status or the error, and its length."""
    outcome = attempt.error or f"answered {attempt.status_code}"
    if attempt.error and attempt.status_code:
        outcome = f"answered {attempt.status_code}. {attempt.error}"
    return f"{outcome} ({attempt.seconds:.1f} s)"


@admin.register(OutgoingEvent)
class OutgoingEventAdmin(RecordAdmin):
    search = TermSearch(ids=("pk", "call_id"), whole=())
    search_fields = ("id",)
    search_help_text = "Id of an event (webhook-id) or of a call"
    ordering = ("-created_at", "-id")
    list_display = ("at", "type", "deliveries_text")
    list_filter = (("created_at", SpanFilter),)
    fields = ("type", "at", "id", "deliveries_text", "content")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutgoingEvent]:
        return super().get_queryset(request).prefetch_related("deliveries__endpoint")

    @admin.display(description="Occurred", ordering="created_at")
    def at(self, event: OutgoingEvent) -> str:
        return display.moment(event.occurred_at, milliseconds=True)

    @admin.display(description="Deliveries")
    def deliveries_text(self, event: OutgoingEvent) -> str:
        links = [
            link_from(f"{one.get_status_display()}: {one.endpoint}", one)
            for one in event.deliveries.all()
        ]
        return format_html_join(", ", "{}", ((link,) for link in links)) or display.NOTHING

    @admin.display(description="Data")
    def content(self, event: OutgoingEvent) -> str:
        return display.json_text(event.data)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(RecordAdmin):
    search = TermSearch(ids=("event",), whole=())
    search_fields = ("id",)
    search_help_text = "Id of an event (webhook-id)"
    ordering = ("-id",)
    list_display = ("__str__", "type", "endpoint_link", "status", "attempts", "next_attempt")
    list_filter = ("status", "endpoint")
    list_select_related = ("event", "endpoint")
    actions = ("send_again",)
    fields = (
        *("event_link", "type", "endpoint_link", "status", "attempts"),
        *("next_attempt", "finished", "history_text"),
    )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allows its filters only: others could tell the secret of the endpoint."""
        return lookup in ("status__exact", "endpoint__id__exact")

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("calls.change_webhookdelivery")

    @admin.action(description="Send again", permissions=["send_again"])
    def send_again(self, request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> None:
        count = delivery.send_again(list(rows.values_list("pk", flat=True)))
        text = f"{count} given-up deliveries are sent again. Others are left as they are."
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    @admin.display(description="Event", ordering="id")
    def event_link(self, row: WebhookDelivery) -> str:
        return link_to(row.event)

    @admin.display(description="Type")
    def type(self, row: WebhookDelivery) -> str:
        return row.event.type

    @admin.display(description="Endpoint")
    def endpoint_link(self, row: WebhookDelivery) -> str:
        return link_to(row.endpoint)

    @admin.display(description="Next attempt")
    def next_attempt(self, row: WebhookDelivery) -> str:
        return display.moment(row.next_attempt_at)

    @admin.display(description="Finished")
    def finished(self, row: WebhookDelivery) -> str:
        return display.moment(row.finished_at)

    @admin.display(description="Attempts")
    def history_text(self, row: WebhookDelivery) -> str:
        return display.lines(
            (display.moment(one.started_at, milliseconds=True), attempt_text(one))
            for one in row.history.all()
        )


@admin.register(RaisedAlarm)
class RaisedAlarmAdmin(RecordAdmin):
    search = TermSearch(ids=("pk", "call_id", "participant_id"), whole=())
    search_fields = ("id",)
    search_help_text = "Id of an alarm, a call or a participant"
    ordering = ("-raised_at", "-id")
    list_display = ("raised", "text", "severity", "call", "cleared", "acknowledged")
    list_filter = (("raised_at", SpanFilter),)
    list_select_related = ("acknowledged_by",)
    fields = (
        *("text", "severity", "call", "origin", "raised", "cleared", "acknowledged", "snoozed"),
        *("actions_text", "detail"),
    )

    @admin.display(description="Raised", ordering="raised_at")
    def raised(self, alarm: RaisedAlarm) -> str:
        return display.moment(alarm.raised_at)

    @admin.display(description="Alarm")
    def text(self, alarm: RaisedAlarm) -> str:
        return ALARMS.get(alarm.name, alarm.name)

    @admin.display(description="Severity")
    def severity(self, alarm: RaisedAlarm) -> str:
        return severity_of(alarm.name)

    @admin.display(description="Call")
    def call(self, alarm: RaisedAlarm) -> str:
        return (
            link_from(str(alarm.call_id)[:8], Call(pk=alarm.call_id))
            if alarm.call_id
            else display.NOTHING
        )

    @admin.display(description="Cleared")
    def cleared(self, alarm: RaisedAlarm) -> str:
        return display.moment(alarm.cleared_at) if alarm.cleared_at else "active"

    @admin.display(description="Acknowledged by")
    def acknowledged(self, alarm: RaisedAlarm) -> str:
        return alarm.acknowledged_by.get_username() if alarm.acknowledged_by else display.NOTHING

    @admin.display(description="Snoozed until")
    def snoozed(self, alarm: RaisedAlarm) -> str:
        return display.moment(alarm.snoozed_until)

    @admin.display(description="Actions")
    def actions_text(self, alarm: RaisedAlarm) -> str:
        return display.lines(
            (note["at"], f"{note['user']}: {note['action']}") for note in alarm.history
        )
