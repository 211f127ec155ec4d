"""The lease: one process at a time runs a periodic job."""

from __future__ import annotations

from django.db import models


class JobLease(models.Model):
    """A job and the process that runs it. Another one takes over when the lease has run out."""

    name = models.CharField(max_length=64, primary_key=True)
    holder = models.UUIDField(null=True)
    expires_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, help_text="When it runs next.")
    ran_at = models.DateTimeField(null=True, help_text="When it ended last.")
    last_error = models.CharField(
        max_length=200, blank=True, help_text="Of that run; empty if it had none."
    )
    position = models.JSONField(default=dict, help_text="Where a long job goes on.")

    class Meta:
        ordering = ["name"]
        verbose_name = "periodic job"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
