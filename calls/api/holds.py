"""Legal holds in REST: setting and lifting."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api.parameters import NoParameters, validated
from calls.api.schema import ERRORS, NOT_FOUND
from calls.api.views import Resource
from calls.audit.actors import actor_of
from calls.identity import RAW_ID_MAX_LENGTH
from calls.models import LegalHold
from calls.permissions import MayLiftHolds, MaySetHolds
from calls.serializers import LegalHoldSerializer
from calls.storage import holds

MAX_CALLS = 1000
"""Most calls of one request."""


class _Body(serializers.Serializer[Any]):
    """A body without unknown members."""

    def validate(self, attrs: Any) -> Any:
        if unknown := set(self.initial_data) - set(self.fields):
            message = f"Unknown member. Known here: {', '.join(self.fields)}."
            raise ValidationError({name: [message] for name in sorted(unknown)})
        return attrs


class NewHoldSerializer(_Body):
    """A hold on calls, on a number, or on both."""

    name = serializers.CharField(max_length=128)
    reason = serializers.CharField(max_length=2000)
    number = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=RAW_ID_MAX_LENGTH,
        help_text="A phone number in international form, or a raw id: all calls with it, also "
        "future ones.",
    )
    calls = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=MAX_CALLS
    )

    def validate(self, attrs: Any) -> Any:
        super().validate(attrs)
        if not attrs["number"] and not attrs["calls"]:
            raise ValidationError({"calls": ["Give this or number: the hold would cover nothing."]})
        return attrs


class LiftSerializer(_Body):
    """Why a hold is lifted."""

    reason = serializers.CharField(max_length=2000)


def _values(request: Request, body: type[_Body]) -> dict[str, Any]:
    validated(request, NoParameters)
    if not isinstance(request.data, dict):
        raise ParseError("Must be a JSON object.")
    sent = body(data=request.data)
    sent.is_valid(raise_exception=True)
    values: dict[str, Any] = sent.validated_data
    return values


@extend_schema_view(
    post=extend_schema(
        operation_id="set_hold",
        request=NewHoldSerializer,
        responses={201: LegalHoldSerializer, **ERRORS},
        summary="Set a legal hold",
    )
)
class Holds(Resource):
    permission_classes = (MaySetHolds,)

    def post(self, request: Request) -> Response:
        values = _values(request, NewHoldSerializer)
        try:
            hold = holds.set_hold(by=actor_of(request), **values)
        except holds.UnknownCalls as error:
            raise ValidationError({"calls": [str(error)]}) from None
        except holds.UnusableNumber as error:
            raise ValidationError({"number": [str(error)]}) from None
        return Response(LegalHoldSerializer(hold).data, status=status.HTTP_201_CREATED)


@extend_schema_view(
    delete=extend_schema(
        operation_id="lift_hold",
        request=LiftSerializer,
        responses={200: LegalHoldSerializer, **ERRORS, **NOT_FOUND},
        summary="Lift a legal hold; its row stays",
    )
)
class Hold(Resource):
    permission_classes = (MayLiftHolds,)

    def delete(self, request: Request, pk: UUID) -> Response:
        values = _values(request, LiftSerializer)
        if not holds.lift_hold(pk, reason=values["reason"], by=actor_of(request)):
            raise NotFound("No hold in force has this id.")
        return Response(LegalHoldSerializer(LegalHold.objects.get(pk=pk)).data)
