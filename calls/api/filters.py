"""Which calls: the filters of the list."""

from __future__ import annotations

from typing import ClassVar

from django.utils import timezone
from django_filters import rest_framework as filters

from calls.lookups import SHORTEST
from calls.models import Call, CallQuerySet
from calls.search import STATES, as_raw_id, uuid_in


class CallFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    state = filters.ChoiceFilter(
        choices=STATES, method="of_state", help_text="How the call stands now."
    )
    started_after = filters.IsoDateTimeFilter(
        "started_at", "gte", help_text="Started then or later."
    )
    started_before = filters.IsoDateTimeFilter("started_at", "lt", help_text="Started before then.")
    participant = filters.CharFilter(
        method="with_participant",
        help_text=f"A raw id, or part of a number: {SHORTEST} characters or more.",
    )
    call_connection_id = filters.CharFilter("call_connection_id", help_text="Exactly this one.")
    correlation_id = filters.CharFilter("correlation_id", help_text="Exactly this one.")
    search = filters.CharFilter(
        method="matching",
        help_text=f"Part of an id, a number or a name, {SHORTEST} characters or more; or our own "
        f"id.",
    )

    class Meta:
        model = Call
        fields: ClassVar[list[str]] = []

    def is_valid(self) -> bool:
        """An empty value is as wrong as any other, where it can mean nothing; django-filter would
        ignore it.
        """
        for name in ("state", "started_after", "started_before"):
            if self.data.get(name) == "":
                self.form.add_error(name, "This may not be empty.")
        for name in ("participant", "search"):
            if 0 < len(self.data.get(name, "")) < SHORTEST:
                self.form.add_error(
                    name, f"At least {SHORTEST} characters: fewer are in nearly every number."
                )
        return bool(super().is_valid())

    def of_state(self, calls: CallQuerySet, _name: str, state: str) -> CallQuerySet:
        return calls.in_state(state, timezone.now())

    def with_participant(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        return calls.of_participant(as_raw_id(text))

    def matching(self, calls: CallQuerySet, _name: str, text: str) -> CallQuerySet:
        call_id = uuid_in(text)
        if call_id and (own := calls.filter(pk=call_id)).exists():
            return own
        return calls.holding(text, raw_id=as_raw_id(text))
