"""Filters of the list of calls."""

from __future__ import annotations

from typing import ClassVar

from django.utils import timezone
from django_filters import rest_framework as filters

from calls.lookups import SHORTEST, TOO_SHORT
from calls.models import Call, CallQuerySet
from calls.search import STATES, as_raw_id, matching


class CallFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    state = filters.ChoiceFilter(
        choices=STATES, method="in_state", help_text="State of the call at this moment."
    )
    started_after = filters.IsoDateTimeFilter(
        "started_at", "gte", help_text="Started at this time or later."
    )
    started_before = filters.IsoDateTimeFilter(
        "started_at", "lt", help_text="Started before this time."
    )
    participant = filters.CharFilter(
        method="with_participant",
        help_text=f"A raw id, or part of a number: {SHORTEST} characters or more.",
    )
    call_connection_id = filters.CharFilter("call_connection_id", help_text="Exact match.")
    correlation_id = filters.CharFilter("correlation_id", help_text="Exact match.")
    search = filters.CharFilter(
        method="with_text",
        help_text=f"Part of an id, a number or a name, {SHORTEST} characters or more; or the id of "
        "a call.",
    )

    class Meta:
        model = Call
        fields: ClassVar[list[str]] = []

    def is_valid(self) -> bool:
        """Rejects empty values where they have no meaning; django-filter would ignore them."""
        for name in ("state", "started_after", "started_before"):
            if self.data.get(name) == "":
                self.form.add_error(name, "This may not be empty.")
        for name in ("participant", "search"):
            if 0 < len(self.data.get(name, "")) < SHORTEST:
                self.form.add_error(name, TOO_SHORT)
        return bool(super().is_valid())

    def in_state(self, calls: CallQuerySet, _name: str, state: str) -> CallQuerySet:
        return calls.in_state(state, timezone.now())

    def with_participant(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        return calls.of_participant(as_raw_id(text))

    def with_text(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        found: CallQuerySet = matching(calls, text)
        return found
