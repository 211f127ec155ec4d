"""Totals of the processes, and the levels worth sending to one browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.test import SimpleTestCase

from calls.live.levels import QUIET_REPEAT_SECONDS, SentLevels
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


class TheLevels(SimpleTestCase):
    def setUp(self) -> None:
        self.levels = SentLevels()

    def test_of_speakers_are_all_sent(self) -> None:
        for tick in range(5):
            self.assertEqual(
                self.levels.worth_sending({"a": [-30.0, -20.0]}, tick / 10), {"a": [-30.0, -20.0]}
            )

    def test_below_the_scale_are_sent_once_a_second(self) -> None:
        quiet = {"a": [-80.0, -70.0], "b": [-30.0, -20.0]}
        sent = [
            set(self.levels.worth_sending(quiet, tick * QUIET_REPEAT_SECONDS / 4))
            for tick in range(5)
        ]
        self.assertEqual(sent, [{"a", "b"}, {"b"}, {"b"}, {"b"}, {"a", "b"}])

    def test_of_a_speaker_who_falls_silent_are_sent_at_once(self) -> None:
        for tick, (peak, count) in enumerate(((-70.0, 1), (-20.0, 1), (-70.0, 1), (-70.0, 0))):
            self.assertEqual(
                len(self.levels.worth_sending({"a": [-90.0, peak]}, tick / 10)), count, tick
            )

    def test_of_ended_calls_are_not_kept_for_ever(self) -> None:
        for number in range(5_000):
            self.levels.worth_sending({str(number): [-96.0, -96.0]}, float(number))
        self.assertLess(len(self.levels._quiet), 1_100)
