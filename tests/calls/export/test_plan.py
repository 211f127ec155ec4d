"""Planning and rendering of any set of segments: parts add up to the whole."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from unittest import TestCase
from uuid import uuid4

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.audio.codec import Samples
from calls.export.errors import NoAudio, UnknownParticipant, WrongParameter
from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest, Plan, Recording, etag_of, plan_of
from calls.export.rendering import Renderer
from tests.calls.sealed import Placed, Sealed


def samples(count: int, seed: int = 0) -> Samples:
    drawn: Samples = np.random.default_rng(seed).integers(-32_768, 32_768, count, dtype=np.int16)
    return drawn


SEGMENT = st.tuples(
    st.integers(0, 3_000), st.builds(samples, st.integers(1, 800), st.integers(0, 99))
)
TRACKS = st.lists(st.lists(SEGMENT, min_size=1, max_size=6), min_size=1, max_size=4)


def expected_samples(segments: list[Placed], zero: int, length: int) -> Samples:
    """Returns the expected samples of a track, computed in the simplest way."""
    total = np.zeros(length, np.int64)
    for start, values in segments:
        total[start - zero : start - zero + len(values)] += values
    return np.clip(total, -32_768, 32_767).astype(np.int16)


class PlanningTests(TestCase):
    def test_a_recording_without_segments_has_no_audio(self) -> None:
        with self.assertRaises(NoAudio):
            plan_of(Recording(uuid4(), {uuid4(): []}), ExportRequest())

    def test_a_participant_of_another_call_is_unknown(self) -> None:
        with self.assertRaises(UnknownParticipant):
            Sealed([[(0, samples(10))]]).plan(participant=uuid4())

    def test_a_participant_without_audio_is_silent_alone_and_has_no_channel(self) -> None:
        sealed = Sealed([[(0, samples(100))], []])
        silent = sealed.plan(participant=sealed.participants[1])
        self.assertEqual(sealed.rendered(silent).tolist(), [[0]] * 100)
        self.assertEqual(sealed.plan().channels, 1)

    def test_a_start_beyond_the_end_is_an_error_that_names_the_parameter(self) -> None:
        sealed = Sealed([[(0, samples(16_000))]])
        for request, name in (
            (ExportRequest(start=Decimal(1)), "start"),
            (ExportRequest(start=Decimal("0.5"), end=Decimal("0.5")), "end"),
            (ExportRequest(start=Decimal("0.5"), end=Decimal("0.2")), "end"),
            (ExportRequest(end=Decimal(0)), "end"),
        ):
            with self.subTest(request=request), self.assertRaises(WrongParameter) as raised:
                plan_of(sealed.recording, request)
            self.assertEqual(raised.exception.parameter, name)

    def test_seconds_are_rounded_to_the_nearest_sample(self) -> None:
        sealed = Sealed([[(0, samples(16_000))]])
        plan = plan_of(
            sealed.recording, ExportRequest(start=Decimal("0.00003125"), end=Decimal("0.1"))
        )
        self.assertEqual((plan.first, plan.last), (1, 1_600))  # half a sample rounds up

    def test_an_end_beyond_the_recording_is_its_end(self) -> None:
        plan = plan_of(Sealed([[(0, samples(160))]]).recording, ExportRequest(end=Decimal(10**9)))
        self.assertEqual(plan.last, 160)

    def test_too_many_channels_are_an_error_that_names_the_format(self) -> None:
        sealed = Sealed([[(0, samples(10))]] * 9)
        for name in ("flac", "mp3"):
            with self.subTest(name), self.assertRaisesRegex(WrongParameter, "9") as raised:
                sealed.plan(name)
            self.assertEqual(raised.exception.parameter, "format")
        self.assertEqual(sealed.plan("opus").channels, 9)
        with self.assertRaisesRegex(
            WrongParameter, "at most 255 channels, but not 6 to 8; .* has 8 tracks"
        ):
            Sealed([[(0, samples(10))]] * 8).plan("opus")
        self.assertEqual(sealed.plan("flac", Layout.MIX).channels, 1)

    def test_a_format_without_the_rate_takes_the_next_higher_one(self) -> None:
        sealed = Sealed([[(0, samples(22_050))]], rate=22_050)
        rates = {name: sealed.plan(name).sample_rate for name in FORMATS}
        self.assertEqual(rates, {"wav": 22_050, "flac": 22_050, "mp3": 24_000, "opus": 24_000})
        self.assertEqual(FORMATS["opus"].rate_for(96_000), 48_000)


class EtagTests(TestCase):
    def setUp(self) -> None:
        self.tracks: list[list[Placed]] = [
            [(0, samples(800, 1)), (1_000, samples(800, 2))],
            [(100, samples(500, 3))],
        ]

    def etag(self, name: str = "wav", **values: object) -> str:
        request = ExportRequest(FORMATS[name], **values)  # type: ignore[arg-type]
        return etag_of(plan_of(Sealed(self.tracks).recording, request))

    def test_it_is_strong_and_reproducible(self) -> None:
        self.assertRegex(self.etag(), r'^"[0-9a-f]{32}"$')
        self.assertEqual(self.etag(), self.etag())

    def test_it_changes_with_every_parameter(self) -> None:
        etags = [
            self.etag(),
            self.etag("flac"),
            self.etag(layout=Layout.TRACKS),
            self.etag(start=Decimal("0.01")),
            self.etag(end=Decimal("0.01")),
        ]
        self.assertEqual(len(set(etags)), len(etags))

    def test_it_changes_with_every_segment(self) -> None:
        before = self.etag()
        self.tracks[1].append((2_000, samples(10)))
        longer = self.etag()
        self.tracks[1][-1] = (2_000, samples(10, seed=9))
        other = self.etag()
        self.tracks[1][-1] = (1_999, samples(10, seed=9))
        moved = self.etag()
        self.assertEqual(len({before, longer, other, moved}), 4)

    def test_the_order_of_tracks_matters(self) -> None:
        before = self.etag(layout=Layout.TRACKS)
        self.tracks.reverse()
        self.assertNotEqual(self.etag(layout=Layout.TRACKS), before)


class RenderingTests(TestCase):
    @given(TRACKS)
    @settings(max_examples=60, deadline=None)
    def test_every_sample_is_at_its_position_and_the_rest_is_silence(
        self, tracks: list[list[Placed]]
    ) -> None:
        sealed = Sealed(tracks)
        plan = sealed.plan()
        zero = min(start for track in tracks for start, _ in track)
        expected = [expected_samples(track, zero, plan.sample_count) for track in tracks]
        np.testing.assert_array_equal(sealed.rendered(plan), np.stack(expected, axis=1))

    @given(TRACKS)
    @settings(max_examples=60, deadline=None)
    def test_the_mix_is_the_sum_clipped_at_full_scale(self, tracks: list[list[Placed]]) -> None:
        sealed = Sealed(tracks)
        channels = sealed.rendered(sealed.plan())
        mix = sealed.rendered(sealed.plan(layout=Layout.MIX))
        np.testing.assert_array_equal(
            mix[:, 0], np.clip(channels.sum(axis=1, dtype=np.int64), -32_768, 32_767)
        )

    @given(TRACKS, st.lists(st.integers(0, 4_000), max_size=5), st.sampled_from(Layout))
    @settings(max_examples=60, deadline=None)
    def test_adjoining_ranges_are_the_whole(
        self, tracks: list[list[Placed]], cuts: list[int], layout: Layout
    ) -> None:
        sealed = Sealed(tracks)
        plan = sealed.plan(layout=layout)
        bounds = sorted({0, plan.last, *(cut for cut in cuts if cut < plan.last)})
        parts = [Renderer(plan, sealed.read).render(a, b) for a, b in pairwise(bounds)]
        np.testing.assert_array_equal(np.concatenate(parts), sealed.rendered(plan))

    @given(st.integers(1, 400_000), st.integers(0, 700_000), st.integers(1, 100_000))
    @settings(max_examples=15, deadline=None)
    def test_a_range_of_a_resampled_track_is_that_part_of_the_whole(
        self, cut: int, first: int, count: int
    ) -> None:
        sealed = _two_rates(cut)
        plan = sealed.plan()
        last = min(first + count, plan.last)
        part = Renderer(plan, sealed.read).render(first, last)
        np.testing.assert_array_equal(part, sealed.rendered(plan)[first:last])

    def test_a_resampled_tone_keeps_its_shape_and_position(self) -> None:
        seconds = 25  # over two windows
        tones = {rate: _tone(seconds, rate) for rate in (16_000, 24_000)}
        sealed = Sealed([(16_000, [(0, tones[16_000])]), (24_000, [(0, tones[24_000])])])
        low, high = sealed.rendered(sealed.plan()).T.astype(np.int64)
        inner = slice(240, -240)  # a tone with an abrupt onset has more than one frequency there
        self.assertEqual(sealed.plan().sample_rate, 24_000)
        self.assertLessEqual(np.abs(low - high)[inner].max(), 3)

    def test_resampling_reads_only_needed_segments_and_each_at_most_twice(self) -> None:
        tone = _tone(60, 16_000)
        segments = [(start, tone[start : start + 16_000]) for start in range(0, len(tone), 16_000)]
        sealed = Sealed([(16_000, segments), (24_000, [(0, samples(24_000))])])
        plan = sealed.plan()
        Renderer(plan, sealed.read).render(30 * 24_000, 31 * 24_000)
        # The window of ten seconds, and a second on both sides.
        self.assertEqual(len(sealed.reads), 12)
        sealed.reads.clear()
        sealed.rendered(plan)
        self.assertLessEqual(max(sealed.reads.values()), 2)

    def test_ranges_within_a_window_are_resampled_once(self) -> None:
        sealed = _two_rates(100_000)
        plan = sealed.plan()
        renderer = Renderer(plan, sealed.read)
        parts = [renderer.render(first, first + 1_000) for first in (0, 1_000)]
        self.assertEqual(set(sealed.reads.values()), {1})
        np.testing.assert_array_equal(np.concatenate(parts), sealed.rendered(plan)[:2_000])

    def test_a_range_reads_only_the_segments_it_needs(self) -> None:
        sealed = Sealed([[(second * 16_000, samples(16_000, second)) for second in range(10)]])
        Renderer(sealed.plan(), sealed.read).render(3 * 16_000 + 1, 5 * 16_000)
        self.assertEqual(sum(sealed.reads.values()), 2)

    def test_rendering_in_order_reads_every_segment_once_and_caches_few(self) -> None:
        sealed = Sealed([[(second * 16_000, samples(16_000, second)) for second in range(45)]])
        plan = sealed.plan()
        renderer = Renderer(plan, sealed.read)
        for _ in renderer.all_blocks():
            self.assertLessEqual(len(renderer._tracks[0]._cache._samples), 11)
        self.assertEqual(set(sealed.reads.values()), {1})

    def test_the_size_of_blocks_does_not_grow_with_the_channels(self) -> None:
        for channels in (1, 64):
            sealed = Sealed([[(0, samples(320_000))]] * channels)
            plan = sealed.plan()
            sizes = [block.nbytes for block in Renderer(plan, sealed.read).all_blocks()]
            self.assertLessEqual(max(sizes), 1 << 20)

    def test_every_layout_has_the_same_length(self) -> None:
        sealed = Sealed(
            [
                (16_000, [(5, samples(777))]),
                (24_000, [(11, samples(999))]),
                (16_000, [(3_000, samples(1))]),
            ]
        )
        plans: list[Plan] = [
            sealed.plan(layout=layout, participant=participant)
            for layout in Layout
            for participant in [None, *sealed.participants]
        ]
        self.assertEqual({len(sealed.rendered(plan)) for plan in plans}, {plans[0].axis.length})


def _tone(seconds: int, rate: int) -> Samples:
    return np.round(12_000 * np.sin(2 * np.pi * 300 * np.arange(seconds * rate) / rate)).astype(
        np.int16
    )


def _two_rates(cut: int) -> Sealed:
    """A track at 16 kHz in two segments that adjoin at `cut`, and one at 24 kHz that sets the rate
    of the export.
    """
    values = samples(480_000, 5)
    return Sealed(
        [(16_000, [(0, values[:cut]), (cut, values[cut:])]), (24_000, [(7, samples(100))])]
    )
