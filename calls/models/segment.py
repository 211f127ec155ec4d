"""The segment: a stored piece of a track, without gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from calls.times import from_sample

BYTES_PER_SAMPLE = 2  # signed 16-bit little-endian, the only encoding ACS streams


class SegmentQuerySet(models.QuerySet["Segment"]):
    def on_axis(self) -> Self:
        """Orders the segments of a track by time."""
        return self.order_by(F("start_sample").asc())


class Segment(models.Model):
    """A piece of one track without gaps, at most SEGMENT_SECONDS long; one object of the audio
    store.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    # No separate indexes: segment_one_per_start and segment_of_journal begin with these columns.
    participant = models.ForeignKey(
        "calls.Participant", on_delete=models.CASCADE, related_name="segments", db_index=False
    )
    subscription = models.ForeignKey(
        "calls.Subscription", on_delete=models.CASCADE, related_name="segments", db_index=False
    )
    journal = models.PositiveIntegerField(
        help_text="Number, within its socket, of the journal it came from."
    )
    start_sample = models.BigIntegerField(
        help_text="Samples since the Unix epoch, at this segment's rate."
    )
    sample_count = models.PositiveIntegerField()
    sample_rate = models.PositiveIntegerField(help_text="Hz")
    sha256 = models.CharField(
        max_length=64, help_text="Of the PCM bytes (16-bit little-endian, mono)."
    )
    peak_dbfs = models.FloatField()
    rms_dbfs = models.FloatField()
    audio_name = models.CharField(
        max_length=200, help_text="Name of the object in the audio store."
    )
    stored_bytes = models.PositiveIntegerField(help_text="Size of the object in the audio store.")
    sealed_at = models.DateTimeField()
    peaks = models.BinaryField(
        null=True,
        blank=True,
        help_text="Its waveform (calls.audio.waveform); empty: to be decoded.",
    )
    stamps = models.BinaryField(
        null=True,
        help_text="Timestamps of its packets; only for audio of two sockets at once.",
    )

    objects = SegmentQuerySet.as_manager()

    class Meta:
        ordering = ["participant_id", "start_sample"]
        indexes = [
            # Export, peaks and the sealer's overlap check read a track's segments by time: the
            # unique constraint below serves them. On Postgres its index also holds lengths and
            # sizes (migration 0006), so that lists sum them without reading the table.
            # Admin list: newest first.
            models.Index(fields=["-sealed_at"], name="segment_newest_first"),
            # Sealer: has this journal been sealed already?
            models.Index(fields=["subscription", "journal"], name="segment_of_journal"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "start_sample"], name="segment_one_per_start"
            ),
            models.CheckConstraint(condition=Q(sample_count__gt=0), name="segment_not_empty"),
            models.CheckConstraint(condition=Q(sample_rate__gt=0), name="segment_has_a_rate"),
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S} +{self.duration_seconds:.2f} s"

    @property
    def started_at(self) -> datetime:
        return from_sample(self.start_sample, self.sample_rate)

    @property
    def ended_at(self) -> datetime:
        return from_sample(self.start_sample + self.sample_count, self.sample_rate)

    @property
    def duration_seconds(self) -> float:
        return self.sample_count / self.sample_rate

    @property
    def size_bytes(self) -> int:
        """Returns the size of the PCM, the bytes that `sha256` covers."""
        return self.sample_count * BYTES_PER_SAMPLE
