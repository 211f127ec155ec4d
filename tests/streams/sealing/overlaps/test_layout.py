"""Blocks are inserted near their place; nothing overlaps, and nothing moves far."""

from __future__ import annotations

from itertools import pairwise
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.sealing.overlaps.layout import Block, Layout, have_overlaps

TOLERANCE, PACKET, NEW = 60, 20, 99


def layout(*places: tuple[int, int]) -> Layout:
    """Returns blocks at (start, end)."""
    return Layout(
        [Block(start, end - start, number) for number, (start, end) in enumerate(places)],
        TOLERANCE,
    )


def block(start: int, end: int) -> Block:
    return Block(start, end - start, NEW)


def places(of: Layout) -> list[tuple[int, int, int]]:
    return [(one.start, one.end, one.source) for one in of.blocks]


class Insert(TestCase):
    def test_into_free_space_moves_nothing(self) -> None:
        track = layout((0, 100), (200, 300))
        self.assertTrue(track.insert(block(100, 200)))
        self.assertEqual(places(track), [(0, 100, 0), (100, 200, NEW), (200, 300, 1)])

    def test_a_block_that_overlaps_the_one_before_it_begins_at_its_end(self) -> None:
        track = layout((0, 100))
        self.assertTrue(track.insert(block(60, 160)))
        self.assertEqual(places(track), [(0, 100, 0), (100, 200, NEW)])

    def test_a_block_that_overlaps_the_one_behind_it_begins_earlier_if_there_is_space(self) -> None:
        track = layout((0, 100), (300, 400))
        self.assertTrue(track.insert(block(210, 310)))
        self.assertEqual(places(track), [(0, 100, 0), (200, 300, NEW), (300, 400, 1)])

    def test_before_all_others_it_begins_earlier(self) -> None:
        track = layout((0, 100))
        self.assertTrue(track.insert(block(-80, 20)))
        self.assertEqual(places(track), [(-100, 0, NEW), (0, 100, 0)])

    def test_without_space_those_behind_it_move_until_a_space_absorbs_it(self) -> None:
        track = layout((0, 100), (190, 300), (300, 400), (405, 500), (520, 600))
        self.assertTrue(track.insert(block(100, 200)))
        self.assertEqual(
            places(track),
            [
                *((0, 100, 0), (100, 200, NEW), (200, 310, 1)),
                *((310, 410, 2), (410, 505, 3), (520, 600, 4)),
            ],
        )

    def test_the_space_before_it_is_used_up_first(self) -> None:
        track = layout((0, 95), (190, 300))
        self.assertTrue(track.insert(block(100, 200)))
        self.assertEqual(places(track), [(0, 95, 0), (95, 195, NEW), (195, 305, 1)])

    def test_more_than_the_tolerance_is_refused(self) -> None:
        track = layout((0, 100), (139, 300))
        self.assertFalse(track.insert(block(100, 200)))
        self.assertEqual(places(track), [(0, 100, 0), (139, 300, 1)])

    def test_the_shorter_way_is_taken(self) -> None:
        track = layout((0, 100))
        self.assertTrue(track.insert(block(-10, 10)))
        self.assertEqual(places(track), [(-20, 0, NEW), (0, 100, 0)])

    def test_a_block_is_cut_where_the_new_one_belongs_into_it(self) -> None:
        track = layout((0, 500), (500, 600))
        self.assertTrue(track.insert(block(240, 280), cut_at=240))
        self.assertEqual(
            places(track), [(0, 240, 0), (240, 280, NEW), (280, 540, 0), (540, 640, 1)]
        )
        self.assertEqual([one.first for one in track.blocks], [0, 0, 240, 0])

    def test_nothing_is_cut_for_more_than_the_tolerance(self) -> None:
        track = layout((0, 500))
        self.assertFalse(track.insert(block(240, 301), cut_at=240))

    def test_at_the_edge_of_a_block_nothing_is_cut(self) -> None:
        for at in (0, 500, 700):
            with self.subTest(at=at):
                track = layout((0, 500))
                self.assertTrue(track.insert(block(at, at + 40), cut_at=at))
                self.assertEqual(len(track.blocks), 2)


