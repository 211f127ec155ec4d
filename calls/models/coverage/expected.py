"""The expected call: another system says that it took place."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class ExpectedCall(models.Model):
    """One statement of a telephone system, a call detail record or Azure's own log about a call.

    The id is derived from source and call, so repeating a statement replaces it.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    source = models.CharField(max_length=64, help_text='Such as "pbx", "cdr" or "azure_monitor".')
    call_connection_id = models.CharField(max_length=256, blank=True)
    correlation_id = models.CharField(max_length=256, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    participants = models.PositiveIntegerField(null=True, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["call_connection_id"], name="expected_of_connection"),
            models.Index(fields=["correlation_id"], name="expected_of_correlation"),
            models.Index(fields=["-started_at", "-id"], name="expected_newest_first"),
            # Statements that coverage has not read yet.
            models.Index(fields=["received_at"], name="expected_received"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(call_connection_id="", correlation_id=""), name="expected_names_a_call"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
                name="expected_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.call_connection_id or self.correlation_id}"
