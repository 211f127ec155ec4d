"""The ledger: events of a call that are not audio."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from django.db import models
from django.db.models import F, Q

AUDIO_FAULTS = ("audio_missing", "audio_damaged")
"""Reasons of entries of kind "damage" about stored audio; all others are about journals."""


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def gaps(self) -> Self:
        """Selects missing time on tracks."""
        return self.filter(kind="gap")

    def audio_faults(self) -> Self:
        """Selects faults of stored audio that `check_recordings` has found, past ones too."""
        return self.filter(kind="damage", reason__in=AUDIO_FAULTS)

    def past_audio_faults(self) -> Self:
        """Selects faults of stored audio that a later check has found mended."""
        return self.audio_faults().filter(detail__resolved_at__isnull=False)

    def present_audio_faults(self) -> Self:
        """Selects faults of stored audio that no later check has found mended."""
        return self.audio_faults().filter(detail__resolved_at__isnull=True)

    def active_alarms(self) -> Self:
        """Selects alarms that nobody has cleared. They end with their socket at the latest."""
        return self.filter(kind="alarm", ended_at=None)


class LedgerEntry(models.Model):
    """An event of a call that is not audio: gap, DTMF, reconnect, clock jump, recovery, fault."""

    class Kind(models.TextChoices):
        GAP = "gap", "Gap"
        DTMF = "dtmf", "DTMF"
        RECONNECT = "reconnect", "Reconnect"
        CLOCK_JUMP = "clock_jump", "Clock jump"
        RATE_CHANGE = "rate_change", "Change of sample rate"
        RECOVERED = "recovered", "Recovered after a crash"
        DAMAGE = "damage", "Damaged journal"
        ALARM = "alarm", "Alarm"
        LISTENING = "listening", "Listening in"
        ALARM_HANDLED = "alarm_handled", "Alarm handled"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="ledger")
    participant = models.ForeignKey(
        "calls.Participant", on_delete=models.CASCADE, null=True, blank=True, related_name="ledger"
    )
    subscription = models.ForeignKey(
        "calls.Subscription", on_delete=models.CASCADE, null=True, blank=True, related_name="ledger"
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    reason = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    start_sample = models.BigIntegerField(
        null=True, blank=True, help_text="Gaps: place on the axis."
    )
    sample_count = models.PositiveBigIntegerField(null=True, blank=True, help_text="Gaps: length.")
    sample_rate = models.PositiveIntegerField(null=True, blank=True, help_text="Hz")
    detail = models.JSONField(default=dict, blank=True)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name = "event"
        verbose_name_plural = "events"
        ordering = ["started_at", "id"]
        indexes = [
            # Call page, manifest: the call's entries in order.
            models.Index(fields=["call", "started_at"], name="ledger_of_call"),
            # Admin list by kind, newest first.
            models.Index(fields=["kind", "-started_at"], name="ledger_kind_newest"),
            # Admin list, newest first.
            models.Index(fields=["-started_at"], name="ledger_newest_first"),
            # participants[].gap_seconds
            models.Index(fields=["participant", "kind"], name="ledger_of_participant"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
                name="ledger_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.reason}".strip()
