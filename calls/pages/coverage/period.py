"""The days that a page of coverage is about. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from calls.times import midnight

PERIODS = {"today": "Today", "yesterday": "Yesterday", "7": "Last 7 days", "30": "Last 30 days"}
"""Value in the address -> text."""

MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of a zone, both included."""

    first: date
    last: date
    name: str

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def start(self, zone: tzinfo) -> datetime:
        """Returns the beginning of the first day, in UTC."""
        return midnight(self.first, zone)

    def end(self, zone: tzinfo) -> datetime:
        """Returns the end of the last day, in UTC: it does not belong to the period."""
        return midnight(self.last + timedelta(days=1), zone)

    def beside(self, step: int, today: date) -> Period:
        """Returns the period of the same length before (-1) or after (1) this one."""
        by = timedelta(days=step * self.days)
        return period_between(self.first + by, self.last + by, today)


def period_named(name: str, today: date) -> Period:
    """Returns the period of a key of `PERIODS`; today for any other."""
    if name == "yesterday":
        return period_between(today - timedelta(days=1), today - timedelta(days=1), today)
    if name in PERIODS and name.isdecimal():
        return Period(today - timedelta(days=int(name) - 1), today, PERIODS[name])
    return period_between(today, today, today)


def period_between(first: date, last: date, today: date) -> Period:
    """Returns the period from one day to another."""
    if first != last:
        return Period(first, last, f"{first} to {last}")
    names = {today: PERIODS["today"], today - timedelta(days=1): PERIODS["yesterday"]}
    return Period(first, last, names.get(first, str(first)))
