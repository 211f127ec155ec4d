"""What is remembered of calls: the call, its sockets, who spoke, the audio, and the ledger of what
is not audio.

Rows are made by the sealer from journals, never edited by hand. Ids are derived (`calls.identity`),
so writing a row twice is harmless. Audio is in the audio store before its `Segment` row exists.

Time on the axis is counted in samples since the Unix epoch at the track's own rate: processes agree
on it without talking to each other, and the zero of a call is the minimum over its tracks, found
when somebody asks.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from calls import identity
from calls.querysets import (
    BROKEN,
    CallQuerySet,
    ParticipantQuerySet,
    SegmentQuerySet,
    SubscriptionQuerySet,
)
from calls.times import from_sample

BYTES_PER_SAMPLE = 2  # signed 16-bit little-endian, the only encoding ACS streams


class Call(models.Model):
    """One ACS call connection, over all its sockets. Its state is derived: see
    `CallQuerySet.with_state`.
    """

    if TYPE_CHECKING:  # annotations of CallQuerySet
        state: str
        ended_at: datetime | None
        audio_started_at: datetime | None
        audio_ended_at: datetime | None

    id = models.UUIDField(primary_key=True, editable=False)
    call_connection_id = models.CharField(max_length=256, blank=True)
    correlation_id = models.CharField(max_length=256, blank=True)
    started_at = models.DateTimeField(help_text="When the first socket of the call was accepted.")

    objects: ClassVar = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        permissions = [
            # Besides Django's own; `view_call` is the dashboard, lists, pages of calls, and all of
            # REST but audio.
            ("listen_live", "Can listen in on live calls"),
            ("hear_recording", "Can hear recordings: the player, and audio in REST"),
            ("export_recording", "Can download recordings, many at once, and lists of calls"),
        ]
        indexes = [
            # REST and admin lists: newest first, by cursor; filters started_after, started_before.
            models.Index(fields=["-started_at", "-id"], name="call_newest_first"),
            # REST filter and admin search by exact id.
            models.Index(fields=["call_connection_id"], name="call_connection_id"),
            models.Index(fields=["correlation_id"], name="call_correlation_id"),
        ]

    def __str__(self) -> str:
        return self.call_connection_id or str(self.id)

    def get_absolute_url(self) -> str:
        """The page of the call; the admin leads to it."""
        return reverse("call", args=[self.pk])


class Subscription(models.Model):
    """One AudioMetadata on one socket: what was announced, when it was open, how it closed, what
    was counted.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="subscriptions")
    stream_id = models.UUIDField(
        help_text="The socket. A second AudioMetadata makes a second subscription on it."
    )
    subscription_id = models.CharField(
        max_length=256, blank=True, help_text="ACS's subscriptionId."
    )
    encoding = models.CharField(max_length=32, blank=True)
    sample_rate = models.PositiveIntegerField(null=True, blank=True, help_text="Hz")
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    length = models.FloatField(null=True, blank=True, help_text="Bytes per packet, as announced.")
    connected_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When a process last vouched that the socket is open.")
    disconnected_at = models.DateTimeField(null=True, blank=True)
    close_code = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: it broke, or our process died."
    )
    audio = models.PositiveBigIntegerField(default=0, help_text="Valid audio packets.")
    dtmf = models.PositiveBigIntegerField(default=0)
    unknown = models.PositiveBigIntegerField(default=0)
    malformed = models.PositiveBigIntegerField(default=0)
    duplicate = models.PositiveBigIntegerField(default=0, help_text="Exact duplicates, dropped.")
    late = models.PositiveBigIntegerField(
        default=0, help_text="Packets that came after a younger one."
    )

    objects: ClassVar = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["connected_at", "id"]
        indexes = [
            # CallQuerySet.with_state and the sockets of a call.
            models.Index(fields=["call", "connected_at"], name="subscription_of_call"),
            # Heartbeat and closing: by socket.
            models.Index(fields=["stream_id"], name="subscription_stream"),
            # state=live, dashboard snapshot: a handful of rows out of millions.
            models.Index(
                fields=["seen_at"], name="subscription_open", condition=Q(disconnected_at=None)
            ),
            models.Index(fields=["disconnected_at"], name="subscription_closed"),
            # Admin list: newest first.
            models.Index(fields=["-connected_at"], name="subscription_newest_first"),
            # state=interrupted: few out of millions.
            models.Index(fields=["call"], name="subscription_broken", condition=BROKEN),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(disconnected_at=None) | Q(disconnected_at__gte=F("connected_at")),
                name="subscription_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return self.subscription_id or str(self.id)

    @property
    def counts(self) -> dict[str, int]:
        return {
            name: getattr(self, name)
            for name in ("audio", "dtmf", "unknown", "malformed", "duplicate", "late")
        }


class Participant(models.Model):
    """One voice of a call and so one track of audio; `raw_id` is "" for the mixed audio of
    everyone.
    """

    if TYPE_CHECKING:
        segments: models.Manager[Segment]

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="participants")
    raw_id = models.CharField(max_length=identity.RAW_ID_MAX_LENGTH, blank=True)
    kind = models.CharField(max_length=16, choices=list(identity.KINDS.items()))
    display_name = models.CharField(max_length=256, blank=True)
    heard_at = models.DateTimeField(
        null=True, blank=True, help_text="First sealed moment of the track."
    )
    heard_until = models.DateTimeField(
        null=True, blank=True, help_text="Last sealed moment of the track."
    )

    objects: ClassVar = ParticipantQuerySet.as_manager()

    class Meta:
        ordering = [F("heard_at").asc(nulls_last=True), "id"]
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
        """A readable identity: the display name where one is known, otherwise what the raw id
        tells.
        """
        return self.display_name or identity.label_of(self.raw_id)


