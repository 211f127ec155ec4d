"""What a dashboard is told besides calls: totals of the processes, and which levels are worth
saying.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.test import SimpleTestCase

from calls.live.levels import AGAIN_SECONDS, SentLevels
from calls.live.messages import Totals
from calls.live.totals import SAID_FOR, LiveTotals

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def totals(packets: float, lag: float) -> Totals:
    return {"packets_per_second": packets, "seal_lag_seconds": lag}


class TheTotals(SimpleTestCase):
    def setUp(self) -> None:
        self.totals = LiveTotals()

    def test_are_sums_of_packets_and_the_longest_lag(self) -> None:
        self.totals.update("one", totals(100.0, 2.5), NOW)
        self.totals.update("two", totals(50.5, 9.0), NOW)
        self.totals.update("one", totals(99.0, 2.0), NOW)
        said = {
            "type": "totals",
            "processes": 2,
            "packets_per_second": 149.5,
            "seal_lag_seconds": 9.0,
        }
        self.assertEqual(self.totals.message(NOW), said)

    def test_drop_a_process_that_has_gone(self) -> None:
        self.totals.update("one", totals(100.0, 2.5), NOW)
        self.totals.update("two", totals(50.0, 9.0), NOW + timedelta(seconds=3))
        self.assertFalse(self.totals.has_lost(NOW + SAID_FOR))
        later = NOW + SAID_FOR + timedelta(seconds=1)
        self.assertTrue(self.totals.has_lost(later))
        self.assertEqual(self.totals.message(later)["packets_per_second"], 50.0)
        self.assertFalse(self.totals.has_lost(later), "it was said")

    def test_of_nobody_are_nothing(self) -> None:
        self.assertEqual(self.totals.message(NOW)["processes"], 0)


class TheLevels(SimpleTestCase):
    def setUp(self) -> None:
        self.said = SentLevels()

    def test_of_who_is_heard_are_all_said(self) -> None:
        for tick in range(5):
            self.assertEqual(
                self.said.worth_sending({"a": [-30.0, -20.0]}, tick / 10), {"a": [-30.0, -20.0]}
            )

    def test_of_who_is_below_the_scale_are_said_once_a_second(self) -> None:
        quiet = {"a": [-80.0, -70.0], "b": [-30.0, -20.0]}
        said = [set(self.said.worth_sending(quiet, tick * AGAIN_SECONDS / 4)) for tick in range(5)]
        self.assertEqual(said, [{"a", "b"}, {"b"}, {"b"}, {"b"}, {"a", "b"}])

    def test_of_who_falls_silent_after_speaking_are_said_at_once(self) -> None:
        for tick, (peak, count) in enumerate(((-70.0, 1), (-20.0, 1), (-70.0, 1), (-70.0, 0))):
            self.assertEqual(
                len(self.said.worth_sending({"a": [-90.0, peak]}, tick / 10)), count, tick
            )

    def test_of_calls_that_are_over_are_not_kept_for_ever(self) -> None:
        for number in range(5_000):
            self.said.worth_sending({str(number): [-96.0, -96.0]}, float(number))
        self.assertLess(len(self.said._quiet), 1_100)
