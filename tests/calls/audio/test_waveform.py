"""Waveform overviews of segments."""

from __future__ import annotations

from unittest import TestCase

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calls.audio.waveform import cell_size, cells_of, load, peaks_of


class WaveformTests(TestCase):
    @given(
        st.integers(1, 20_000),
        st.sampled_from([8_000, 16_000, 24_000, 44_100]),
        st.integers(1, 32_767),
    )
    def test_every_cell_encloses_its_samples_closely(
        self, count: int, rate: int, loudest: int
    ) -> None:
        samples = np.random.default_rng(count).integers(
            -loudest - 1, loudest, count, dtype=np.int16, endpoint=True
        )
        cells = cells_of(samples, rate).astype(int) * 256
        size = cell_size(rate)
        windows = [samples[at : at + size] for at in range(0, count, size)]
        self.assertEqual(len(cells), len(windows))
        for (lowest, highest), window in zip(cells, windows, strict=True):
            self.assertTrue(lowest <= window.min() < lowest + 256)
            self.assertTrue(highest - 256 < window.max() <= highest + 255 * (highest == 127 * 256))

    def test_silence_is_flat(self) -> None:
        self.assertFalse(cells_of(np.zeros(1_700, np.int16), 16_000).any())

    def test_ten_seconds_take_200_bytes_and_are_restored(self) -> None:
        samples = np.random.default_rng(1).integers(-9_000, 9_000, 160_000, dtype=np.int16)
        content = peaks_of(samples.tobytes(), 16_000)
        self.assertEqual(len(content), 200)
        loaded = load(content, sample_count=160_000, sample_rate=16_000)
        np.testing.assert_array_equal(loaded, cells_of(samples, 16_000))

    def test_cells_of_another_length_are_ignored(self) -> None:
        self.assertIsNone(load(bytes(198), sample_count=160_000, sample_rate=16_000))
        self.assertIsNone(load(b"", sample_count=1, sample_rate=16_000))
