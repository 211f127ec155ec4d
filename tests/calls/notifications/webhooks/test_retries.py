"""Pauses between attempts, and the Retry-After header."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest import TestCase

from hypothesis import given
from hypothesis.strategies import floats, integers, text

from calls.notifications.webhooks.retries import (
    LONGEST_RETRY_AFTER_SECONDS,
    LONGEST_SECONDS,
    pause_seconds,
    retry_after_seconds,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Pauses(TestCase):
    def test_grow_up_to_half_an_hour(self) -> None:
        middle = [round(pause_seconds(failures, 0.5)) for failures in range(1, 8)]
        self.assertEqual(middle, [10, 30, 90, 270, 810, 1800, 1800])
        self.assertEqual(pause_seconds(10_000, 0.5), LONGEST_SECONDS)

    def test_are_shortened_or_lengthened_by_chance(self) -> None:
        self.assertAlmostEqual(pause_seconds(1, 0.0), 8.0)
        self.assertAlmostEqual(pause_seconds(1, 1.0), 12.0)

    def test_of_an_hour_are_followed_by_another_within_half_an_hour(self) -> None:
        at, failures = 0.0, 0
        while at < 3600:
            failures += 1
            at += pause_seconds(failures, 1.0)
        self.assertLess(at, 3600 + LONGEST_SECONDS * 1.2)
        self.assertLess(failures, 10)

    def test_are_at_least_as_long_as_asked_within_limits(self) -> None:
        self.assertEqual(pause_seconds(1, 0.5, 100.0), 100.0)
        self.assertEqual(pause_seconds(3, 0.5, 1.0), 90.0)
        self.assertEqual(pause_seconds(1, 0.5, 1e9), LONGEST_RETRY_AFTER_SECONDS)

    @given(integers(1, 10**6), floats(0, 1), floats(0, 1e12))
    def test_are_bounded(self, failures: int, random: float, asked: float) -> None:
        pause = pause_seconds(failures, random, asked)
        self.assertTrue(8.0 <= pause <= LONGEST_RETRY_AFTER_SECONDS)


class RetryAfter(TestCase):
    def test_is_a_number_or_a_date(self) -> None:
        for header, seconds in (
            ("120", 120.0),
            (" 5 ", 5.0),
            ("Mon, 30 Nov 2026 12:01:00 GMT", 60.0),
            ("Mon, 30 Nov 2026 12:01:00 -0000", 60.0),
            ("Mon, 30 Nov 2026 11:00:00 GMT", 0.0),
            ("", 0.0),
            ("soon", 0.0),
            ("-5", 0.0),
            ("²", 0.0),
            ("9" * 400, float("9" * 12)),
        ):
            with self.subTest(header[:30]):
                self.assertEqual(retry_after_seconds(header, NOW), seconds)

    @given(text(max_size=60))
    def test_of_any_text_is_no_error(self, header: str) -> None:
        self.assertGreaterEqual(retry_after_seconds(header, NOW), 0.0)
