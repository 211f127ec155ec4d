"""The outbox: events that are written in the transaction of their fact, and sent afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid5

from django.db import models

from calls import identity
from calls.models.notifications.endpoint import WebhookEndpoint
from calls.models.subscription import database_now


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


class OutgoingEventQuerySet(models.QuerySet["OutgoingEvent"]):
    def add(self, event_type: str, occurred_at: datetime, data: dict[str, Any], key: str) -> None:
        """Writes an event, and a delivery for each enabled endpoint that wants its type.

        Does nothing if an event of this type and key exists. The endpoints are those of now: one
        that is added or enabled later does not get the event.
        """
        event_id = uuid5(identity.NAMESPACE, f"outgoing:{event_type}:{key}")
        if self.filter(id=event_id).exists():
            return
        now = database_now()
        event = self.model(
            id=event_id, type=event_type, occurred_at=occurred_at, created_at=now, data=data
        )
        self.bulk_create([event], ignore_conflicts=True)
        WebhookDelivery.objects.bulk_create(
            [
                WebhookDelivery(endpoint=endpoint, event_id=event_id, next_attempt_at=now)
                for endpoint in WebhookEndpoint.objects.filter(is_enabled=True)
                if endpoint.wants(event_type)
            ],
            ignore_conflicts=True,
        )


class OutgoingEvent(models.Model):
    """One event for other systems. Its id is the `webhook-id`: the same in every repetition."""

    id = models.UUIDField(primary_key=True, editable=False)
    type = models.CharField(max_length=64)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    data = models.JSONField()

    objects = OutgoingEventQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["-created_at", "-id"], name="outgoing_newest_first")]

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


class DeliveryAttempt(models.Model):
    """One request to an endpoint, and what came of it."""

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
