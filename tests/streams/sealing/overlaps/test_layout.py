"""Blocks are inserted near their place; nothing overlaps, and nothing moves far."""

from __future__ import annotations

from itertools import pairwise
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.sealing.overlaps.layout import Block, Layout, have_overlaps

TOLERANCE, PACKET, NEW = 60, 20, 99
LIMIT = 2 * TOLERANCE + PACKET
ANYWHERE = (-9999, 9999)


def layout(*places: tuple[int, int]) -> Layout:
    """Returns blocks at (start, end)."""
    return Layout(Block(start, end - start, number) for number, (start, end) in enumerate(places))


def block(start: int, end: int) -> Block:
    return Block(start, end - start, NEW)


def places(of: Layout) -> list[tuple[int, int, int]]:
    return [(one.start, one.end, one.source) for one in of.blocks]


class Insert(TestCase):
    def test_into_free_space_moves_nothing(self) -> None:
        track = layout((0, 100), (200, 300))
        self.assertTrue(track.insert(block(100, 200), TOLERANCE))
        self.assertEqual(places(track), [(0, 100, 0), (100, 200, NEW), (200, 300, 1)])

    def test_a_block_that_overlaps_the_one_before_it_begins_at_its_end(self) -> None:
        track = layout((0, 100))
        self.assertTrue(track.insert(block(60, 160), TOLERANCE))
        self.assertEqual(places(track), [(0, 100, 0), (100, 200, NEW)])

    def test_a_block_that_overlaps_the_one_behind_it_pushes_that(self) -> None:
        """Lost packets make audio lie early, so nothing is moved to an earlier place."""
        track = layout((0, 100), (300, 400))
        self.assertTrue(track.insert(block(210, 310), TOLERANCE))
        self.assertEqual(places(track), [(0, 100, 0), (210, 310, NEW), (310, 410, 1)])

    def test_before_all_others_it_keeps_its_place(self) -> None:
        track = layout((0, 100))
        self.assertTrue(track.insert(block(-80, 20), TOLERANCE))
        self.assertEqual(places(track), [(-80, 20, NEW), (20, 120, 0)])

    def test_without_space_those_behind_it_move_until_a_space_absorbs_it(self) -> None:
        track = layout((0, 100), (190, 300), (300, 400), (405, 500), (520, 600))
        self.assertTrue(track.insert(block(100, 200), TOLERANCE))
        self.assertEqual(
            places(track),
            [
                *((0, 100, 0), (100, 200, NEW), (200, 310, 1)),
                *((310, 410, 2), (410, 505, 3), (520, 600, 4)),
            ],
        )

    def test_more_than_the_tolerance_is_refused(self) -> None:
        track = layout((0, 100), (139, 300))
        self.assertFalse(track.insert(block(100, 200), TOLERANCE))
        self.assertEqual(places(track), [(0, 100, 0), (139, 300, 1)])

    def test_the_shorter_way_is_taken(self) -> None:
        track = layout((0, 100))
        self.assertTrue(track.insert(block(-10, 10), TOLERANCE))
        self.assertEqual(places(track), [(-10, 10, NEW), (10, 110, 0)])

    def test_the_longest_push_of_the_shorter_way_is_known_before(self) -> None:
        track = layout((0, 100), (139, 300))
        self.assertEqual(track.longest_push(block(100, 200)), 61)
        self.assertEqual(track.longest_push(block(100, 139)), 0)
        self.assertEqual(places(track), [(0, 100, 0), (139, 300, 1)])


