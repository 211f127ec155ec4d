"""One zero, one rate, whole samples."""

from __future__ import annotations

from fractions import Fraction
from unittest import TestCase
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from calls.export.axis import Axis, SegmentRef

RATES = st.sampled_from([8_000, 16_000, 24_000, 44_100, 48_000])


def stretch(start: int, count: int, rate: int) -> SegmentRef:
    return SegmentRef(uuid4(), start, count, rate, "", "")


STRETCHES = st.lists(
    st.builds(stretch, st.integers(0, 10**9), st.integers(1, 10**6), RATES), min_size=1, max_size=8
)


class AxisTests(TestCase):
    def test_the_zero_is_the_first_sample_of_any_track(self) -> None:
        axis = Axis.of([stretch(32_000, 10, 16_000), stretch(24_000, 10, 24_000)])
        self.assertEqual(axis.zero, Fraction(1))
        self.assertEqual(axis.sample_rate, 24_000)
        self.assertEqual(axis.place(32_000, 16_000), 24_000)

    def test_half_a_sample_goes_up(self) -> None:
        axis = Axis(Fraction(0), 24_000, 0)
        self.assertEqual([axis.place(sample, 16_000) for sample in range(4)], [0, 2, 3, 5])

    def test_an_axis_at_another_rate_has_the_same_zero(self) -> None:
        axis = Axis.of([stretch(16_001, 16_000, 16_000)])
        self.assertEqual(axis.at_rate(48_000).zero, axis.zero)
        self.assertEqual(axis.at_rate(48_000).length, 48_000)
        self.assertEqual(axis.seconds(24_001, 16_000), 0.5)

    def test_nothing_has_no_axis(self) -> None:
        with self.assertRaisesRegex(AssertionError, "at least one"):
            Axis.of([])

    @given(STRETCHES)
    def test_every_stretch_lies_on_its_axis(self, stretches: list[SegmentRef]) -> None:
        axis = Axis.of(stretches)
        firsts = [axis.place(one.start_sample, one.sample_rate) for one in stretches]
        lasts = [axis.place(one.end_sample, one.sample_rate) for one in stretches]
        self.assertEqual(min(firsts), 0)
        self.assertEqual(max(lasts), axis.length)

    @given(STRETCHES, st.integers(0, 10**9), RATES)
    def test_no_place_is_further_than_half_a_sample_from_the_truth(
        self, stretches: list[SegmentRef], sample: int, rate: int
    ) -> None:
        axis = Axis.of(stretches)
        truth = (Fraction(sample, rate) - axis.zero) * axis.sample_rate
        self.assertLessEqual(abs(axis.place(sample, rate) - truth), Fraction(1, 2))

    @given(st.integers(0, 10**12), st.integers(0, 10**12))
    def test_at_its_own_rate_a_distance_is_exact(self, first: int, second: int) -> None:
        axis = Axis.of([stretch(min(first, second), 1, 16_000)])
        self.assertEqual(axis.place(max(first, second), 16_000), abs(first - second))
