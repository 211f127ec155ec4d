"""The participant: one speaker of a call, and so one track of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import Coalesce

from calls import identity
from calls.models.aggregates import SECONDS, total_of
from calls.models.ledger import LedgerEntry
from calls.models.segment import Segment


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def with_recording(self) -> Self:
        """Annotates `segment_count`, `stored_bytes`, `recorded_seconds`, `gap_count` and
        `gap_seconds` of the track.
        """
        segments, gaps = Segment.objects.all(), LedgerEntry.objects.gaps()
        return self.annotate(
            segment_count=Coalesce(total_of(segments, "participant", Count("*")), 0),
            stored_bytes=Coalesce(total_of(segments, "participant", Sum("stored_bytes")), 0),
            recorded_seconds=Coalesce(total_of(segments, "participant", SECONDS), 0.0),
            gap_count=Coalesce(total_of(gaps, "participant", Count("*")), 0),
            gap_seconds=Coalesce(total_of(gaps, "participant", SECONDS), 0.0),
        )

    def with_lengths(self) -> Self:
        """Annotates `recorded_seconds`, `gap_seconds` and `highest_rate` (Hz; None without
        segments) of the track.
        """
        segments, gaps = Segment.objects.all(), LedgerEntry.objects.gaps()
        return self.annotate(
            recorded_seconds=Coalesce(total_of(segments, "participant", SECONDS), 0.0),
            gap_seconds=Coalesce(total_of(gaps, "participant", SECONDS), 0.0),
            highest_rate=total_of(segments, "participant", Max("sample_rate")),
        )


class Participant(models.Model):
    """One participant of a call; `raw_id` is "" for the mixed audio of everyone."""

    if TYPE_CHECKING:  # annotations of ParticipantQuerySet
        segment_count: int
        stored_bytes: int
        recorded_seconds: float
        gap_count: int
        gap_seconds: float
        highest_rate: int | None

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="participants")
    raw_id = models.CharField(max_length=identity.RAW_ID_MAX_LENGTH, blank=True)
    kind = models.CharField(max_length=16, choices=list(identity.KINDS.items()))
    display_name = models.CharField(max_length=256, blank=True)
    heard_at = models.DateTimeField(
        null=True, blank=True, help_text="First sealed moment of the track."
    )
    heard_until = models.DateTimeField(
        null=True, blank=True, help_text="Last sealed moment of the track."
    )
    voice = models.SmallIntegerField(  # without a check, which is added under a lock
        null=True,
        blank=True,
        help_text="Order of arrival on the socket that `heard_at` comes from, counted from 0.",
    )

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        ordering = [
            F("heard_at").asc(nulls_last=True),
            F("voice").asc(nulls_last=True),  # of voices that begin in the same microsecond
            "id",
        ]
        indexes = [
            # Search: exact raw id.
            models.Index(fields=["raw_id"], name="participant_raw_id"),
            # Admin filter by kind.
            models.Index(fields=["kind"], name="participant_kind"),
            # Admin list: newest first.
            models.Index(fields=["-heard_at"], name="participant_newest_first"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["call", "raw_id"], name="participant_once_per_call"),
            models.CheckConstraint(
                condition=Q(heard_until=None) | Q(heard_until__gte=F("heard_at")),
                name="participant_heard_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Returns the display name if there is one, otherwise a label from the raw id."""
        return self.display_name or identity.label_of(self.raw_id)
