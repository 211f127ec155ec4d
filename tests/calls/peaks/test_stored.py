"""Waveforms from stored cells: they include every sample, and hardly more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest import TestCase

import numpy as np
from django.test import TestCase as RowTestCase
from hypothesis import given
from hypothesis import strategies as st

from calls.audio.waveform import Cells, cell_size, cells_of
from calls.export.axis import SegmentRef
from calls.export.errors import SegmentDamaged
from calls.export.formats import Layout
from calls.export.plan import ExportRequest, Plan, plan_of
from calls.export.queries import recording_of
from calls.export.rendering import Renderer
from calls.export.segments import read_segment
from calls.models import Segment
from calls.peaks import stored
from calls.peaks.peaks import extremes, waveform
from tests.calls.rows import BOB, make_call, make_participant, make_segment, noise
from tests.calls.sealed import Sealed

RATE = 16_000
TENTH = RATE // 10


def stored_pairs(sealed: Sealed, plan: Plan, points: int) -> Any:
    def cells(segment: SegmentRef) -> Cells:
        return cells_of(sealed.read(segment), segment.sample_rate)

    return stored.extremes(plan, cells, points).astype(int)


def quiet(count: int, seed: int = 0, loudest: int = 9_000) -> Any:
    return np.random.default_rng(seed).integers(-loudest, loudest, count, dtype=np.int16)


class MostPointsTests(TestCase):
    def test_points_are_as_wide_as_two_cells_and_never_none(self) -> None:
        for samples, most in ((1, 1), (TENTH, 1), (2 * TENTH, 1), (4 * TENTH, 2), (10 * RATE, 50)):
            plan = Sealed([[(0, quiet(samples))]]).plan(layout=Layout.MIX)
            self.assertEqual(stored.most_points(plan), most)
            self.assertTrue(most == 1 or stored.is_fine_enough(plan, most))
            self.assertFalse(stored.is_fine_enough(plan, most + 1))


class CellTests(TestCase):
    @given(st.integers(2, 40), st.integers(0, 30_000), st.sampled_from([16_000, 24_000]), st.data())
    def test_points_include_their_samples_and_at_most_a_tenth_of_a_second_more(
        self, seconds: int, gap: int, rate: int, data: st.DataObject
    ) -> None:
        half = seconds * rate // 2
        track = (rate, [(7, quiet(half, 1)), (7 + half + gap, quiet(half, 2, 300))])
        sealed = Sealed([track, (RATE, [(0, np.ones(1, np.int16))])])
        plan = sealed.plan(participant=sealed.participants[0])
        points = data.draw(st.integers(1, plan.sample_count * 5 // plan.sample_rate))
        self.assertTrue(stored.is_fine_enough(plan, points))
        pairs, samples = stored_pairs(sealed, plan, points), sealed.rendered(plan)[:, 0].astype(int)
        margin = cell_size(plan.sample_rate) + 2
        for index, (lowest, highest) in enumerate(pairs):
            begin, end = (each * plan.sample_count // points for each in (index, index + 1))
            self.assertLessEqual(lowest, samples[begin:end].min())
            self.assertGreaterEqual(highest, samples[begin:end].max())
            around = samples[max(begin - margin, 0) : end + margin]
            self.assertLess(around.min() - lowest, 256)
            self.assertLess(highest - around.max(), 256)

    def test_missing_time_is_a_flat_line(self) -> None:
        sealed = Sealed(
            [
                [
                    (0, np.full(TENTH * 10, 5_120, np.int16)),
                    (TENTH * 30, np.full(TENTH * 10, -512, np.int16)),
                ]
            ]
        )
        pairs = stored_pairs(sealed, sealed.plan(layout=Layout.MIX), 4)
        self.assertEqual(pairs.tolist(), [[5_120, 5_120], [0, 0], [0, 0], [-512, -512]])

    def test_a_participant_without_audio_in_the_range_is_a_flat_line(self) -> None:
        loud = np.full(TENTH * 10, 5_120, np.int16)
        sealed = Sealed([[(0, loud)], [(TENTH * 20, loud)]])
        request = ExportRequest(participant=sealed.participants[0], start=Decimal(2))
        pairs = stored_pairs(sealed, plan_of(sealed.recording, request), 2)
        self.assertEqual(pairs.tolist(), [[0, 0], [0, 0]])

    def test_full_scale_stays_full_scale(self) -> None:
        sealed = Sealed([[(0, np.tile(np.array([-32_768, 32_767], np.int16), TENTH * 5))]])
        self.assertEqual(
            stored_pairs(sealed, sealed.plan(layout=Layout.MIX), 1).tolist(), [[-32_768, 32_767]]
        )

    def test_a_mix_is_the_sum_of_its_tracks_up_to_full_scale(self) -> None:
        loud = [(0, np.full(TENTH * 10, 20_480, np.int16))]
        sealed = Sealed([loud, loud, [(0, np.full(TENTH * 5, -20_480, np.int16))]])
        pairs = stored_pairs(sealed, sealed.plan(layout=Layout.MIX), 2)
        self.assertEqual(pairs.tolist(), [[20_480, 20_480], [32_767, 32_767]])

    def test_a_clock_that_stepped_back_leaves_no_silence(self) -> None:
        sealed = Sealed(
            [
                [
                    (0, np.full(TENTH * 10, 512, np.int16)),
                    (TENTH * 5, np.full(TENTH * 15, 512, np.int16)),
                ]
            ]
        )
        self.assertEqual(
            stored_pairs(sealed, sealed.plan(layout=Layout.MIX), 2).tolist(),
            [[512, 512], [512, 512]],
        )

    def test_narrow_points_need_samples(self) -> None:
        plan = Sealed([[(0, quiet(TENTH * 100))]]).plan()
        self.assertTrue(stored.is_fine_enough(plan, 50))
        self.assertFalse(stored.is_fine_enough(plan, 51))


class StoredTests(RowTestCase):
    def setUp(self) -> None:
        self.call = make_call()
        for raw_id, seed in (("4:+15551234567", 1), (BOB, 2)):
            track = make_participant(self.call, raw_id)
            for second in range(4):
                make_segment(track, at=second, samples=noise(1.0, seed=10 * seed + second))
        self.reads: list[SegmentRef] = []

    def _read(self, segment: SegmentRef) -> Any:
        self.reads.append(segment)
        raise SegmentDamaged(segment.segment_id)

    def test_a_waveform_is_read_from_the_rows_in_one_query_without_audio(self) -> None:
        plan = plan_of(recording_of(self.call), ExportRequest())
        with self.assertNumQueries(1):
            pairs = waveform(plan, 4, read=self._read)
        self.assertEqual(self.reads, [])
        exact = extremes(plan, Renderer(plan, read_segment), 4).astype(int)
        self.assertTrue((pairs[:, 0] <= exact[:, 0]).all())
        self.assertTrue((pairs[:, 1] >= exact[:, 1]).all())

    def test_segments_without_a_stored_waveform_are_decoded_with_the_same_result(self) -> None:
        plan = plan_of(recording_of(self.call), ExportRequest())
        before = waveform(plan, 7)
        older = Segment.objects.filter(participant__raw_id=BOB).on_axis()[1]
        Segment.objects.filter(pk=older.pk).update(peaks=None)
        np.testing.assert_array_equal(waveform(plan, 7), before)
        with self.assertRaises(SegmentDamaged):
            waveform(plan, 7, read=self._read)
        self.assertEqual([segment.segment_id for segment in self.reads], [older.pk])

    def test_narrow_points_are_computed_from_the_samples(self) -> None:
        plan = plan_of(recording_of(self.call), ExportRequest())
        np.testing.assert_array_equal(
            waveform(plan, 400), extremes(plan, Renderer(plan, read_segment), 400)
        )
