"""Contiguous segments are one run, and a part of a run consists of parts of its segments."""

from __future__ import annotations

from dataclasses import replace
from struct import pack
from unittest import TestCase

from streams.sealing.overlaps.layout import Block
from streams.sealing.overlaps.runs import Run, runs_of, tracks_of
from tests.streams.sealing.overlaps.tracks import PACKET, START, new, pcm_of, stamps_of


def voice(first: int, last: int) -> bytes:
    """Returns packets `first` to `last` (exclusive) of a voice."""
    return pcm_of(first * PACKET, (last - first) * PACKET)


class Runs(TestCase):
    def test_segments_that_adjoin_in_one_subscription_are_one_run(self) -> None:
        segments = [
            new(0, voice(0, 2)),
            new(2 * PACKET, voice(2, 4)),
            new(4 * PACKET, voice(4, 5), subscription=1),
            new(6 * PACKET, voice(6, 7), subscription=1),
        ]
        runs = runs_of(segments)
        self.assertEqual(
            [list(run.segments) for run in runs], [segments[:2], [segments[2]], [segments[3]]]
        )
        self.assertEqual((runs[0].audio.start, runs[0].audio.pcm), (START, voice(0, 4)))


class Stamps(TestCase):
    def test_a_sample_has_its_timestamp_or_its_place(self) -> None:
        run = Run(
            [
                new(0, voice(0, 2), stamps=stamps_of(3, 4)),
                new(2 * PACKET, voice(2, 4)),
            ]
        )
        found = [run.stamp_of(sample, PACKET) - START for sample in (0, PACKET, 3 * PACKET)]
        self.assertEqual(found, [3 * PACKET, 4 * PACKET, 3 * PACKET])
        self.assertTrue(run.has_stamps)
        self.assertFalse(Run(run.segments[1:]).has_stamps)

    def test_packets_without_timestamp_are_known(self) -> None:
        stamps = pack("<2q", START, -START - PACKET)
        run = Run([new(0, voice(0, 2), stamps=stamps), new(2 * PACKET, voice(2, 3))])
        found = [run.is_untimed(at * PACKET, PACKET) for at in range(3)]
        self.assertEqual(found, [False, True, False])

    def test_a_part_keeps_the_timestamps_of_its_packets(self) -> None:
        run = Run([new(0, voice(0, 3), stamps=stamps_of(3, 4, 9))])
        (part,) = run.parts(Block(START, 2 * PACKET, 0, PACKET))
        self.assertEqual(part.stamps, stamps_of(4, 9))


class Parts(TestCase):
    def setUp(self) -> None:
        self.segments = [
            new(0, voice(0, 5)),
            new(5 * PACKET, voice(5, 9)),
            new(9 * PACKET, voice(9, 12)),
        ]

    def test_a_block_has_no_part_of_segments_outside_it(self) -> None:
        block = Block(START + 6 * PACKET, 2 * PACKET, 0, 6 * PACKET)
        (part,) = Run(self.segments).parts(block)
        self.assertEqual((part.start_sample, part.pcm), (block.start, voice(6, 8)))

    def test_a_segment_in_its_place_stays_the_same(self) -> None:
        self.assertEqual(Run(self.segments).parts(Block(START, 12 * PACKET, 0)), self.segments)

    def test_a_segment_that_moves_is_another_one_with_its_share_of_the_packets(self) -> None:
        parts = Run(self.segments).parts(Block(START + 7, 7 * PACKET, 0))
        self.assertEqual([part.start_sample - START for part in parts], [7, 5 * PACKET + 7])
        self.assertEqual([part.packets for part in parts], [5, 2])


class Tracks(TestCase):
    def test_segments_belong_to_the_track_of_their_voice_and_rate(self) -> None:
        one, other = new(0, voice(0, 2)), new(2 * PACKET, voice(2, 4))
        faster = replace(one, sample_rate=24_000)
        found = tracks_of([one, faster, other])
        self.assertEqual(found, {("p", 16_000): [one, other], ("p", 24_000): [faster]})
