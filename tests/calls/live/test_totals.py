"""Totals of the processes, and the levels worth sending to one browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.test import SimpleTestCase

from calls.live.messages import Totals
from calls.live.totals import VALID_FOR, LiveTotals

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
        expected = {
            "type": "totals",
            "processes": 2,
            "packets_per_second": 149.5,
            "seal_lag_seconds": 9.0,
        }
        self.assertEqual(self.totals.message(NOW), expected)

    def test_drop_a_process_that_is_gone(self) -> None:
        self.totals.update("one", totals(100.0, 2.5), NOW)
        self.totals.update("two", totals(50.0, 9.0), NOW + timedelta(seconds=3))
        self.assertFalse(self.totals.has_expired(NOW + VALID_FOR))
        later = NOW + VALID_FOR + timedelta(seconds=1)
        self.assertTrue(self.totals.has_expired(later))
        self.assertEqual(self.totals.message(later)["packets_per_second"], 50.0)
        self.assertFalse(self.totals.has_expired(later), "it was sent")

    def test_without_processes_are_empty(self) -> None:
        self.assertEqual(self.totals.message(NOW)["processes"], 0)