class Merge(TestCase):
    """Packets of two sockets in the order of their timestamps."""

    def merge(self, track: Layout, new: Block, stamps: dict[tuple[int, int], int]) -> bool:
        def stamp_of(one: Block) -> int:
            return stamps.get((one.source, one.first), one.start)

        return track.merge(new, PACKET, stamp_of, lambda one: one.source != 7, 100)

    def test_late_audio_goes_behind_what_was_stamped_before_it(self) -> None:
        track = layout((0, 40), (60, 80))
        stamps = {(0, 0): 50, (0, 20): 60, (NEW, 0): 20, (NEW, 20): 40}
        self.assertTrue(self.merge(track, block(20, 60), stamps))
        self.assertEqual(places(track), [(20, 60, NEW), (60, 100, 0), (100, 120, 1)])

    def test_equal_timestamps_are_in_order_of_their_places(self) -> None:
        track = layout((0, 40))
        self.assertTrue(self.merge(track, block(10, 50), dict.fromkeys([(0, 0), (NEW, 0)], 50)))
        self.assertEqual(places(track), [(0, 20, 0), (20, 40, NEW), (40, 60, 0), (60, 80, NEW)])

    def test_audio_that_may_not_be_cut_stays_whole(self) -> None:
        track = Layout([Block(0, 60, 7)])
        self.assertTrue(self.merge(track, block(20, 40), {(NEW, 0): -5}))
        self.assertEqual(places(track), [(20, 40, NEW), (40, 100, 7)])

    def test_audio_moves_no_further_than_the_reach(self) -> None:
        track = layout((0, 120))
        before = list(track.blocks)
        self.assertFalse(self.merge(track, block(0, 120), {(NEW, 0): -5}))
        self.assertEqual(track.blocks, before)


class InsertAt(TestCase):
    """Equal audio shows between which packets the new ones belong."""

    def test_a_block_is_cut_where_the_new_one_belongs_into_it(self) -> None:
        track = layout((0, 500), (500, 600))
        self.assertTrue(track.insert_at(block(240, 280), 240, LIMIT))
        self.assertEqual(
            places(track), [(0, 240, 0), (240, 280, NEW), (280, 540, 0), (540, 640, 1)]
        )
        self.assertEqual([one.first for one in track.blocks], [0, 0, 240, 0])

    def test_more_than_the_tolerance_is_inserted_if_all_packets_end_within_the_limit(self) -> None:
        track = layout((0, 500), (570, 600))
        self.assertTrue(track.insert_at(block(240, 240 + LIMIT), 240, LIMIT))
        self.assertEqual(places(track)[2:], [(240 + LIMIT, 640, 0), (640, 670, 1)])

    def test_nothing_is_cut_for_more_than_the_limit(self) -> None:
        track = layout((0, 500))
        self.assertFalse(track.insert_at(block(240, 241 + LIMIT), 240, LIMIT))
        self.assertEqual(places(track), [(0, 500, 0)])

    def test_what_was_pushed_before_counts(self) -> None:
        track = layout((0, 500))
        self.assertTrue(track.insert_at(block(240, 320), 240, LIMIT))
        self.assertFalse(track.insert_at(block(100, 180), 100, LIMIT))
        self.assertEqual(places(track), [(0, 240, 0), (240, 320, NEW), (320, 580, 0)])

    def test_what_was_pushed_further_elsewhere_does_not_count(self) -> None:
        track = layout((0, 500), (2000, 2500))
        self.assertTrue(track.insert_at(block(2000, 2400), 2000, 1000))
        self.assertTrue(track.insert_at(block(240, 320), 240, LIMIT))
        self.assertEqual(places(track)[1:3], [(240, 320, NEW), (320, 580, 0)])

    def test_blocks_behind_a_space_are_not_looked_at(self) -> None:
        """A track may have thousands of them."""
        for inserted in (True, False):
            with self.subTest(inserted=inserted):
                track = layout((0, 500), *((at, at + 500) for at in range(1000, 9000, 500)))
                before = {id(one) for one in track.blocks[1:]}
                count = 40 if inserted else LIMIT + 1
                is_inserted = track.insert_at(block(240, 240 + count), 240, LIMIT)
                self.assertEqual(is_inserted, inserted)
                self.assertLessEqual(before, {id(one) for one in track.blocks})

    def test_at_the_edge_of_a_block_nothing_is_cut(self) -> None:
        for at in (0, 500, 700):
            with self.subTest(at=at):
                track = layout((0, 500))
                self.assertTrue(track.insert_at(block(at, at + 40), at, LIMIT))
                self.assertEqual(len(track.blocks), 2)

    def test_a_block_before_equal_audio_begins_behind_what_is_there(self) -> None:
        track = layout((0, 100), (150, 300))
        self.assertTrue(track.insert_at(block(80, 150), 150, LIMIT))
        self.assertEqual(places(track), [(0, 100, 0), (100, 170, NEW), (170, 320, 1)])


