"""Audio of one track at two sample rates never overlaps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from unittest import TestCase

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.placement import Cut, Move, Placement
from streams.sealing.overlaps.rates import separate_rates
from tests.streams.sealing.overlaps.tracks import RATE, START, Track, new, pcm_of

HALF = RATE // 2


class Rates(TestCase):
    def setUp(self) -> None:
        self.track = Track()
        # from 1.000 s on, at 8 kHz
        self.row = self.track.store(0, pcm_of(0, HALF), rate=HALF)
        self.row = replace(self.row, start_sample=START // 2 + HALF)

    def separated(self, placement: Placement) -> Placement:
        separate_rates(placement, {"p": [self.row]})
        return placement

    def test_stored_audio_goes_behind_new_audio_that_has_been_pushed_into_it(self) -> None:
        segment = new(17, pcm_of(0, RATE))
        placement = self.separated(Placement([segment]))
        self.assertEqual(placement.segments, [segment])
        self.assertEqual(placement.moves, [Move("p", self.row, self.row.start_sample + 9)])

    def test_what_follows_goes_behind_both(self) -> None:
        after = new(2 * RATE, pcm_of(0, 400))
        placement = self.separated(Placement([new(17, pcm_of(0, RATE)), after]))
        self.assertEqual(placement.segments[1], new(2 * RATE + 18, pcm_of(0, 400)))

    def test_a_row_that_moves_already_moves_once(self) -> None:
        move = Move("p", self.row, self.row.start_sample + 2)
        placement = self.separated(Placement([new(17, pcm_of(0, RATE))], moves=[move]))
        self.assertEqual(placement.moves, [Move("p", self.row, self.row.start_sample + 9)])

    def test_a_piece_of_a_row_that_is_cut_goes_behind(self) -> None:
        first, second = (
            replace(new(0, pcm_of(at, HALF // 2)), sample_rate=HALF, start_sample=start)
            for at, start in ((0, self.row.start_sample), (9, self.row.start_sample + HALF))
        )
        placement = self.separated(
            Placement([new(17, pcm_of(0, RATE))], cuts=[Cut(self.row, (first, second))])
        )
        moved = replace(first, start_sample=first.start_sample + 9)
        self.assertEqual(placement.cuts, [Cut(self.row, (moved, second))])

    def test_audio_that_is_far_in_the_other_goes_behind_it(self) -> None:
        segment = new(RATE // 2, pcm_of(0, RATE))
        placement = self.separated(Placement([segment]))
        self.assertEqual(placement.segments, [segment])
        self.assertEqual(placement.moves, [Move("p", self.row, self.row.start_sample + HALF // 2)])

    def test_the_audio_that_moves_less_goes_behind(self) -> None:
        segment = new(RATE + 640, pcm_of(0, 320))  # 20 ms, 40 ms behind the beginning of the row
        placement = self.separated(Placement([segment]))
        self.assertEqual(placement.segments, [segment])
        self.assertEqual(placement.moves, [Move("p", self.row, self.row.start_sample + 480)])

    def test_audio_after_a_change_goes_behind_all_audio_before_it(self) -> None:
        before = [new(RATE + 320 * at, pcm_of(320 * at, 320)) for at in range(2)]
        size = HALF // 50
        after = tuple(
            replace(
                new(0, pcm_of(size * at, size)),
                sample_rate=HALF,
                start_sample=self.row.start_sample + size * at,
            )
            for at in range(10)
        )
        placement = self.separated(Placement(list(before), cuts=[Cut(self.row, after)]))
        self.assertEqual(placement.segments, before)
        moved = tuple(replace(one, start_sample=one.start_sample + 2 * size) for one in after)
        self.assertEqual(placement.cuts, [Cut(self.row, moved)])

    def test_three_rates_are_apart(self) -> None:
        third = replace(new(0, pcm_of(0, 24_000)), sample_rate=24_000)
        third = replace(third, start_sample=START // 2 * 3 + 24_000)
        placement = self.separated(Placement([new(17, pcm_of(0, RATE)), third]))
        pieces: list[SealedSegment | Move] = [*placement.segments, *placement.moves]
        places = sorted(
            (one.start_sample / one.sample_rate, one.end_sample / one.sample_rate) for one in pieces
        )
        self.assertEqual(len(places), 3)
        for (_, end), (start, _) in pairwise(places):
            self.assertLessEqual(end, start)

    def test_audio_of_one_rate_never_overlaps_itself(self) -> None:
        rows = [
            self.track.store(RATE * at * 3 // 2, pcm_of(0, RATE * 3 // 2), rate=RATE * 3 // 2)
            for at in (1, 2)
        ]
        rows = [
            replace(row, start_sample=START * 3 // 2 + RATE * at * 3 // 2)
            for row, at in zip(rows, (1, 2), strict=True)
        ]
        placement = Placement([new(16, pcm_of(0, RATE + 784)), new(24_000, pcm_of(0, 6400))])
        separate_rates(placement, {"p": rows})
        self.assertEqual(
            [one.start_sample - one.stored.start_sample for one in placement.moves], [1200, 10_800]
        )
        self.assertEqual(placement.segments[1].start_sample, START + 32_800)

    def test_audio_of_another_voice_stays(self) -> None:
        another = replace(new(17, pcm_of(0, RATE)), raw_id="q")
        placement = self.separated(Placement([another, new(17, pcm_of(0, RATE))]))
        self.assertEqual(placement.segments[0], another)
        self.assertEqual(len(placement.moves), 1)

    def test_audio_of_one_rate_stays(self) -> None:
        self.row = replace(self.row, sample_rate=RATE, start_sample=START + RATE)
        placement = self.separated(Placement([new(17, pcm_of(0, RATE))]))
        self.assertEqual(placement.moves, [])
        placement = Placement([new(17, pcm_of(0, RATE))])
        separate_rates(placement, {})
        self.assertEqual(len(placement.segments), 1)
