"""Audio of several sockets shares a track without overlaps and without loss."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps import Stored, without_overlaps


def segment(
    start: int, count: int, fill: int = 1, raw_id: str = "p", packets: int = 1
) -> SealedSegment:
    """Returns a segment of `count` samples of one value."""
    return SealedSegment(raw_id, 0, start, 16_000, bytes([fill, 0]) * count, packets)


def stored(one: SealedSegment) -> Stored:
    return one.start_sample, one.end_sample, sha256(one.pcm).hexdigest()


def positions(segments: list[SealedSegment]) -> list[tuple[int, int]]:
    return [(one.start_sample, one.end_sample) for one in segments]


lengths_and_pauses = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), max_size=8)


def track(lengths_and_pauses: list[tuple[int, int]], fill: int) -> list[SealedSegment]:
    """Returns segments in the order of the axis, as from a timeline; each with its own audio."""
    segments, place = [], 0
    for number, (length, pause) in enumerate(lengths_and_pauses):
        segments.append(segment(place + pause, length, fill + number))
        place += pause + length
    return segments


class Overlaps(TestCase):
    def test_without_stored_audio_no_segment_moves(self) -> None:
        segments = [segment(0, 10), segment(10, 10, 2), segment(50, 5, 3)]
        self.assertEqual(without_overlaps(segments, {}), (segments, 0))

    def test_audio_beside_stored_audio_does_not_move(self) -> None:
        segments = [segment(10, 10)]
        around = {"p": [stored(segment(0, 10, 2)), stored(segment(20, 10, 3))]}
        self.assertEqual(without_overlaps(segments, around), (segments, 0))

    def test_an_exact_copy_is_dropped_and_its_packets_are_counted(self) -> None:
        copy, new = segment(0, 10, packets=500), segment(10, 10, 2)
        self.assertEqual(without_overlaps([copy, new], {"p": [stored(copy)]}), ([new], 500))

    def test_the_same_audio_at_another_position_is_no_copy(self) -> None:
        segments = [segment(100, 10)]
        self.assertEqual(without_overlaps(segments, {"p": [stored(segment(0, 10))]}), (segments, 0))

    def test_different_audio_for_a_taken_position_moves_behind_it(self) -> None:
        moved, dropped = without_overlaps(
            [segment(5, 10, 2)], {"p": [stored(segment(0, 10)), stored(segment(10, 10, 3))]}
        )
        self.assertEqual((positions(moved), dropped), ([(20, 30)], 0))

    def test_it_moves_into_a_space_that_is_long_enough(self) -> None:
        moved, _ = without_overlaps(
            [segment(5, 10, 2)], {"p": [stored(segment(0, 10)), stored(segment(20, 10, 3))]}
        )
        self.assertEqual(positions(moved), [(10, 20)])

    def test_audio_that_follows_moved_audio_moves_behind_it(self) -> None:
        segments = [segment(5, 10, 2), segment(15, 10, 3), segment(100, 10, 4)]
        moved, _ = without_overlaps(segments, {"p": [stored(segment(0, 10))]})
        self.assertEqual(positions(moved), [(10, 20), (20, 30), (100, 110)])

    def test_stored_audio_of_another_voice_does_not_matter(self) -> None:
        segments = [segment(0, 10, raw_id="p"), segment(0, 10, raw_id="q")]
        moved, dropped = without_overlaps(segments, {"q": [stored(segment(5, 10, 9))]})
        self.assertEqual((positions(moved), dropped), ([(0, 10), (15, 25)], 0))

    @given(lengths_and_pauses, lengths_and_pauses)
    def test_nothing_overlaps_nothing_is_lost_and_the_order_is_kept(
        self, first: list[tuple[int, int]], second: list[tuple[int, int]]
    ) -> None:
        before, segments = track(first, fill=1), track(second, fill=100)
        moved, dropped = without_overlaps(segments, {"p": [stored(one) for one in before]})
        self.assertEqual(([one.pcm for one in moved], dropped), ([one.pcm for one in segments], 0))
        for (_, end), (start, _) in pairwise(sorted(positions(before) + positions(moved))):
            self.assertLessEqual(end, start)
        self.assertEqual(positions(moved), sorted(positions(moved)))
        for one, original in zip(moved, segments, strict=True):
            self.assertGreaterEqual(one.start_sample, original.start_sample)

    @given(lengths_and_pauses, st.sets(st.integers(0, 7)))
    def test_exact_copies_among_other_audio_are_dropped_once_each(
        self, both: list[tuple[int, int]], copied: set[int]
    ) -> None:
        mine = track(both, fill=1)
        theirs = [one for number, one in enumerate(mine) if number in copied]
        moved, dropped = without_overlaps(mine, {"p": [stored(one) for one in theirs]})
        self.assertEqual(dropped, len(theirs))
        self.assertEqual(sorted(moved + theirs, key=lambda one: one.start_sample), mine)
