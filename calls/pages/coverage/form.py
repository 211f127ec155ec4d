"""The search form of `/coverage/`: days in the viewer's zone, and filters."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from django import forms
from django.core import validators
from django.utils import timezone

from calls.pages.coverage.period import (
    MOST_DAYS,
    PERIODS,
    Period,
    period_between,
    period_named,
)
from calls.pages.coverage.rows import FILTERS, Wanted

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
"""Days outside these are typing errors; the first and the last day of the calendar have no day
before and after them.
"""
FIRST_HOUR, LAST_HOUR = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

WITHIN_DAYS = validators.MinValueValidator(FIRST_DAY), validators.MaxValueValidator(LAST_DAY)
WITHIN_HOURS = validators.MinValueValidator(FIRST_HOUR), validators.MaxValueValidator(LAST_HOUR)


class CoverageForm(forms.Form):
    """Period and filters, all optional; days are those of the viewer's zone."""

    since = forms.DateField(required=False, label="From", validators=WITHIN_DAYS)
    until = forms.DateField(required=False, label="To", validators=WITHIN_DAYS)
    show = forms.ChoiceField(required=False, label="Calls", choices=list(FILTERS.items()))
    reason = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    hour = forms.DateTimeField(required=False, widget=forms.HiddenInput, validators=WITHIN_HOURS)
    period = forms.ChoiceField(
        required=False, choices=[("", ""), *PERIODS.items()], widget=forms.HiddenInput
    )

    shown: ClassVar = ("since", "until", "show")
    chosen_by_link: ClassVar = ("reason", "hour")

    def __init__(self, data: Any, zone: tzinfo) -> None:
        super().__init__(data)
        self.zone = zone
        self.today = timezone.now().astimezone(zone).date()
        for name in ("since", "until"):
            self.fields[name].widget.input_type = "date"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "“To” must not be before “From”.")
        elif since and ((until or self.today) - since).days >= MOST_DAYS:
            self.add_error("since", f"Choose at most {MOST_DAYS} days.")
        return cleaned

    def chosen_period(self) -> Period:
        """Returns the days. Requires `is_valid()`."""
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        if not since and not until:
            return period_named(self.cleaned_data["period"], self.today)
        first = since or until
        return period_between(first, max(first, until or self.today), self.today)

    def wanted(self) -> Wanted:
        """Returns the rows that are asked for: of one hour, if it is given."""
        period, hour = self.chosen_period(), self.cleaned_data["hour"]
        start, end = period.start(self.zone), period.end(self.zone)
        if hour:
            start, end = max(start, hour), min(end, hour + timedelta(hours=1))
        return Wanted(start, end, self.cleaned_data["show"], self.cleaned_data["reason"])

    @property
    def given(self) -> dict[str, str]:
        """The fields that were filled in, as in the address."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}

    @property
    def given_period(self) -> dict[str, str]:
        """The same, of the period only."""
        given = self.given
        return {name: given[name] for name in ("since", "until", "period") if name in given}

    @property
    def is_filtered(self) -> bool:
        return len(self.given) > len(self.given_period)
