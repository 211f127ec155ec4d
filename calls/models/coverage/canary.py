"""The canary run: one synthetic call and its result (docs/canary.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import uuid4

from django.db import models
from django.db.models import Q


class CanaryRunQuerySet(models.QuerySet["CanaryRun"]):
    def with_calls(self) -> Self:
        """Selects runs with a call that was not deleted yet. Index: canary_undeleted."""
        return self.filter(deleted_at=None)

    def finished(self) -> Self:
        """Selects runs with a result, the newest first. Index: canary_newest_first."""
        return self.exclude(outcome=CanaryRun.Outcome.RUNNING).order_by("-started_at", "-id")

    def failed_since_success(self) -> Self:
        """Selects the failed runs after the last good one, the newest first."""
        good = self.model.objects.filter(outcome=CanaryRun.Outcome.PASSED)
        last: datetime | None = good.aggregate(last=models.Max("started_at"))["last"]
        failed = self.filter(outcome=CanaryRun.Outcome.FAILED)
        return (failed.filter(started_at__gt=last) if last else failed).order_by("-started_at")


class CanaryRun(models.Model):
    """One canary call. The row is written before the call is placed, so that every canary call is
    known, and deleted when it is old; call and audio are deleted after a day.
    """

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    call_connection_id = models.CharField(max_length=64, unique=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    every_seconds = models.FloatField(
        null=True, help_text="The interval of runs; null: this one alone."
    )
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.RUNNING)
    reason = models.CharField(
        max_length=64, blank=True, help_text="A key of CANARY_FAILURES in calls/wording.py."
    )
    detail = models.CharField(max_length=200, blank=True)
    sample_count = models.PositiveIntegerField(default=0, help_text="Samples sent, of all tracks.")
    difference_samples = models.PositiveIntegerField(
        null=True, help_text="Samples that came back wrong or not at all; null: none was fetched."
    )
    delay_seconds = models.FloatField(
        null=True, help_text="From the last packet until everything was in REST."
    )
    deleted_at = models.DateTimeField(null=True, help_text="When its call was deleted.")

    objects = CanaryRunQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        default_permissions = ()  # `view_call` shows them, like calls
        indexes = [
            # Admin list, metrics, alarm.
            models.Index(fields=["-started_at", "-id"], name="canary_newest_first"),
            # The job that deletes canary calls; the filter of lists.
            models.Index(
                fields=["started_at"], name="canary_undeleted", condition=Q(deleted_at=None)
            ),
        ]

    def __str__(self) -> str:
        return self.call_connection_id
