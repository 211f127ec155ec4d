"""The endpoint: an address of another system that receives events."""

from __future__ import annotations

from django.db import models


class WebhookEndpoint(models.Model):
    """An address, its secret, and the events that it wants.

    Signed as Standard Webhooks 1.0.0 (https://www.standardwebhooks.com) says.
    """

    id = models.BigAutoField(primary_key=True)
    url = models.URLField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    secret = models.CharField(max_length=128, help_text='"whsec_" and the key in base64.')
    previous_secret = models.CharField(
        max_length=128, blank=True, help_text="Signs as well, until it is removed."
    )
    event_types = models.JSONField(
        default=list, blank=True, help_text="Types of events that it wants; empty: all."
    )
    is_enabled = models.BooleanField("enabled", default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Kept by calls/notifications/delivery.py. While an endpoint does not answer, one delivery tries
    # it now and then, and all others wait.
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Attempts without an answer since the last one."
    )
    failing_since = models.DateTimeField(null=True, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False)
    claimed_until = models.DateTimeField(
        null=True, editable=False, help_text="A process delivers to it: one at a time."
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.description or self.url

    def wants(self, event_type: str) -> bool:
        return not self.event_types or event_type in self.event_types
