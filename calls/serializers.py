"""Serializers of rows for REST and the live socket. They run no queries: `CallQuerySet.for_rest`
has loaded everything.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from calls.export.axis import Axis
from calls.identity import is_canary
from calls.models import (
    Call,
    CallCoverage,
    LedgerEntry,
    LegalHold,
    Participant,
    Segment,
    Subscription,
)


class CountsSerializer(serializers.Serializer[Any]):
    """Messages of one subscription by kind, and audio packets that were duplicate, late, or had a
    timestamp that could not be read.
    """

    audio = serializers.IntegerField()
    dtmf = serializers.IntegerField()
    unknown = serializers.IntegerField()
    malformed = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    late = serializers.IntegerField()
    odd_timestamp = serializers.IntegerField()


class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    counts = CountsSerializer(read_only=True)

    class Meta:
        model = Subscription
        fields = [
            "id",
            "subscription_id",
            "encoding",
            "sample_rate",
            "channels",
            "length",
            "connected_at",
            "disconnected_at",
            "close_code",
            "counts",
        ]
        read_only_fields = fields


class ParticipantSerializer(serializers.ModelSerializer[Participant]):
    recorded_seconds = serializers.SerializerMethodField(
        help_text="Stored audio, including silence."
    )
    gap_seconds = serializers.SerializerMethodField(help_text="Missing time within the track.")

    class Meta:
        model = Participant
        fields = [
            "id",
            "raw_id",
            "kind",
            "display_name",
            "label",
            "recorded_seconds",
            "gap_seconds",
        ]
        read_only_fields = fields

    def get_recorded_seconds(self, participant: Participant) -> float:
        return round(participant.recorded_seconds, 6)

    def get_gap_seconds(self, participant: Participant) -> float:
        return round(participant.gap_seconds, 6)


class CallSerializer(serializers.ModelSerializer[Call]):
    """A call of `CallQuerySet.for_rest`, for REST, the live socket and the pages."""

    state = serializers.ChoiceField(choices=["live", "ended", "interrupted"], read_only=True)
    ended_at = serializers.DateTimeField(read_only=True, allow_null=True)
    audio_started_at = serializers.SerializerMethodField(
        help_text="The zero of the axis of every track and export."
    )
    duration_seconds = serializers.SerializerMethodField(
        help_text="Length of the recorded axis, and of a full export."
    )
    continued_from = serializers.UUIDField(
        read_only=True,
        allow_null=True,
        help_text="The call with the same connection id that had ended before this one began.",
    )
    continued_in = serializers.UUIDField(
        read_only=True,
        allow_null=True,
        help_text="The call with the same connection id that began after this one had ended.",
    )
    canary = serializers.SerializerMethodField(
        help_text="Whether acsmedia has placed the call to test itself: docs/canary.md."
    )
    participants = ParticipantSerializer(
        many=True,
        read_only=True,
        source="tracks",
        help_text="In the order of their first audio, then of their arrival.",
    )
    subscriptions = SubscriptionSerializer(many=True, read_only=True, source="sockets")

    class Meta:
        model = Call
        fields = [
            "id",
            "call_connection_id",
            "correlation_id",
            "state",
            "started_at",
            "ended_at",
            "audio_started_at",
            "duration_seconds",
            "continued_from",
            "continued_in",
            "canary",
            "participants",
            "subscriptions",
        ]
        read_only_fields = fields

    def get_canary(self, call: Call) -> bool:
        return is_canary(call.call_connection_id)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_audio_started_at(self, call: Call) -> str | None:
        heard = [track.heard_at for track in call.tracks if track.heard_at]
        return serializers.DateTimeField().to_representation(min(heard)) if heard else None

    def get_duration_seconds(self, call: Call) -> float:
        heard = [
            (track.heard_at, track.heard_until)
            for track in call.tracks
            if track.heard_at and track.heard_until
        ]
        rate = max((track.highest_rate or 0 for track in call.tracks), default=0)
        if not heard or not rate:
            return 0.0
        seconds = (max(end for _, end in heard) - min(start for start, _ in heard)).total_seconds()
        # Moments are stored in microseconds, finer than a sample. Rounded to whole samples at the
        # rate of an export, they give its length exactly.
        return round(round(seconds * rate) / rate, 6)


class ActiveAlarmSerializer(serializers.Serializer[Any]):
    """An alarm that is on, with the members that it has on the live socket."""

    alarm = serializers.CharField(source="reason", help_text="Name: docs/dashboard.md, Alarms.")
    participant = serializers.UUIDField(
        source="participant_id", allow_null=True, help_text="null: an alarm of the whole call."
    )
    since = serializers.DateTimeField(
        source="started_at", help_text="When the condition began, not when the alarm was raised."
    )


class RestCallSerializer(CallSerializer):
    """A call of `for_rest`, `with_verdict` and `with_active_alarms`, for REST only: on the live
    socket alarms are messages of their own, and a live call has no verdict.
    """

    alarms = serializers.SerializerMethodField(
        help_text="Active alarms, oldest first; [] once the call has ended."
    )

    verdict = serializers.ChoiceField(
        choices=CallCoverage.Verdict.choices,
        read_only=True,
        help_text="Whether all of it was recorded: docs/coverage.md.",
    )

    class Meta(CallSerializer.Meta):
        fields = [*CallSerializer.Meta.fields, "verdict", "alarms"]
        read_only_fields = fields

    @extend_schema_field(ActiveAlarmSerializer(many=True))
    def get_alarms(self, call: Call) -> Any:
        # Several sockets may report the same alarm: it is on since the earliest.
        earliest: dict[Any, LedgerEntry] = {
            (alarm.participant_id, alarm.reason): alarm for alarm in reversed(call.active_alarms)
        }
        oldest_first = sorted(earliest.values(), key=lambda alarm: alarm.started_at)
        return ActiveAlarmSerializer(oldest_first, many=True).data


class LegalHoldSerializer(serializers.ModelSerializer[LegalHold]):
    class Meta:
        model = LegalHold
        fields = [
            *("id", "name", "reason", "number", "set_by", "set_at"),
            *("lifted_by", "lifted_at", "lift_reason"),
        ]
        read_only_fields = fields


class HeldBySerializer(serializers.ModelSerializer[LegalHold]):
    class Meta:
        model = LegalHold
        fields = ["id", "name", "set_at"]
        read_only_fields = fields


class RetentionSerializer(serializers.Serializer[Any]):
    held_by = HeldBySerializer(many=True, help_text="Legal holds in force, the oldest first.")


class OneCallSerializer(RestCallSerializer):
    """A call alone, with `holds`: those of a list would need queries for each call."""

    retention = serializers.SerializerMethodField(help_text="What keeps it: docs/retention.md.")

    class Meta(RestCallSerializer.Meta):
        fields = [*RestCallSerializer.Meta.fields, "retention"]
        read_only_fields = fields

    @extend_schema_field(RetentionSerializer)
    def get_retention(self, call: Any) -> Any:
        return RetentionSerializer({"held_by": call.holds}).data


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    """A segment; needs the call's `axis` in its context."""

    started_at = serializers.DateTimeField(read_only=True)
    start_sample = serializers.SerializerMethodField(
        help_text="First sample on the call's axis, counted from its zero at the segment's rate."
    )
    size_bytes = serializers.IntegerField(
        read_only=True, help_text="Size of the PCM: 16-bit little-endian, mono."
    )

    class Meta:
        model = Segment
        fields = [
            "id",
            "participant",
            "subscription",
            "started_at",
            "start_sample",
            "sample_count",
            "sample_rate",
            "size_bytes",
            "sha256",
            "peak_dbfs",
            "rms_dbfs",
        ]
        read_only_fields = fields

    def get_start_sample(self, segment: Segment) -> int:
        axis: Axis = self.context["axis"]
        return axis.at_rate(segment.sample_rate).place(segment.start_sample, segment.sample_rate)


