"""The days that a page of coverage is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from unittest import TestCase
from zoneinfo import ZoneInfo

from calls.pages.coverage.period import PERIODS, period_between, period_named

TODAY = date(2026, 3, 30)


class Periods(TestCase):
    def test_have_names(self) -> None:
        for name, first, last, text in (
            ("today", TODAY, TODAY, "Today"),
            ("", TODAY, TODAY, "Today"),
            ("17", TODAY, TODAY, "Today"),
            ("yesterday", date(2026, 3, 29), date(2026, 3, 29), "Yesterday"),
            ("7", date(2026, 3, 24), TODAY, "Last 7 days"),
            ("30", date(2026, 3, 1), TODAY, "Last 30 days"),
        ):
            with self.subTest(name):
                period = period_named(name, TODAY)
                self.assertEqual((period.first, period.last, period.name), (first, last, text))
        self.assertEqual({period_named(name, TODAY).name for name in PERIODS}, {*PERIODS.values()})

    def test_between_two_days_are_named_by_them(self) -> None:
        one = date(2026, 3, 2)
        self.assertEqual(period_between(one, one, TODAY).name, "2026-03-02")
        self.assertEqual(period_between(TODAY, TODAY, TODAY).name, "Today")
        self.assertEqual(period_between(one, TODAY, TODAY).name, "2026-03-02 to 2026-03-30")

    def test_are_whole_days_of_the_zone(self) -> None:
        zone = ZoneInfo("Europe/Berlin")  # clocks are set forward on the 29th
        period = period_named("yesterday", TODAY)
        self.assertEqual(period.start(zone), datetime(2026, 3, 28, 23, tzinfo=UTC))
        self.assertEqual(period.end(zone) - period.start(zone), timedelta(hours=23))
        self.assertEqual(period.days, 1)

    def test_have_periods_of_the_same_length_beside_them(self) -> None:
        week = period_named("7", TODAY)
        before = week.beside(-1, TODAY)
        self.assertEqual((before.first, before.last), (date(2026, 3, 17), date(2026, 3, 23)))
        self.assertEqual(before.beside(1, TODAY).last, TODAY)
        self.assertEqual(period_named("yesterday", TODAY).beside(1, TODAY).name, "Today")