class Segment(models.Model):
    """A stretch of one track without a gap, at most SEGMENT_SECONDS long, whole in the audio
    store.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    # No index of their own: segment_one_per_start and segment_of_journal begin with them.
    participant = models.ForeignKey(
        Participant, on_delete=models.CASCADE, related_name="segments", db_index=False
    )
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="segments", db_index=False
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

    objects: ClassVar = SegmentQuerySet.as_manager()

    class Meta:
        ordering = ["participant_id", "start_sample"]
        indexes = [
            # Export, peaks, overlap check of the sealer: a track's segments by time come from the
            # unique constraint. On Postgres its index also holds lengths and sizes (migration
            # 0006): what lists sum up is read from it alone. Admin list: newest first.
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
        """Size of the PCM, which is what `sha256` is over."""
        return self.sample_count * BYTES_PER_SAMPLE


class LedgerEntry(models.Model):
    """What happened to a call besides audio: gaps, DTMF, reconnects, clock jumps, recoveries,
    faults.
    """

    class Kind(models.TextChoices):
        GAP = "gap", "Gap"
        DTMF = "dtmf", "DTMF"
        RECONNECT = "reconnect", "Reconnect"
        CLOCK_JUMP = "clock_jump", "Clock jump"
        RATE_CHANGE = "rate_change", "Change of sample rate"
        RECOVERED = "recovered", "Recovered after a crash"
        DAMAGE = "damage", "Damaged journal"
        ALARM = "alarm", "Alarm"
        LISTENING = "listening", "Somebody listened in"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="ledger")
    participant = models.ForeignKey(
        Participant, on_delete=models.CASCADE, null=True, blank=True, related_name="ledger"
    )
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, null=True, blank=True, related_name="ledger"
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

    class Meta:
        verbose_name_plural = "ledger entries"
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


class AudioBlob(models.Model):
    """One object of the audio store when AUDIO_STORE=database."""

    name = models.CharField(primary_key=True, max_length=200)
    content = models.BinaryField()
    size = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class DiscardedAudio(models.Model):
    """An object of the audio store whose segment is deleted: `calls.storage.deletion.sweep` removes
    the object, then this row.

    Written in the transaction that deletes the segment, so that neither a crash nor a store that is
    away leaves audio behind for good.
    """

    name = models.CharField(primary_key=True, max_length=200)
    segment_id = models.UUIDField(
        help_text="Sealed again from its journal, the segment needs its object after all."
    )

    class Meta:
        verbose_name_plural = "discarded audio"

    def __str__(self) -> str:
        return self.name


class RecorderProcess(models.Model):
    """A process that records, as it said of itself some seconds ago: for the administrator's
    overview.

    `seal_lag_seconds`, `spool_files` and `spool_bytes` are of the whole spool, which processes of
    one host share.
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

    objects: ClassVar = models.Manager()

    class Meta:
        ordering = ["host", "started_at"]
        verbose_name_plural = "recorder processes"

    def __str__(self) -> str:
        return str(self.id)

    @property
    def short_id(self) -> str:
        return str(self.id)[:8]


class FailedJournal(models.Model):
    """A journal that was not sealed though store and database were there. Nothing of it is lost: it
    lies in the spool.

    One that is set aside is not tried again until somebody asks for it; any other is, four times a
    minute.
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

    objects: ClassVar = models.Manager()

    class Meta:
        ordering = ["-failed_at", "-id"]

    def __str__(self) -> str:
        return self.name
