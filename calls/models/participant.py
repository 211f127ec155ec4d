"""The participant: one speaker of a call, and so one track of audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.db import models
from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import Coalesce

from calls import identity
from calls.models.aggregates import SECONDS, total_of
from calls.models.ledger import LedgerEntry
from calls.models.segment import Segment
from calls.models.subscription import database_now


class NameSource(models.TextChoices):
    """The source of a display name. A name given by a person is never replaced by events. ""
    also for rows of older versions, which had no names.
    """

    NOBODY = "", "Nobody"
    EVENT = "event", "Event of ACS"
    PERSON = "person", "Person"


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def name_by_person(self, display_name: str) -> int:
        """Names the selected participants as a person wishes; "" lets events name them again.
        Returns how many have changed.
        """
        source = NameSource.PERSON if display_name else NameSource.NOBODY
        return self.set_name(display_name, source)

    def name_by_event(self, display_name: str) -> int:
        """Names the selected participants as an event says, unless a person has named them.
        Returns how many have changed.
        """
        unnamed = self.exclude(name_source=NameSource.PERSON)
        return unnamed.set_name(display_name, NameSource.EVENT) if display_name else 0

    def name_by_events(self, call_id: UUID, names: Mapping[str, str]) -> int:
        """Names participants of a call by their raw ids, like `name_by_event`."""
        return sum(
            self.filter(call=call_id, raw_id=raw_id).name_by_event(name)
            for raw_id, name in names.items()
        )

    def set_name(self, display_name: str, source: NameSource) -> int:
        changed = self.exclude(display_name=display_name, name_source=source)
        return changed.update(
            display_name=display_name, name_source=source, named_at=database_now()
        )

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
    name_source = models.CharField(
        max_length=16,
        choices=NameSource.choices,
        default=NameSource.NOBODY,
        db_default="",
        blank=True,
        editable=False,
    )
    named_at = models.DateTimeField(
        null=True, editable=False, help_text="When the display name was last changed."
    )
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
            # Open dashboards: names that were changed just now.
            models.Index(
                fields=["named_at"],
                name="participant_named",
                condition=Q(named_at__isnull=False),
            ),
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
