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
        ordering = ["-first_at", "-id"]  # `last_at` changes while a list is read
        default_permissions = ("view",)
        indexes = [
            # Lists, and the job that removes old ones.
            models.Index(fields=["-first_at", "-id"], name="refusal_newest_first"),
            # The sums of a range of time.
            models.Index(fields=["last_at"], name="refusal_last_at"),
            models.Index(fields=["call_connection_id"], name="refusal_of_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} ({self.count})"
