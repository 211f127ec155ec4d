"""`/api/v1/coverage/`: how much of the expected calls was recorded, in a range of time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api.pagination import PARAMETERS, CallPages
from calls.api.parameters import validated
from calls.api.schema import described
from calls.api.views import Resource
from calls.coverage.report import Report, calls_of, report
from calls.http.zones import zone_named
from calls.models import CallCoverage, FormerVerdict, MissingTime
from calls.permissions import MaySee
from calls.times import midnight
from calls.wording import missing_text

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=400)


@extend_schema_field(OpenApiTypes.STR)
class ZoneField(serializers.Field[Any, Any, Any, Any]):
    def to_internal_value(self, data: Any) -> tzinfo:
        zone = zone_named(str(data))
        if zone is None:
            raise ValidationError("Not a time zone. Use a name such as Europe/Berlin.")
        return zone

    def to_representation(self, value: Any) -> str:
        return str(value)


@extend_schema_field(OpenApiTypes.STR)
class DayOrMomentField(serializers.Field[Any, Any, Any, Any]):
    """A day, or a time. Returns a date or a datetime."""

    def to_internal_value(self, data: Any) -> date | datetime:
        text = str(data)
        try:
            if len(text) == len("2026-11-30"):
                return date.fromisoformat(text)
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError("Use a day (2026-11-30) or a time in ISO 8601.") from None
        return moment

    def to_representation(self, value: Any) -> Any:
        return value.isoformat()


class RangeSerializer(serializers.Serializer[Any]):
    """A range of time. Days are those of the time zone, and `to` includes its day."""

    timezone = ZoneField(required=False, help_text="Such as Europe/Berlin; default: UTC.")
    to = DayOrMomentField(
        required=False, help_text="A day, inclusive, or a time, exclusive; default: today."
    )

    def get_fields(self) -> dict[str, Any]:
        """Adds `from`, which is a keyword of Python."""
        start = DayOrMomentField(
            required=False, help_text="A day or a time, inclusive; default: today."
        )
        return {"from": start, **super().get_fields()}

    def validate(self, attrs: Any) -> Any:
        zone = attrs.get("timezone", UTC)
        today = timezone.now().astimezone(zone).date()
        start = _moment("from", attrs.get("from", today), zone, days=0)
        end = _moment("to", attrs.get("to", today), zone, days=1)
        if end <= start:
            raise ValidationError({"to": ["Must be after from."]})
        if end - start > LONGEST:
            raise ValidationError({"from": [f"Ask for at most {LONGEST.days} days."]})
        return {**attrs, "zone": zone, "start": start, "end": end}


def _moment(name: str, value: date | datetime, zone: tzinfo, *, days: int) -> datetime:
    """Returns the moment of a parameter: of a day its beginning, `days` later."""
    try:
        if not isinstance(value, datetime):
            moment = midnight(value + timedelta(days=days), zone)
        else:
            moment = (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ValidationError({name: ["This time is out of range."]}) from None
    if not FIRST <= moment <= LAST:
        raise ValidationError({name: ["This time is out of range."]})
    return moment


class CoverageCountsSerializer(serializers.Serializer[Any]):
    """Calls by verdict. `expected` are those of the next three; `refused` are among these."""

    expected = serializers.IntegerField()
    complete = serializers.IntegerField()
    # a declared field hides no attribute: DRF takes it out of the class
    partial = serializers.IntegerField()  # type: ignore[assignment]
    missing = serializers.IntegerField()
    unexpected = serializers.IntegerField(help_text="Recorded, but no other system knows them.")
    refused = serializers.IntegerField(help_text="Audio is missing because ACS was refused.")


class CoverageSecondsSerializer(serializers.Serializer[Any]):
    expected = serializers.FloatField()
    recorded = serializers.FloatField()
    missing = serializers.DictField(
        child=serializers.FloatField(), help_text="By reason, the largest first."
    )


class CoverageSerializer(serializers.Serializer[Any]):
    """The calls that started in the range of time, with all their seconds."""

    calls = CoverageCountsSerializer()
    seconds = CoverageSecondsSerializer()
    captured_ratio = serializers.FloatField(
        allow_null=True, help_text="Recorded seconds per expected second; null: none expected."
    )
    target = serializers.FloatField(help_text="COVERAGE_TARGET, in percent.")


@described("coverage", CoverageSerializer, [RangeSerializer], "Coverage of a range of time")
class Coverage(Resource):
    permission_classes = (MaySee,)

    def get(self, request: Request) -> Response:
        asked = validated(request, RangeSerializer)
        found = report(asked["start"], asked["end"], asked["zone"], target=settings.COVERAGE_TARGET)
        return Response(_representation(found))


def _representation(found: Report) -> dict[str, Any]:
    ratio = found.captured_ratio
    names = ("expected", "complete", "partial", "missing", "unexpected", "refused")
    return {
        "calls": {name: getattr(found.calls, name) for name in names},
        "seconds": {
            "expected": round(found.expected_seconds, 6),
            "recorded": round(found.recorded_seconds, 6),
            "missing": {reason: round(value, 6) for reason, value in found.missing.items()},
        },
        "captured_ratio": None if ratio is None else round(ratio, 9),
        "target": found.target,
    }


class MissingTimeSerializer(serializers.ModelSerializer[MissingTime]):
    text = serializers.SerializerMethodField(help_text="The reason in words.")

    class Meta:
        model = MissingTime
        fields = ["reason", "text", "started_at", "ended_at", "seconds"]
        read_only_fields = fields

    def get_text(self, span: MissingTime) -> str:
        return missing_text(span.reason)


class FormerVerdictSerializer(serializers.ModelSerializer[FormerVerdict]):
    class Meta:
        model = FormerVerdict
        fields = [
            *("verdict", "expected_seconds", "recorded_seconds", "missing_seconds"),
            *("judged_at", "replaced_at"),
        ]
        read_only_fields = fields


class CallCoverageSerializer(serializers.ModelSerializer[CallCoverage]):
    """The coverage of one call. `call`: id of its recording, null without one."""

    call = serializers.UUIDField(source="call_id", allow_null=True, read_only=True)
    missing = MissingTimeSerializer(many=True, read_only=True)
    former = FormerVerdictSerializer(
        many=True, read_only=True, help_text="Verdicts that later ones replaced."
    )
    witnesses = serializers.SerializerMethodField(help_text="What each witness says.")

    class Meta:
        model = CallCoverage
        fields = [
            *("id", "call", "call_connection_id", "correlation_id", "verdict"),
            *("started_at", "ended_at", "expected_seconds", "recorded_seconds"),
            *("missing_seconds", "missing", "participants_expected", "participants_recorded"),
            *("is_refused", "more_than_four", "judged_at", "former", "witnesses"),
        ]
        read_only_fields = fields

    def get_witnesses(self, row: CallCoverage) -> dict[str, Any]:
        found: dict[str, Any] = row.facts.get("witnesses", {})
        return found


class CoverageRowsParameters(RangeSerializer):
    verdict = serializers.ChoiceField(choices=CallCoverage.Verdict.choices, required=False)
    reason = serializers.CharField(
        required=False, max_length=64, help_text="Only calls with missing time of this reason."
    )


@described(
    "coverage_calls",
    CallCoverageSerializer(many=True),
    [CoverageRowsParameters],
    "Coverage of each call, newest first",
)
class CoverageCalls(Resource, ListAPIView[CallCoverage]):
    permission_classes = (MaySee,)
    serializer_class = CallCoverageSerializer
    pagination_class = CallPages
    filter_backends = ()

    def get_queryset(self) -> Any:
        asked = validated(self.request, CoverageRowsParameters, besides=PARAMETERS)
        rows = calls_of(
            asked["start"],
            asked["end"],
            verdict=asked.get("verdict", ""),
            reason=asked.get("reason", ""),
        )
        return rows.prefetch_related("former")
