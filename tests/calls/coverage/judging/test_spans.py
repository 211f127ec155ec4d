"""Sets of times as spans, compared with sets of numbers."""

from __future__ import annotations

from itertools import pairwise
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.coverage.judging.spans import (
    Span,
    difference,
    intersection,
    length,
    overlap,
    union,
    widened,
)

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


def members(spans: list[Span]) -> set[int]:
    return {number for start, end in spans for number in range(start, end)}


class Laws(TestCase):
    @given(SPANS, SPANS)
    def test_spans_behave_as_sets_do(self, ones: list[Span], others: list[Span]) -> None:
        self.assertEqual(members(union([*ones, *others])), members(ones) | members(others))
        self.assertEqual(members(intersection(ones, others)), members(ones) & members(others))
        self.assertEqual(members(difference(ones, others)), members(ones) - members(others))
        self.assertEqual(length(ones), len(members(ones)))

    @given(SPANS, SPANS)
    def test_results_are_sorted_and_apart(self, ones: list[Span], others: list[Span]) -> None:
        for found in (union(ones), intersection(ones, others), difference(ones, others)):
            self.assertTrue(all(start < end for start, end in found))
            self.assertTrue(all(before[1] < after[0] for before, after in pairwise(found)))

    def test_spans_that_only_touch_do_not_overlap(self) -> None:
        self.assertFalse(overlap((1, 2), (2, 3)))
        self.assertTrue(overlap((1, 3), (2, 4)))

    def test_a_margin_joins_spans_that_are_near(self) -> None:
        self.assertEqual(widened([(10, 20), (23, 30), (40, 41), (50, 50)], 2), [(8, 32), (38, 43)])
