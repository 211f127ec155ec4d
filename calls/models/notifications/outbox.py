"""The outbox: events that are written in the transaction of their fact, and sent afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import models
from django.db.models.functions import Now

from calls import identity
from calls.models.notifications.endpoint import WebhookEndpoint
from calls.models.subscription import database_now

DELIVERED_FOR = timedelta(days=3)
"""Time for which a delivery is tried."""


class EventType(models.TextChoices):
    """The types of events; names that receivers know, so never renamed."""

    CALL_STARTED = "call.started", "Call started"
    CALL_ENDED = "call.ended", "Call ended"
    CALL_DELETED = "call.deleted", "Call deleted"
    RECORDING_READY = "recording.ready", "Recording ready: everything is sealed"
    RECORDING_INCOMPLETE = "recording.incomplete", "Recording incomplete"
    RECORDING_MISSING = "recording.missing", "Call not recorded"
    ALARM_RAISED = "alarm.raised", "Alarm raised"
    ALARM_CLEARED = "alarm.cleared", "Alarm cleared"
    TEST = "test", "Test, sent by a button in the admin"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to write. `key` names the fact: the same type and key are the same event. `data` is
    JSON; `call_id`: the call that it describes, with which the event is deleted; `not_to`:
    endpoints that do not get it.
    """

    type: str
    occurred_at: datetime
    data: dict[str, Any]
    key: str
    call_id: UUID | None = None
    not_to: frozenset[int] = frozenset()

    @property
    def id(self) -> UUID:
        return uuid5(identity.NAMESPACE, f"outgoing:{self.type}:{self.key}")

    def as_row(self, now: datetime | Now) -> OutgoingEvent:
        return OutgoingEvent(
            id=self.id,
            type=self.type,
            occurred_at=self.occurred_at,
            created_at=now,
            call_id=self.call_id,
            data=self.data,
        )


class OutgoingEventQuerySet(models.QuerySet["OutgoingEvent"]):
    def add(self, *new_events: NewEvent) -> None:
        """Writes events, each with a delivery for every enabled endpoint that wants its type.

        Leaves out events that exist. An endpoint that is added or enabled later does not get them.
        """
        ids = [event.id for event in new_events]
        known = set(self.filter(pk__in=ids).values_list("pk", flat=True))
        missing = [event for event in new_events if event.id not in known]
        if not missing:
            return
        now = database_now()
        self.bulk_create([event.as_row(now) for event in missing], ignore_conflicts=True)
        deliveries = [
            WebhookDelivery(
                endpoint=endpoint,
                event_id=event.id,
                next_attempt_at=now,
                give_up_at=now + DELIVERED_FOR,
            )
            for endpoint in WebhookEndpoint.objects.filter(is_enabled=True)
            for event in missing
            if endpoint.wants(event.type) and endpoint.pk not in event.not_to
        ]
        WebhookDelivery.objects.bulk_create(deliveries, ignore_conflicts=True)


class OutgoingEvent(models.Model):
    """One event for other systems. Its id is the `webhook-id`: the same in every repetition."""

    id = models.UUIDField(primary_key=True, editable=False)
    type = models.CharField(max_length=64)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    call_id = models.UUIDField(
        null=True, help_text="The call that it describes: they are deleted together."
    )
    data = models.JSONField()

    objects = OutgoingEventQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="outgoing_newest_first"),
            # Deletion of a call.
            models.Index(fields=["call_id"], name="outgoing_of_call"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries"
    )
    event = models.ForeignKey(OutgoingEvent, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    give_up_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        default_permissions = ("view", "change")
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="delivery_once_per_endpoint")
        ]
        indexes = [
            # The job that delivers: what waits, per endpoint.
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                name="delivery_waiting",
                condition=models.Q(status="waiting"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}: {self.status}"


class AwaitedEnd(models.Model):
    """A call with a start that was told to others, and an end that was not yet, or may change.

    Few rows: calls that were live a moment ago. So an upgrade tells nothing of earlier calls.
    """

    call_id = models.UUIDField(primary_key=True, editable=False)
    told_at = models.DateTimeField(
        null=True, help_text="When an end was told that may change: nobody has ended its socket."
    )

    class Meta:
        ordering = ["call_id"]
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.call_id)


class DeliveryAttempt(models.Model):
    """One request to an endpoint, and its outcome."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="history")
    started_at = models.DateTimeField()
    seconds = models.FloatField()
    status_code = models.PositiveIntegerField(null=True, help_text="HTTP; empty: no answer.")
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.error or str(self.status_code)
