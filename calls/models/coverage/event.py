"""The event: what ACS reported about a call at one of the webhooks."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import OuterRef, Q


class CallEventQuerySet(models.QuerySet["CallEvent"]):
    def ends_of(self, call_connection_id: str | OuterRef, correlation_id: str | OuterRef) -> Self:
        """Selects the events that say that a call has ended. Indexes: event_of_connection,
        event_of_correlation.

        Event Grid names the correlation id only: its call has ended for all connections.
        """
        callback = Q(call_connection_id=call_connection_id, type="CallDisconnected")
        grid = Q(correlation_id=correlation_id, type="CallEnded")
        named = callback & Q(call_connection_id__gt="") | grid & Q(correlation_id__gt="")
        return self.filter(named).order_by()

    def of_call(self, call_connection_id: str, correlation_id: str) -> Self:
        """Selects the events of one call connection, in the order of `Meta.ordering`.

        Callbacks name the call connection. Events of Event Grid name only the correlation id or the
        server's id of the call, which the callbacks name too. Indexes: event_of_connection,
        event_of_correlation, event_of_server_call.
        """
        own = Q(pk__in=[])
        if call_connection_id:
            own |= Q(call_connection_id=call_connection_id)
            named = self.model.objects.filter(call_connection_id=call_connection_id)
            servers = named.exclude(server_call_id="").order_by().values("server_call_id")
            own |= Q(call_connection_id="", server_call_id__in=servers)
        if correlation_id:
            own |= Q(call_connection_id="", correlation_id=correlation_id)
        return self.filter(own)


class CallEvent(models.Model):
    """One CloudEvent of Call Automation, or one event of Event Grid. Stored once, however often it
    is sent: its id is derived from the sender's.
    """

    class Source(models.TextChoices):
        CALLBACK = "callback", "Call Automation"
        EVENT_GRID = "event_grid", "Event Grid"

    id = models.UUIDField(primary_key=True, editable=False)
    source = models.CharField(max_length=16, choices=Source.choices)
    event_id = models.CharField(max_length=256, help_text="The id that the sender gave it.")
    type = models.CharField(
        max_length=128,
        help_text='Without "Microsoft.Communication."; unknown types as they were sent.',
    )
    call_connection_id = models.CharField(max_length=256, blank=True)
    correlation_id = models.CharField(max_length=256, blank=True)
    server_call_id = models.CharField(max_length=1024, blank=True)
    occurred_at = models.DateTimeField(help_text="By the sender's clock.")
    received_at = models.DateTimeField(help_text="By the clock of this installation.")
    sequence_number = models.BigIntegerField(
        null=True, help_text="Of ParticipantsUpdated: their true order."
    )
    data = models.JSONField(default=dict, help_text="The event's `data`, as it was sent.")
    has_call = models.BooleanField(
        null=True,
        editable=False,
        help_text="Whether its call is recorded; asked when the event is old.",
    )

    objects = CallEventQuerySet.as_manager()

    class Meta:
        ordering = ["occurred_at", "received_at", "id"]
        verbose_name = "ACS event"
        verbose_name_plural = "ACS events"
        indexes = [
            # Events of a call: its page, its coverage; with the type: whether it has ended.
            models.Index(fields=["call_connection_id", "type"], name="event_of_connection"),
            models.Index(fields=["correlation_id", "type"], name="event_of_correlation"),
            models.Index(fields=["server_call_id"], name="event_of_server_call"),
            # Admin list, and the events that coverage has not read yet.
            models.Index(fields=["-received_at", "-id"], name="event_newest_first"),
            # Admin filter by type.
            models.Index(fields=["type", "-received_at"], name="event_of_type"),
            # Events without a call, to be deleted: each event is asked once.
            models.Index(fields=["received_at"], name="event_unasked", condition=Q(has_call=None)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
