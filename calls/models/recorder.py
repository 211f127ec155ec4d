"""Recording processes and failed journals, as the processes last reported them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from calls.models.subscription import CLOCK_TOLERANCE

SILENT_AFTER = timedelta(seconds=30)
"""Recorders report every five seconds."""


class RecorderProcess(models.Model):
    """A recording process, as it reported itself some seconds ago.

    `seal_lag_seconds`, `spool_files` and `spool_bytes` describe the whole spool, which the
    processes of one host share.
    """

    id = models.UUIDField(
        primary_key=True, editable=False, help_text="Also the name of its folder in the spool."
    )
    host = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    open_streams = models.PositiveIntegerField()
    segments_sealed = models.PositiveBigIntegerField()
    seal_lag_seconds = models.FloatField()
    spool_files = models.PositiveBigIntegerField()
    spool_bytes = models.PositiveBigIntegerField()
    failures = models.JSONField(
        help_text="Attempts that failed and are repeated: store, database, journal."
    )
    last_error = models.CharField(max_length=200, blank=True)
    refusals = models.JSONField(
        null=True,
        help_text="Refused handshakes of the last hour by reason: `from_acs` and `others`. Null if "
        "the process is of an older version.",
    )

    class Meta:
        ordering = ["host", "started_at"]
        verbose_name_plural = "recorder processes"

    def __str__(self) -> str:
        return str(self.id)

    def is_silent(self, now: datetime) -> bool:
        """Whether it has not reported for a while: it has died, or cannot reach the database. One
        that was stopped has no row.
        """
        return not -CLOCK_TOLERANCE < now - self.seen_at < SILENT_AFTER

    @property
    def short_id(self) -> str:
        return str(self.id)[:8]


class FailedJournal(models.Model):
    """A journal that could not be sealed although store and database were reachable. It stays in
    the spool, so nothing is lost.

    It is retried four times a minute. A journal that was set aside is retried only on request.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    process = models.UUIDField(help_text="Whose folder of the spool it lies in.")
    name = models.CharField(max_length=200)
    error = models.CharField(max_length=200, blank=True)
    tries = models.PositiveIntegerField()
    is_set_aside = models.BooleanField("set aside")
    failed_at = models.DateTimeField("first failed at")
    seen_at = models.DateTimeField(help_text="When a recorder last found it there.")
    retry_asked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-failed_at", "-id"]

    def __str__(self) -> str:
        return self.name
