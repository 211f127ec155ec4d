"""The axis: one zero, one rate, whole samples."""

from __future__ import annotations

from fractions import Fraction
from unittest import TestCase
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from calls.export.axis import Axis, SegmentRef

RATES = st.sampled_from([8_000, 16_000, 24_000, 44_100, 48_000])


def segment(start: int, count: int, rate: int) -> SegmentRef:
    return SegmentRef(uuid4(), start, count, rate, "", "")


SEGMENTS = st.lists(
    st.builds(segment, st.integers(0, 10**9), st.integers(1, 10**6), RATES), min_size=1, max_size=8
)


class AxisTests(TestCase):
    def test_the_zero_is_the_first_sample_of_any_track(self) -> None:
        axis = Axis.from_segments([segment(32_000, 10, 16_000), segment(24_000, 10, 24_000)])
        self.assertEqual(axis.zero, Fraction(1))
        self.assertEqual(axis.sample_rate, 24_000)
        self.assertEqual(axis.place(32_000, 16_000), 24_000)

    def test_half_a_sample_rounds_up(self) -> None:
        axis = Axis(Fraction(0), 24_000, 0)
        self.assertEqual([axis.place(sample, 16_000) for sample in range(4)], [0, 2, 3, 5])

    def test_an_axis_at_another_rate_has_the_same_zero(self) -> None:
        axis = Axis.from_segments([segment(16_001, 16_000, 16_000)])
        self.assertEqual(axis.at_rate(48_000).zero, axis.zero)
        self.assertEqual(axis.at_rate(48_000).length, 48_000)
        self.assertEqual(axis.seconds(24_001, 16_000), 0.5)

    def test_no_segments_have_no_axis(self) -> None:
        with self.assertRaisesRegex(AssertionError, "at least one"):
            Axis.from_segments([])

    @given(SEGMENTS)
    def test_every_segment_is_on_its_axis(self, segments: list[SegmentRef]) -> None:
        axis = Axis.from_segments(segments)
        firsts = [axis.place(each.start_sample, each.sample_rate) for each in segments]
        lasts = [axis.place(each.end_sample, each.sample_rate) for each in segments]
        self.assertEqual(min(firsts), 0)
        self.assertEqual(max(lasts), axis.length)

    @given(SEGMENTS, st.integers(0, 10**9), RATES)
    def test_positions_are_within_half_a_sample_of_the_exact_time(
        self, segments: list[SegmentRef], sample: int, rate: int
    ) -> None:
        axis = Axis.from_segments(segments)
        exact = (Fraction(sample, rate) - axis.zero) * axis.sample_rate
        self.assertLessEqual(abs(axis.place(sample, rate) - exact), Fraction(1, 2))

    @given(st.integers(0, 10**12), st.integers(0, 10**12))
    def test_distances_at_the_same_rate_are_exact(self, first: int, second: int) -> None:
        axis = Axis.from_segments([segment(min(first, second), 1, 16_000)])
        self.assertEqual(axis.place(max(first, second), 16_000), abs(first - second))
