"""Min/max pairs from samples: every sample belongs to one point."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NoReturn
from unittest import TestCase
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.audio.waveform import cells_of
from calls.export import rendering
from calls.export.formats import Layout
from calls.export.rendering import Renderer
from calls.peaks import peaks
from calls.peaks.peaks import extremes
from tests.calls.sealed import Sealed


def sealed_noise(count: int, seed: int = 0) -> Sealed:
    return Sealed(
        [[(0, np.random.default_rng(seed).integers(-32_768, 32_768, count, dtype=np.int16))]]
    )


def refuse(_segment: object) -> NoReturn:
    raise AssertionError("audio is read for somebody who may not hear it")


class PeaksTests(TestCase):
    @given(st.integers(1, 5_000), st.integers(1, 700), st.integers(1, 900))
    @settings(max_examples=60, deadline=None)
    def test_each_point_has_the_lowest_and_highest_of_its_samples(
        self, count: int, points: int, block: int
    ) -> None:
        sealed = sealed_noise(count)
        plan = sealed.plan(layout=Layout.MIX)
        samples = sealed.rendered(plan)[:, 0]
        with patch.object(rendering, "BLOCK_BYTES", 2 * block):
            pairs = extremes(plan, Renderer(plan, sealed.read), points)
        points = min(points, count)
        bounds = [index * count // points for index in range(points + 1)]
        expected = [[samples[a:b].min(), samples[a:b].max()] for a, b in pairwise(bounds)]
        np.testing.assert_array_equal(pairs, expected)

    def test_missing_time_is_a_flat_line(self) -> None:
        sealed = Sealed([[(0, np.full(100, 5_000, np.int16)), (300, np.full(100, -7, np.int16))]])
        plan = sealed.plan(layout=Layout.MIX)
        pairs = extremes(plan, Renderer(plan, sealed.read), 4)
        self.assertEqual(pairs.tolist(), [[5_000, 5_000], [0, 0], [0, 0], [-7, -7]])

    @given(st.integers(1, 30_000), st.integers(0, 29_999), st.integers(1, 5_000))
    @settings(max_examples=60, deadline=None)
    def test_coarse_points_are_made_of_stored_waveforms_only(
        self, count: int, start: int, points: int
    ) -> None:
        """Tenths of a second, in 8 bits, whatever part is asked for."""
        sealed = sealed_noise(30_000)
        end = min(start + count, 30_000)
        plan = replace(sealed.plan(layout=Layout.MIX), first=start, last=end)
        stored = {one.segment_id: sealed.read(one) for one in plan.tracks[0].segments}
        cells = {key: cells_of(samples, 16_000) for key, samples in stored.items()}
        with patch.object(peaks, "stored_cells", return_value=cells):
            pairs = peaks.waveform(plan, points, read=refuse, is_coarse=True)
        self.assertLessEqual(len(pairs), max(1, (end - start) // 3_200))
        known = {int(value) for each in cells.values() for value in each.ravel().astype(int) * 256}
        known |= {32_767, 0}
        self.assertLessEqual(set(pairs.ravel().tolist()), known)

    def test_work_stops_at_the_block_after_the_client_disconnects(self) -> None:
        sealed = Sealed([[(second * 16_000, np.ones(16_000, np.int16)) for second in range(40)]])
        plan = sealed.plan(layout=Layout.MIX)

        def disconnect() -> None:
            if sealed.reads:
                raise ConnectionAbortedError

        with self.assertRaises(ConnectionAbortedError):
            extremes(plan, Renderer(plan, sealed.read), 100, disconnect)
        self.assertEqual(sum(sealed.reads.values()), 10)
