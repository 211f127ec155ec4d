"""The list of audit entries in REST."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from calls.api.filters import MomentFilter
from calls.api.pagination import PARAMETERS, AuditPages
from calls.api.parameters import reject_unknown
from calls.api.schema import listed
from calls.api.views import Resource
from calls.models import Action, AuditEntry
from calls.permissions import MaySeeAudit


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """One entry, with all columns of its chain (docs/audit.md)."""

    class Meta:
        model = AuditEntry
        fields = [
            *("number", "at", "actor_kind", "actor_name", "actor_id", "address", "action"),
            *("call", "call_connection_id", "reason", "detail", "previous_hash", "hash"),
        ]
        read_only_fields = fields


class AuditFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    call = filters.UUIDFilter("call", help_text="The acsmedia id of a call, deleted or not.")
    actor = filters.CharFilter("actor_name", help_text="Name of the actor, exact match.")
    action = filters.ChoiceFilter(choices=Action.choices, help_text="What was done.")
    # `from` is a keyword of Python
    vars()["from"] = MomentFilter("at", "gte", help_text="Written at this time or later.")
    to = MomentFilter("at", "lt", help_text="Written before this time.")

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = []

    def is_valid(self) -> bool:
        """Rejects empty values, which django-filter would ignore: they would list everything."""
        for name in self.base_filters:
            if self.data.get(name) == "":
                self.form.add_error(name, "This may not be empty.")
        return bool(super().is_valid())


@listed("audit", AuditEntrySerializer, "Entries of the audit, newest first")
class AuditList(Resource, ListAPIView[AuditEntry]):
    permission_classes = (MaySeeAudit,)
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    pagination_class = AuditPages
    filterset_class = AuditFilters
    parameters: ClassVar[list[str]] = [*AuditFilters.base_filters, *PARAMETERS]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        reject_unknown(request, self.parameters)
        return super().get(request, *args, **kwargs)
