from __future__ import annotations

from unittest import TestCase

from streams.stats import RateMeter


class ThePace(TestCase):
    def test_is_what_came_since_the_last_time(self) -> None:
        pace = RateMeter()
        self.assertTrue(pace.is_due(100.0))
        self.assertEqual(pace.per_second(5_000, 100.0), 0.0, "nothing is known at first")
        self.assertFalse(pace.is_due(100.9))
        self.assertTrue(pace.is_due(101.0))
        self.assertEqual(pace.per_second(5_100, 102.0), 50.0)
        self.assertEqual(pace.per_second(5_100, 103.0), 0.0)

    def test_survives_a_clock_that_stands(self) -> None:
        pace = RateMeter()
        pace.per_second(0, 1.0)
        self.assertEqual(pace.per_second(9, 1.0), 0.0)
