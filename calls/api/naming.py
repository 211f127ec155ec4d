"""Naming a participant in REST: the only thing of a recording that can be changed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as InvalidName
from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import schema
from calls.api.views import Resource
from calls.models import Participant
from calls.models.naming import note_naming, valid_name
from calls.permissions import MayName
from calls.serializers import ParticipantSerializer


class NameSerializer(serializers.Serializer[Any]):
    """A participant's new name."""

    display_name = serializers.CharField(
        allow_blank=True,
        max_length=256,
        help_text='"" removes the name: events of ACS may give another one.',
    )

    def validate_display_name(self, name: str) -> str:
        try:
            return valid_name(name)
        except InvalidName as error:
            raise ValidationError(error.messages) from None

    def validate(self, attrs: Any) -> Any:
        unknown = set(self.initial_data) - {"display_name"}
        if unknown:
            raise ValidationError(
                {name: ["Cannot be changed. Only display_name can."] for name in sorted(unknown)}
            )
        return attrs


@schema.changed("participant_name", NameSerializer, ParticipantSerializer, "Name a participant")
class ParticipantName(Resource):
    permission_classes = (MayName,)

    def patch(self, request: Request, pk: UUID, participant: UUID) -> Response:
        if not isinstance(request.data, dict):
            raise ParseError("Must be a JSON object.")
        values = NameSerializer(data=request.data)
        values.is_valid(raise_exception=True)
        found = Participant.objects.filter(call=pk, pk=participant)
        named = get_object_or_404(found.with_lengths())
        with transaction.atomic():
            if found.name_by_person(values.validated_data["display_name"]):
                note_naming(request.user, named.pk)
        named.refresh_from_db(fields=["display_name"])
        return Response(ParticipantSerializer(named).data)