class PlaceOf(TestCase):
    def test_a_sample_is_found_where_insertions_have_pushed_it(self) -> None:
        track = layout((0, 500), (500, 600))
        track.insert_at(block(240, 280), 240, LIMIT)
        self.assertEqual(track.place_of(0, 239, 239), 239)
        self.assertEqual(track.place_of(0, 240, 240), 280)
        self.assertEqual(track.place_of(1, 0, 500), 540)


class BoundaryNear(TestCase):
    """Where new packets adjoin equal audio, or the packets of another socket beside it."""

    def near(self, wanted: int, at: int, space: tuple[int, int] = ANYWHERE) -> int:
        track = layout((0, 100), (100, 160), (200, 260), (260, 300))
        return track.boundary_near(wanted, at, PACKET, space, lambda one: one.source != 3)

    def test_it_lies_between_packets_of_adjoining_audio(self) -> None:
        for wanted, expected in ((75, 80), (115, 120), (-50, 0), (190, 160)):
            self.assertEqual(self.near(wanted, 160), expected)
            self.assertEqual(self.near(wanted, 0), expected)

    def test_it_lies_within_the_space_and_passes_no_other_block(self) -> None:
        self.assertEqual(self.near(20, 100, (60, 9999)), 60)
        self.assertEqual(self.near(400, 200), 260)
        self.assertEqual(self.near(0, 220), 200)
        self.assertEqual(self.near(0, 120), 0)
        self.assertEqual(self.near(0, 300), 300)
        self.assertEqual(self.near(400, 220, (200, 232)), 232)


class InOrder(TestCase):
    """Where a packet with a timestamp belongs among others that follow each other."""

    def near(self, wanted: int, stamp: int, at: int = 60) -> int:
        track = layout((0, 60), (60, 100), (200, 220))
        stamps = {0: 0, 20: 20, 40: 50, 60: 50, 80: 90, 200: 10}
        return track.in_order(
            wanted, stamp, at, PACKET, lambda _: True, lambda one: stamps[one.start]
        )

    def test_it_lies_behind_earlier_and_before_later_timestamps(self) -> None:
        for wanted, stamp, expected in ((100, 30, 40), (0, 95, 100), (0, 60, 80), (40, 60, 80)):
            self.assertEqual(self.near(wanted, stamp), expected)

    def test_beside_equal_timestamps_it_stays(self) -> None:
        for wanted in (40, 60, 80):
            self.assertEqual(self.near(wanted, 50), wanted)

    def test_audio_behind_a_space_does_not_count(self) -> None:
        self.assertEqual(self.near(500, 5, 200), 200)
        self.assertEqual(self.near(500, 5, 150), 500)


class Replace(TestCase):
    def test_parts_that_follow_each_other_are_one_block_again(self) -> None:
        track = layout((0, 100))
        (whole,) = track.blocks
        track.replace([whole.part(0, 40), whole.part(40, 60), block(200, 240)])
        self.assertEqual(places(track), [(0, 100, 0), (200, 240, NEW)])


class OverlapsTheEnd(TestCase):
    def test_of_contiguous_audio_only(self) -> None:
        track = layout((0, 60), (60, 100), (140, 200))
        for start, end, expected in (
            (40, 120, True),
            (80, 140, True),
            (80, 150, False),
            (40, 100, False),
            (100, 140, False),
            (140, 220, False),
            (220, 240, False),
        ):
            self.assertEqual(track.overlaps_the_end(block(start, end)), expected, (start, end))


