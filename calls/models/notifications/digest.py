"""The digest: a mail that sums up the alarms of a day."""

from __future__ import annotations

from django.db import models


class SentDigest(models.Model):
    """A day with a digest that has been sent, so that it is sent once."""

    day = models.DateField(primary_key=True)
    claimed_at = models.DateTimeField(help_text="When a process began to send it.")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-day"]
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.day)
