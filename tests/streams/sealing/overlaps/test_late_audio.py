"""Audio without timestamps moves back, as far as what follows it lies behind its timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import TestCase

from streams.sealing.overlaps.late_audio import LateAudio
from streams.sealing.overlaps.layout import Block

TOLERANCE, PACKET = 60, 20
UNTIMED, TIMED, OTHER = 0, 1, 2
FIRST = -1000


class MovedBack(TestCase):
    """Blocks of packets without timestamp, and of ones stamped at their places, both pushed."""

    def moved(
        self,
        *blocks: tuple[int, int, int],
        stamps: Sequence[int] = (),
        is_cuttable: bool = True,
        lowest: int = FIRST,
        pushed: int = 100,
    ) -> list[tuple[int, int]]:
        """Returns the places of blocks at (start, end, source). `stamps`: of timed packets, in
        order; else each was pushed behind its own.
        """
        track = [Block(start, end - start, source, start) for start, end, source in blocks]
        for block in track:
            block.pushed = pushed

        def stamp_of(part: Block) -> int:
            if part.source == UNTIMED:
                return 0
            return stamps[(part.first - track[-1].first) // PACKET] if stamps else part.first - 100

        late = LateAudio(
            PACKET,
            TOLERANCE,
            stamp_of,
            lambda part: part.first - 100,
            lambda part: part.source == UNTIMED,
            lambda part: part.source != OTHER,
            lambda _: is_cuttable,
        )
        places: list[tuple[int, int]] = []
        for one in late.moved_back(track, lowest):
            if places and places[-1][1] == one.start:
                places[-1] = places[-1][0], one.end
            else:
                places.append((one.start, one.end))
        return places

    def test_it_moves_with_the_packets_that_were_pushed(self) -> None:
        self.assertEqual(self.moved((500, 560, UNTIMED), (560, 640, TIMED)), [(400, 540)])

    def test_what_was_not_pushed_stays(self) -> None:
        both = (500, 560, UNTIMED), (560, 640, TIMED)
        self.assertEqual(self.moved(*both, pushed=0), [(500, 640)])

    def test_it_moves_no_further_than_the_space_before_it(self) -> None:
        blocks = (420, 440, OTHER), (500, 560, UNTIMED), (560, 640, TIMED)
        self.assertEqual(self.moved(*blocks), [(420, 580)])
        self.assertEqual(self.moved(*blocks[1:], lowest=490), [(490, 630)])
        self.assertEqual(self.moved(*blocks[1:], lowest=700), [(500, 640)])

    def test_audio_that_touches_that_of_other_times_stays(self) -> None:
        blocks = (480, 500, OTHER), (500, 560, UNTIMED), (560, 640, TIMED)
        self.assertEqual(self.moved(*blocks), [(480, 640)])

    def test_no_packet_with_a_timestamp_moves_before_its_place(self) -> None:
        early = [100, 120, 140, 160]
        self.assertEqual(self.moved((560, 640, TIMED), stamps=early), [(460, 540)])

    def test_up_to_the_tolerance_it_stays(self) -> None:
        near = [500, 520, 540, 560]
        self.assertEqual(
            self.moved((500, 560, UNTIMED), (560, 640, TIMED), stamps=near), [(500, 640)]
        )

    def test_packets_behind_those_that_are_late_stay(self) -> None:
        stamps = [460, 480, 600, 620]
        track = (500, 560, UNTIMED), (560, 640, TIMED)
        self.assertEqual(self.moved(*track, stamps=stamps), [(400, 500), (600, 640)])
        self.assertEqual(self.moved(*track, stamps=stamps, is_cuttable=False), [(500, 640)])

    def test_of_packets_with_one_timestamp_the_first_tells(self) -> None:
        stamps = [550, 570, 570, 570, 570, 570]
        self.assertEqual(self.moved((560, 680, TIMED), stamps=stamps), [(560, 680)])

    def test_a_coarse_clock_does_not_tell(self) -> None:
        stamps = [300, 300, 400, 400]
        self.assertEqual(self.moved((560, 640, TIMED), stamps=stamps), [(560, 640)])

    def test_without_audio_nothing_moves(self) -> None:
        self.assertEqual(self.moved(), [])
