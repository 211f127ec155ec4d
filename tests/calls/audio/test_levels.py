"""Levels in dBFS: RMS and peak of one or many windows."""

from __future__ import annotations

import math
from unittest import TestCase

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calls.audio.levels import BLOCK, FLOOR_DBFS, SILENCE, Level, level_of, levels_of


def pcm(*samples: int) -> bytes:
    return np.array(samples, dtype="<i2").tobytes()


class LevelTests(TestCase):
    def test_silence_and_no_samples_are_at_the_floor(self) -> None:
        self.assertEqual(SILENCE, Level(FLOOR_DBFS, FLOOR_DBFS))
        self.assertEqual(level_of(b""), SILENCE)
        self.assertEqual(level_of(bytes(640)), SILENCE)

    def test_the_smallest_sample_is_above_the_floor(self) -> None:
        self.assertEqual(level_of(pcm(1, 1)), Level(-90.3, -90.3))  # 20 log10(1 / 32768)

    def test_full_scale_square_is_zero_dbfs(self) -> None:
        self.assertEqual(level_of(pcm(-32768, -32768)), Level(0.0, 0.0))

    def test_a_window_longer_than_a_block_is_measured_whole(self) -> None:
        long = pcm(*[20_000] * BLOCK, *[-20_000] * (BLOCK + 1))
        self.assertEqual(level_of(long), levels_of([long])[0])
        self.assertEqual(level_of(long), Level(-4.3, -4.3))  # 20 log10(20000 / 32768)

    def test_a_half_scale_sine_has_peak_minus_6_and_rms_minus_9_dbfs(self) -> None:
        sine = (16384 * np.sin(2 * np.pi * 1000 * np.arange(1600) / 16000)).astype("<i2")
        self.assertEqual(level_of(sine.tobytes()), Level(-9.0, -6.0))

    def test_the_most_negative_sample_is_a_peak(self) -> None:
        self.assertEqual(level_of(pcm(0, 0, 0, -32768)).peak_dbfs, 0.0)

    @given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=400))
    def test_rms_lies_between_the_floor_and_the_peak(self, samples: list[int]) -> None:
        level = level_of(pcm(*samples))
        self.assertLessEqual(FLOOR_DBFS, level.rms_dbfs)
        self.assertLessEqual(level.rms_dbfs, level.peak_dbfs)
        self.assertLessEqual(level.peak_dbfs, 0.0)

    @given(st.lists(st.lists(st.integers(-32768, 32767), max_size=3), max_size=20))
    def test_windows_measured_together_equal_each_measured_alone(
        self, windows: list[list[int]]
    ) -> None:
        together = levels_of([pcm(*window) for window in windows])
        self.assertEqual(together, [level_of(pcm(*window)) for window in windows])
        for window, level in zip(windows, together, strict=True):
            peak = max(map(abs, window), default=0) / 32768
            expected = round(20 * math.log10(peak), 1) if peak else FLOOR_DBFS
            self.assertAlmostEqual(level.peak_dbfs, expected, delta=0.11)
