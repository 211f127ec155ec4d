"""The refused handshake: a media socket that was not accepted, so nothing of it is recorded."""

from __future__ import annotations

from django.db import models


class RefusedHandshake(models.Model):
    """Refusals of one minute that agree in reason, call and address. Never the token.

    `from_acs`: see streams/live/refusals.py. Those of strangers are kept without address and call.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    process = models.UUIDField(help_text="The recording process that refused them.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    reason = models.CharField(max_length=64, help_text="A key of REFUSALS in calls/wording.py.")
    from_acs = models.BooleanField()
    address = models.GenericIPAddressField(null=True)
    call_connection_id = models.CharField(max_length=256, blank=True)
    correlation_id = models.CharField(max_length=256, blank=True)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_at", "-id"]
        indexes = [
            models.Index(fields=["-last_at", "-id"], name="refusal_newest_first"),
            models.Index(fields=["call_connection_id"], name="refusal_of_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} ({self.count})"