class PeaksSerializer(serializers.Serializer[Any]):
    """A waveform, the response of the peaks endpoint."""

    call = serializers.UUIDField()
    participant = serializers.UUIDField(allow_null=True, help_text="null: the mix of all tracks.")
    start = serializers.FloatField(help_text="Seconds from `audio_started_at`.")
    end = serializers.FloatField(help_text="Seconds from `audio_started_at`.")
    points = serializers.IntegerField(help_text="Number of pairs.")
    peaks = serializers.ListField(
        child=serializers.ListField(
            child=serializers.FloatField(min_value=-1, max_value=1), min_length=2, max_length=2
        ),
        help_text="Lowest and highest sample of each point, full scale ±1.",
    )


class ManifestSegmentSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    subscription = serializers.UUIDField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    start = serializers.FloatField(help_text="Seconds from `audio_started_at`.")
    end = serializers.FloatField()
    start_sample = serializers.IntegerField(
        help_text="Counted from the call's zero at the segment's rate."
    )
    sample_count = serializers.IntegerField()
    sample_rate = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()


class ManifestGapSerializer(serializers.Serializer[Any]):
    start = serializers.FloatField(allow_null=True, help_text="Seconds from `audio_started_at`.")
    end = serializers.FloatField(allow_null=True)
    reason = serializers.CharField()
    cause = serializers.CharField(
        allow_null=True, help_text="Why ACS did not stream, if its events say so."
    )
    text = serializers.CharField(help_text="Reason and cause in words.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ManifestDamageSerializer(serializers.Serializer[Any]):
    segment = serializers.UUIDField()
    reason = serializers.CharField(help_text="`audio_missing` or `audio_damaged`.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    found_at = serializers.DateTimeField()


class ManifestCountsSerializer(serializers.Serializer[Any]):
    segments = serializers.IntegerField()
    gaps = serializers.IntegerField()
    samples = serializers.IntegerField()
    size_bytes = serializers.IntegerField()


class ManifestTrackSerializer(serializers.Serializer[Any]):
    participant = ParticipantSerializer()
    segments = ManifestSegmentSerializer(many=True)
    gaps = ManifestGapSerializer(many=True)
    damage = ManifestDamageSerializer(many=True, help_text="Faults found by `check_recordings`.")
    counts = ManifestCountsSerializer()


class ManifestSerializer(serializers.Serializer[Any]):
    """The proof of a recording, the response of the manifest endpoint."""

    call = CallSerializer()
    generated_at = serializers.DateTimeField()
    tracks = ManifestTrackSerializer(many=True)
