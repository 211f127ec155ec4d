"""Rate of a monotonic counter."""

from __future__ import annotations

from unittest import TestCase

from streams.stats import RateMeter


class Rate(TestCase):
    def test_is_the_increase_per_second_since_the_last_call(self) -> None:
        meter = RateMeter()
        self.assertTrue(meter.is_due(100.0))
        self.assertEqual(meter.per_second(5_000, 100.0), 0.0, "nothing is known at first")
        self.assertFalse(meter.is_due(100.9))
        self.assertTrue(meter.is_due(101.0))
        self.assertEqual(meter.per_second(5_100, 102.0), 50.0)
        self.assertEqual(meter.per_second(5_100, 103.0), 0.0)

    def test_is_zero_if_the_clock_has_not_advanced(self) -> None:
        meter = RateMeter()
        meter.per_second(0, 1.0)
        self.assertEqual(meter.per_second(9, 1.0), 0.0)
