"""Levels in dBFS, and the windows they are measured in."""

from __future__ import annotations

import math
from unittest import TestCase

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calls.audio.levels import BLOCK, FLOOR_DBFS, SILENCE, Level, level_of, levels_of
from streams.ingest.meter import MAX_PACKETS, Meter


def pcm(*samples: int) -> bytes:
    return np.array(samples, dtype="<i2").tobytes()


class Levels(TestCase):
    def test_silence_and_no_samples_are_at_the_floor(self) -> None:
        self.assertEqual(level_of(b""), SILENCE)
        self.assertEqual(level_of(bytes(640)), SILENCE)

    def test_full_scale_square_is_zero_dbfs(self) -> None:
        self.assertEqual(level_of(pcm(-32768, -32768)), Level(0.0, 0.0))

    def test_a_window_longer_than_a_block_is_measured_whole(self) -> None:
        long = pcm(*[20_000] * BLOCK, *[-20_000] * (BLOCK + 1))
        self.assertEqual(level_of(long), levels_of([long])[0])

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


class Windows(TestCase):
    def test_without_packets_there_is_no_window(self) -> None:
        self.assertIsNone(Meter(16000).take())

    def test_a_window_is_taken_once(self) -> None:
        meter = Meter(16000)
        meter.add(pcm(*[16384] * 320))
        self.assertEqual(meter.take(), pcm(*[16384] * 320))
        self.assertIsNone(meter.take())

    def test_only_the_newest_100_ms_are_taken(self) -> None:
        meter = Meter(16000)
        meter.add(pcm(*[32767] * 320))
        for _ in range(5):
            meter.add(bytes(640))
        self.assertEqual(meter.take(), bytes(5 * 640))

    def test_a_packet_longer_than_a_window_is_taken_whole(self) -> None:
        meter = Meter(16000)
        meter.add(pcm(*[16384] * 5000))
        self.assertEqual(meter.take(), pcm(*[16384] * 5000))

    @given(st.lists(st.integers(1, 2000), max_size=60))
    def test_a_window_is_no_more_than_the_newest_packets_that_fill_it(
        self, lengths: list[int]
    ) -> None:
        meter = Meter(16000)
        packets = [pcm(*[number] * length) for number, length in enumerate(lengths)]
        for packet in packets:
            meter.add(packet)
        window = meter.take() or b""
        self.assertTrue(b"".join(packets).endswith(window))
        self.assertLessEqual(len(window), 2 * (1600 + 2000))
        if len(packets) <= MAX_PACKETS:
            self.assertGreaterEqual(len(window), min(2 * 1600, len(b"".join(packets))))

    def test_packets_never_taken_are_bounded(self) -> None:
        meter = Meter(16000)
        for _ in range(10 * MAX_PACKETS):
            meter.add(bytes(640))
        self.assertEqual(len(meter._newest), MAX_PACKETS)
