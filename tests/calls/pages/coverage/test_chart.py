"""Bars per hour and per day."""

from __future__ import annotations

from itertools import pairwise
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.pages.coverage.chart import (
    HEIGHT,
    LEAST,
    MOST_LABELS,
    VERDICTS,
    highest,
    labels_of,
    pieces_of,
)

COUNTS = st.dictionaries(st.sampled_from(VERDICTS), st.integers(0, 10_000))


class Bars(TestCase):
    def test_the_highest_bar_fills_the_height_and_faults_are_on_top(self) -> None:
        missing, complete = pieces_of({"complete": 3, "missing": 1}, 4)
        self.assertEqual((missing.verdict, complete.verdict), ("missing", "complete"))
        self.assertEqual(missing.top, 0)
        self.assertEqual(complete.top + complete.height, HEIGHT)
        self.assertLess(missing.height, complete.height)

    def test_hours_without_calls_have_no_bar(self) -> None:
        self.assertEqual(pieces_of({}, 5), [])
        self.assertEqual(pieces_of({"complete": 0}, 5), [])
        self.assertEqual(highest([]), 1)
        self.assertEqual(highest([{"complete": 0}, {"complete": 2, "partial": 1}]), 3)

    @given(COUNTS, st.integers(0, 10_000))
    def test_every_part_can_be_seen_and_none_leaves_the_drawing(
        self, counts: dict[str, int], more: int
    ) -> None:
        pieces = pieces_of(counts, highest([counts]) + more)
        self.assertEqual(len(pieces), sum(count > 0 for count in counts.values()))
        for before, after in pairwise(pieces):
            self.assertAlmostEqual(before.top + before.height, after.top, delta=0.05)
        for piece in pieces:
            self.assertGreaterEqual(piece.height, LEAST - 0.01)
            self.assertGreaterEqual(piece.top, 0)
        if pieces:
            self.assertAlmostEqual(pieces[-1].top + pieces[-1].height, HEIGHT, delta=0.05)

    def test_labels_are_not_too_close(self) -> None:
        self.assertEqual(labels_of(["a", "b"]), [("a", True), ("b", False)])
        hours = labels_of([f"{hour}:00" for hour in range(24)])
        self.assertEqual([text for text, _ in hours[:4]], ["0:00", "", "2:00", ""])
        self.assertEqual([is_wide for _, is_wide in hours[:3]], [True, False, False])
        many = labels_of([str(day) for day in range(366)])
        self.assertLessEqual(sum(text != "" for text, _ in many), MOST_LABELS)
