"""Quantiles of durations."""

from __future__ import annotations

from unittest import TestCase

from bench.histogram import Histogram


class Histograms(TestCase):
    def test_a_quantile_is_rounded_up_to_a_tenth_of_a_millisecond(self) -> None:
        histogram = Histogram()
        histogram.add_all(range(0, 100_000, 1000))  # 0 to 99 ms
        self.assertEqual(histogram.quantile_ms(0.5), 49.1)
        self.assertEqual(histogram.quantile_ms(0.99), 98.1)
        self.assertEqual(histogram.quantile_ms(1.0), 99.1)

    def test_an_empty_histogram_has_no_quantile(self) -> None:
        self.assertIsNone(Histogram().quantile_ms(0.5))

    def test_one_late_in_two_hundred_is_beyond_the_99th_percentile(self) -> None:
        histogram = Histogram()
        histogram.add_all([50] * 199 + [400_000])
        self.assertEqual(histogram.quantile_ms(0.99), 0.1)
        self.assertEqual(histogram.quantile_ms(1.0), 400.1)

    def test_values_out_of_range_count_at_the_limit(self) -> None:
        histogram = Histogram()
        histogram.add_all([-5, 60_000_000])
        self.assertEqual(histogram.total, 2)
        self.assertEqual((histogram.quantile_ms(0.5), histogram.quantile_ms(1.0)), (0.1, 5000.1))

    def test_it_is_transmitted_completely(self) -> None:
        histogram = Histogram()
        histogram.add_all([100, 2500, 2500])
        self.assertEqual(Histogram(histogram.trimmed()).counts, histogram.counts)
