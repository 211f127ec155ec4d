"""The list of refused handshakes in REST."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from calls.api.filters import MomentFilter
from calls.api.pagination import PARAMETERS, RefusalPages
from calls.api.parameters import reject_unknown
from calls.api.schema import listed
from calls.api.views import Resource
from calls.models import RefusedHandshake
from calls.permissions import MaySeeRefusals
from calls.wording import REFUSALS, refusal_text


class RefusalSerializer(serializers.ModelSerializer[RefusedHandshake]):
    """Refusals of one minute that agree in reason, call and address; with `from_acs` false, all
    those of the minute with that reason.
    """

    text = serializers.SerializerMethodField(help_text="The reason in words.")

    class Meta:
        model = RefusedHandshake
        fields = [
            "id",
            "reason",
            "text",
            "count",
            "first_at",
            "last_at",
            "from_acs",
            "address",
            "call_connection_id",
            "correlation_id",
            "process",
        ]
        read_only_fields = fields

    def get_text(self, refusal: RefusedHandshake) -> str:
        return refusal_text(refusal.reason)


class RefusalFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    reason = filters.ChoiceFilter(
        choices=list(REFUSALS.items()), help_text="Reason: docs/rest.md, Refused handshakes."
    )
    from_acs = filters.BooleanFilter(help_text="Whether the handshake looked like one of ACS.")
    call_connection_id = filters.CharFilter("call_connection_id", help_text="Exact match.")
    # `from` is a keyword of Python
    vars()["from"] = MomentFilter("first_at", "gte", help_text="First refused then or later.")
    to = MomentFilter("first_at", "lt", help_text="First refused before this time.")

    class Meta:
        model = RefusedHandshake
        fields: ClassVar[list[str]] = []

    def is_valid(self) -> bool:
        """Rejects empty values that can mean nothing, which django-filter would ignore, and a
        `from_acs` that it would not understand.
        """
        for name in ("reason", "from_acs", "from", "to"):
            if self.data.get(name) == "":
                self.form.add_error(name, "This may not be empty.")
        if self.data.get("from_acs", "true").lower() not in {"true", "false", ""}:
            self.form.add_error("from_acs", "Must be true or false.")
        return bool(super().is_valid())


@listed("refusals", RefusalSerializer, "Refused handshakes of the media socket, newest first")
class RefusalList(Resource, ListAPIView[RefusedHandshake]):
    permission_classes = (MaySeeRefusals,)
    queryset = RefusedHandshake.objects.all()
    serializer_class = RefusalSerializer
    pagination_class = RefusalPages
    filterset_class = RefusalFilters
    parameters: ClassVar[list[str]] = [*RefusalFilters.base_filters, *PARAMETERS]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        reject_unknown(request, self.parameters)
        return super().get(request, *args, **kwargs)
