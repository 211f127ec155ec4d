"""Which calls: the filters of the list."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django_filters import rest_framework as filters

from calls.models import Call, Participant
from calls.querysets import CallQuerySet

STATES = [("live", "live"), ("ended", "ended"), ("interrupted", "interrupted")]


class CallFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    state = filters.ChoiceFilter(choices=STATES, method="of_state", help_text="How the call stands now.")
    started_after = filters.IsoDateTimeFilter("started_at", "gte", help_text="Started then or later.")
    started_before = filters.IsoDateTimeFilter("started_at", "lt", help_text="Started before then.")
    participant = filters.CharFilter(method="with_participant", help_text="A raw id, or part of a number.")
    call_connection_id = filters.CharFilter("call_connection_id", help_text="Exactly this one.")
    correlation_id = filters.CharFilter("correlation_id", help_text="Exactly this one.")
    search = filters.CharFilter(method="matching", help_text="Part of an id, a number or a name; or our own id.")

    class Meta:
        model = Call
        fields: ClassVar[list[str]] = []

    def is_valid(self) -> bool:
        """An empty value is as wrong as any other, where it can mean nothing; django-filter would ignore it."""
        for name in ("state", "started_after", "started_before"):
            if self.data.get(name) == "":
                self.form.add_error(name, "This may not be empty.")
        return bool(super().is_valid())

    def of_state(self, calls: CallQuerySet, _name: str, state: str) -> CallQuerySet:
        return calls.in_state(state, timezone.now())

    def with_participant(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        return calls.of_participant(_as_raw_id(text))

    def matching(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        spoken = Q(raw_id__icontains=_as_raw_id(text)) | Q(display_name__icontains=text)
        found = (
            Q(call_connection_id__icontains=text)
            | Q(correlation_id__icontains=text)
            | Exists(Participant.objects.filter(spoken, call=OuterRef("pk")))
        )
        call_id = _uuid(text)
        return calls.filter(found | Q(pk=call_id) if call_id else found)


def _as_raw_id(text: str) -> str:
    """A `+` that was not written `%2B` arrives as a space; raw ids hold the one and never the other."""
    return text.replace(" ", "+")


def _uuid(text: str) -> Any:
    try:
        return UUID(text)
    except ValueError:
        return None
