"""`POST /api/v1/expected-calls/`: another system says that a call took place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api.parameters import NoParameters, validated
from calls.api.schema import ERRORS
from calls.api.views import Resource
from calls.coverage.expected import MAX_SOURCE, StatedCall, state
from calls.coverage.limits import AHEAD, EARLIEST, LONGEST_CALL, MAX_ID, MAX_PARTICIPANTS
from calls.identity import is_canary
from calls.permissions import MayState


class MomentField(serializers.DateTimeField):
    """A time from the year 2000 on, and at most a day in the future."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            moment = super().to_internal_value(value).astimezone(UTC)
        except OverflowError:
            raise ValidationError("This time is out of range.") from None
        if not EARLIEST <= moment <= timezone.now() + AHEAD:
            raise ValidationError("Must be from 2000 on, and at most a day in the future.")
        return moment


class ExpectedCallSerializer(serializers.Serializer[Any]):
    """A call that should be recorded. It names the call by one of its ids, or by both."""

    call_connection_id = serializers.CharField(required=False, max_length=MAX_ID)
    correlation_id = serializers.CharField(required=False, max_length=MAX_ID)
    started_at = MomentField(help_text="When it was answered.")
    ended_at = MomentField(
        required=False, allow_null=True, default=None, help_text="null: not known yet."
    )
    participants = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=MAX_PARTICIPANTS
    )
    # a declared field hides no attribute: DRF takes it out of the class
    source = serializers.CharField(  # type: ignore[assignment]
        default="rest",
        max_length=MAX_SOURCE,
        help_text="Name of the system that says so. A repetition by the same one replaces it.",
    )

    def validate_call_connection_id(self, value: str) -> str:
        if is_canary(value):
            raise ValidationError("This is the id of a canary call.")
        return value

    def validate(self, attrs: Any) -> Any:
        unknown = set(self.initial_data) - set(self.fields)
        if unknown:
            known = ", ".join(self.fields)
            raise ValidationError(
                {name: [f"Unknown member. Known here: {known}."] for name in sorted(unknown)}
            )
        if not (attrs.get("call_connection_id") or attrs.get("correlation_id")):
            message = "Give this or correlation_id: they name the call."
            raise ValidationError({"call_connection_id": [message]})
        if attrs["ended_at"] and attrs["ended_at"] < attrs["started_at"]:
            raise ValidationError({"ended_at": ["Must not be before started_at."]})
        if attrs["ended_at"] and attrs["ended_at"] - attrs["started_at"] > LONGEST_CALL:
            message = f"Must be at most {LONGEST_CALL.days} days after started_at."
            raise ValidationError({"ended_at": [message]})
        return attrs


@extend_schema_view(
    post=extend_schema(
        operation_id="expected_call",
        request=ExpectedCallSerializer,
        responses={201: ExpectedCallSerializer, 200: ExpectedCallSerializer, **ERRORS},
        summary="State that a call took place: 201 the first time, 200 for a repetition",
    )
)
class ExpectedCalls(Resource):
    permission_classes = (MayState,)

    def post(self, request: Request) -> Response:
        validated(request, NoParameters)
        if not isinstance(request.data, dict):
            raise ParseError("Must be a JSON object.")
        body = ExpectedCallSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = {"call_connection_id": "", "correlation_id": "", **body.validated_data}
        is_new = state([StatedCall(**values)]) > 0
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(ExpectedCallSerializer(values).data, status=code)
