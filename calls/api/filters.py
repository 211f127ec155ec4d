"""Filters of the list of calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django_filters import rest_framework as filters

from calls.lookups import SHORTEST, TOO_SHORT
from calls.models import Call, CallQuerySet, database_now
from calls.search import CANARIES, STATES, matching, raw_id_parts


class MomentField(filters.IsoDateTimeFilter.field_class):  # type: ignore[misc]
    """A time that the database can hold: near the first and the last year its time zone may lead
    out of them.
    """

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        try:
            return None if moment is None else moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("This time is out of range.") from None


class MomentFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]
    field_class = MomentField


class CallFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    state = filters.ChoiceFilter(
        choices=STATES, method="filter_state", help_text="Current state of the call."
    )
    started_after = MomentFilter("started_at", "gte", help_text="Started at this time or later.")
    started_before = MomentFilter("started_at", "lt", help_text="Started before this time.")
    participant = filters.CharFilter(
        method="filter_participant",
        help_text="A raw id, a phone number as people write it, or part of one of them: "
        f"{SHORTEST} characters or more.",
    )
    canaries = filters.ChoiceFilter(
        choices=CANARIES,
        method="filter_canaries",
        help_text="`hidden` (default): no canary calls; `shown`: with them; `only`: no others.",
    )
    call_connection_id = filters.CharFilter("call_connection_id", help_text="Exact match.")
    correlation_id = filters.CharFilter("correlation_id", help_text="Exact match.")
    search = filters.CharFilter(
        method="filter_search",
        help_text=f"Part of an id, a number or a name: {SHORTEST} characters or more; or the "
        "acsmedia id. Numbers are found as people write them, too.",
    )

    class Meta:
        model = Call
        fields: ClassVar[list[str]] = []

    def is_valid(self) -> bool:
        """Rejects empty values that can mean nothing, which django-filter would ignore, and text
        that is too short to search for.
        """
        for name in ("state", "started_after", "started_before", "canaries"):
            if self.data.get(name) == "":
                self.form.add_error(name, "This may not be empty.")
        for name in ("participant", "search"):
            if 0 < len(self.data.get(name, "")) < SHORTEST:
                self.form.add_error(name, TOO_SHORT)
        return bool(super().is_valid())

    def filter_queryset(self, queryset: CallQuerySet) -> CallQuerySet:
        """Hides canary calls unless the request says otherwise."""
        if not self.form.cleaned_data["canaries"]:
            queryset = queryset.without_canaries()
        filtered: CallQuerySet = super().filter_queryset(queryset)
        return filtered

    def filter_canaries(self, calls: CallQuerySet, _name: str, which: str) -> CallQuerySet:
        return calls.showing_canaries(which)

    def filter_state(self, calls: CallQuerySet, _name: str, state: str) -> CallQuerySet:
        return calls.in_state(state, database_now())

    def filter_participant(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        return calls.of_participant(*raw_id_parts(text))

    def filter_search(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        found: CallQuerySet = matching(calls, text)
        return found
