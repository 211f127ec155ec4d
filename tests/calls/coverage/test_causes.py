"""The cause of a gap by the events of ACS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import TestCase

from calls.coverage.acs_events import Span
from calls.coverage.causes import MARGIN, cause_of

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


class Causes(TestCase):
    def setUp(self) -> None:
        self.lost = Span(at(10), at(20), "streamConnectionInterrupted")

    def test_an_interruption_that_covers_the_gap_is_its_cause(self) -> None:
        self.assertEqual(cause_of([self.lost], at(10), at(20)), "streamConnectionInterrupted")
        self.assertEqual(cause_of([self.lost], at(12), at(13)), "streamConnectionInterrupted")
        inside = MARGIN.total_seconds()
        self.assertEqual(
            cause_of([self.lost], at(10 - inside), at(20 + inside)), "streamConnectionInterrupted"
        )

    def test_one_that_covers_a_part_is_not(self) -> None:
        for start, end in ((5, 15), (15, 25), (0, 5), (25, 30), (5, 25)):
            with self.subTest(start=start, end=end):
                self.assertEqual(cause_of([self.lost], at(start), at(end)), "")

    def test_one_that_lasts_covers_everything_after_its_beginning(self) -> None:
        lasting = Span(at(10), None, "serviceShutdown")
        self.assertEqual(cause_of([lasting], at(11), at(1_000)), "serviceShutdown")
        self.assertEqual(cause_of([lasting], at(11), None), "serviceShutdown")
        self.assertEqual(cause_of([self.lost], at(11), None), "")

    def test_a_named_reason_comes_before_one_that_says_nothing(self) -> None:
        unknown = Span(at(9), at(21), "unspecifiedError")
        self.assertEqual(
            cause_of([unknown, self.lost], at(11), at(12)), "streamConnectionInterrupted"
        )
        self.assertEqual(cause_of([unknown], at(11), at(12)), "unspecifiedError")
        self.assertEqual(cause_of([], at(11), at(12)), "")