class Pieces(TestCase):
    def test_a_block_around_a_short_one_is_inserted_before_and_behind_it(self) -> None:
        track = layout((100, 140))
        pieces = track.pieces_around(block(0, 300), PACKET)
        for piece in reversed(pieces):
            self.assertTrue(track.insert(piece))
        self.assertEqual(places(track), [(0, 100, NEW), (100, 140, 0), (140, 340, NEW)])

    def test_a_block_is_cut_between_packets(self) -> None:
        pieces = layout((95, 125)).pieces_around(block(0, 290), PACKET)
        self.assertEqual([(one.first, one.count) for one in pieces], [(0, 100), (100, 190)])

    def test_around_a_longer_one_it_stays_whole(self) -> None:
        whole = block(0, 300)
        self.assertEqual(layout((100, 161)).pieces_around(whole, PACKET), [whole])


class Fill(TestCase):
    def test_packets_in_free_space_stay_in_their_place(self) -> None:
        track = layout((100, 200), (305, 400))
        rest = track.fill(block(0, 400), PACKET)
        self.assertEqual([(one.start, one.end) for one in rest], [(100, 200), (300, 400)])
        self.assertEqual(
            places(track), [(0, 100, NEW), (100, 200, 0), (200, 300, NEW), (305, 400, 1)]
        )

    def test_a_space_shorter_than_a_packet_stays_free(self) -> None:
        track = layout((0, 100), (119, 300))
        rest = track.fill(block(0, 300), PACKET)
        self.assertEqual(
            ([(one.start, one.end) for one in rest], len(track.blocks)), ([(0, 300)], 2)
        )

    def test_the_last_packet_may_be_shorter(self) -> None:
        track = layout((0, 100))
        rest = track.fill(block(0, 130), PACKET)
        self.assertEqual([(one.start, one.end) for one in rest], [(0, 100)])
        self.assertEqual(places(track)[-1], (100, 130, NEW))

    def test_a_last_space_within_a_packet_stays_free(self) -> None:
        rest = layout((0, 121)).fill(block(0, 130), PACKET)
        self.assertEqual([(one.start, one.end) for one in rest], [(0, 130)])


class Behind(TestCase):
    def test_a_block_is_inserted_into_the_first_space_that_is_long_enough(self) -> None:
        track = layout((0, 100), (110, 200), (250, 300))
        track.insert_behind(block(50, 90), lowest=0)
        self.assertEqual(places(track)[2], (200, 240, NEW))

    def test_the_order_of_arrival_stands(self) -> None:
        track = layout((0, 100))
        track.insert_behind(block(50, 90), lowest=400)
        self.assertEqual(places(track)[-1], (400, 440, NEW))


lengths_and_spaces = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 90)), max_size=6)


class Laws(TestCase):
    @given(lengths_and_spaces, st.integers(-50, 400), st.integers(1, 150), st.booleans())
    def test_nothing_overlaps_nothing_is_lost_and_nothing_moves_far(
        self, stored: list[tuple[int, int]], start: int, count: int, cuts: bool
    ) -> None:
        starts, end = [], 0
        for length, space in stored:
            starts.append((end + space, end + space + length))
            end += space + length
        track = layout(*starts)
        new = Block(start, count, NEW)
        if track.insert(new, start if cuts else None):
            self.assertLessEqual(abs(new.start - start), TOLERANCE)
        else:
            self.assertEqual(places(track), places(layout(*starts)))
            rest = track.fill(new, PACKET)
            lowest = 0
            for one in rest:
                track.insert_behind(one, lowest)
                lowest = one.end
        for before, after in pairwise(track.blocks):
            self.assertLessEqual(before.end, after.start)
        parts = sorted((one.first, one.count) for one in track.blocks if one.source == NEW)
        self.assertEqual(sum(length for _, length in parts), count)
        self.assertTrue(all(a + b == c for (a, b), (c, _) in pairwise(parts)))
        for number, (first, _) in enumerate(starts):
            of = [one for one in track.blocks if one.source == number]
            for one in of:
                self.assertLessEqual(0, one.start - one.first - first)
                self.assertLessEqual(one.start - one.first - first, TOLERANCE)


class Overlaps(TestCase):
    def test_ours_may_overlap_neither_theirs_nor_each_other(self) -> None:
        self.assertTrue(have_overlaps([(5, 15)], [(0, 10)]))
        self.assertTrue(have_overlaps([(0, 10)], [(5, 15)]))
        self.assertTrue(have_overlaps([(0, 10), (9, 12)], []))
        self.assertFalse(have_overlaps([(10, 20)], [(0, 10), (20, 30)]))

    def test_those_of_others_are_not_checked(self) -> None:
        self.assertFalse(have_overlaps([(30, 40)], [(0, 10), (5, 15)]))