class Interleave(TestCase):
    """Two sockets carry the packets of a voice in turn; each lies at most 60 ms early."""

    def interleave(
        self, track: Layout, new: Block, space: tuple[int, int] = ANYWHERE, *, cuttable: bool = True
    ) -> bool:
        return track.interleave(
            new, PACKET, space, lambda one: cuttable or one.source == NEW, LIMIT
        )

    def test_packets_are_sorted_by_their_places(self) -> None:
        track = layout((0, 80), (160, 240))
        self.assertTrue(self.interleave(track, block(20, 100)))
        order = [(0, 40, 0), (40, 60, NEW), (60, 80, 0), (80, 100, NEW), (100, 120, 0)]
        self.assertEqual(places(track), [*order, (120, 160, NEW), (160, 240, 1)])

    def test_neighbours_in_their_source_stay_together(self) -> None:
        track = layout((100, 140))
        self.assertTrue(self.interleave(track, block(0, 300)))
        self.assertEqual(
            places(track),
            [(0, 100, NEW), (100, 120, 0), (120, 140, NEW), (140, 160, 0), (160, 340, NEW)],
        )

    def test_packets_outside_the_space_keep_their_order(self) -> None:
        track = layout((0, 200))
        self.assertTrue(self.interleave(track, block(60, 120), (60, 80)))
        self.assertEqual(
            places(track),
            [(0, 80, 0), (80, 140, NEW), (140, 260, 0)],
        )

    def test_audio_that_cannot_be_read_is_not_cut(self) -> None:
        track = layout((0, 80), (200, 240))
        self.assertTrue(self.interleave(track, block(20, 100), cuttable=False))
        self.assertEqual(places(track), [(0, 80, 0), (80, 160, NEW), (200, 240, 1)])

    def test_more_than_the_limit_is_refused(self) -> None:
        track = layout((0, 400))
        self.assertFalse(self.interleave(track, block(0, LIMIT + 1)))
        self.assertEqual(places(track), [(0, 400, 0)])


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

    def test_packets_before_a_short_block_inside_and_behind_it_stay(self) -> None:
        track = layout((40, 60), (500, 600))
        self.assertEqual(track.fill(block(0, 100), PACKET)[0].start, 40)
        self.assertEqual(len(track.fill(block(300, 400), PACKET)), 0)


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
    @given(
        lengths_and_spaces,
        st.integers(-50, 400),
        st.integers(1, 150),
        st.sampled_from(("whole", "at", "interleave")),
    )
    def test_nothing_overlaps_nothing_is_lost_and_nothing_moves_far(
        self, stored: list[tuple[int, int]], start: int, count: int, way: str
    ) -> None:
        starts, end = [], 0
        for length, space in stored:
            starts.append((end + space, end + space + length))
            end += space + length
        track = layout(*starts)
        new = Block(start, count, NEW)
        if way == "whole":
            is_inserted, limit = track.insert(new, TOLERANCE), TOLERANCE
        elif way == "at":
            is_inserted, limit = track.insert_at(new, start, LIMIT), LIMIT
        else:
            is_inserted, limit = (
                track.interleave(new, PACKET, ANYWHERE, lambda _: True, LIMIT),
                LIMIT,
            )
        if not is_inserted:
            self.assertEqual(places(track), places(layout(*starts)))
            lowest = 0
            for one in track.fill(new, PACKET):
                track.insert_behind(one, lowest)
                lowest = one.end
        for before, after in pairwise(track.blocks):
            self.assertLessEqual(before.end, after.start)
        wholes = [(number, *place) for number, place in enumerate(starts)]
        for source, first, last in [*wholes, (NEW, start, start + count)]:
            of = [one for one in track.blocks if one.source == source]
            parts = sorted((one.first, one.count) for one in of)
            self.assertEqual(sum(length for _, length in parts), last - first)
            self.assertTrue(all(a + b == c for (a, b), (c, _) in pairwise(parts)))
            if source != NEW or is_inserted:
                moved = [one.start - one.first - first for one in of]
                self.assertLessEqual(0, min(moved))
                self.assertLessEqual(max(moved), limit)


class Overlaps(TestCase):
    def test_ours_may_overlap_neither_theirs_nor_each_other(self) -> None:
        self.assertTrue(have_overlaps([(5, 15)], [(0, 10)]))
        self.assertTrue(have_overlaps([(0, 10)], [(5, 15)]))
        self.assertTrue(have_overlaps([(0, 10), (9, 12)], []))
        self.assertFalse(have_overlaps([(10, 20)], [(0, 10), (20, 30)]))

    def test_those_of_others_are_not_checked(self) -> None:
        self.assertFalse(have_overlaps([(30, 40)], [(0, 10), (5, 15)]))
