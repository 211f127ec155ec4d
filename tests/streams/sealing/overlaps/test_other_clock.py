"""Stored audio of a socket that did not know the clock of the call moves to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from unittest import TestCase
from uuid import UUID

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.other_clock import OtherRow, place_again, rows_off
from streams.sealing.overlaps.placement import Placement, Stored
from tests.streams.sealing.overlaps.tracks import (
    NEW,
    OLD,
    PACKET,
    RATE,
    START,
    Track,
    have_no_overlap,
    joined,
    new,
    voice,
)

SECOND_US = 1_000_000
MINUTE = 60 * RATE
TONE = voice(0, 1) * 50


class TestCaseOfTracks(TestCase):
    def setUp(self) -> None:
        self.track = Track()

    def off(
        self, segments: Iterable[SealedSegment], *epochs: float, journal: int = 0
    ) -> list[tuple[OtherRow, int]]:
        """Returns the stored rows that lie off, if the new socket knows these shifts (s)."""
        others = [OtherRow("p", journal, row) for row in self.track.rows]
        shifts_us = [0, *(round(one * SECOND_US) for one in epochs)]
        return rows_off(list(segments), others, shifts_us, self.track.read)

    def found(self, segments: Iterable[SealedSegment], *epochs: float) -> list[tuple[Stored, int]]:
        return [(one.stored, by) for one, by in self.off(segments, *epochs)]


class RowsOff(TestCaseOfTracks):
    def test_are_those_with_equal_packets_at_the_distance_of_an_epoch(self) -> None:
        row = self.track.store(MINUTE + 10 * PACKET, voice(10, 20))
        segments = [new(10 * PACKET, voice(10, 20))]
        self.assertEqual(self.found(segments, 5, -60), [(row, -MINUTE)])

    def test_are_none_without_a_step(self) -> None:
        self.track.store(MINUTE, voice(10, 20))
        self.assertEqual(self.found([new(10 * PACKET, voice(10, 20))]), [])
        self.assertEqual(self.track.reads, 0)

    def test_are_none_if_other_audio_lies_there(self) -> None:
        self.track.store(MINUTE, voice(30, 40))
        self.assertEqual(self.found([new(10 * PACKET, voice(10, 20))], -60), [])

    def test_need_three_equal_packets(self) -> None:
        row = self.track.store(MINUTE, voice(10, 20))
        for packets, found in ((2, []), (3, [(row, -MINUTE)])):
            with self.subTest(packets=packets):
                segments = [new(0, voice(10, 10 + packets))]
                self.assertEqual(self.found(segments, -60), found)

    def test_are_not_shown_by_constant_sound(self) -> None:
        self.track.store(MINUTE, bytes(20 * PACKET))
        self.assertEqual(self.found([new(0, bytes(20 * PACKET))], -60), [])

    def test_are_not_shown_by_a_tone_that_both_sockets_carry_now(self) -> None:
        self.track.store(0, TONE)
        self.track.store(MINUTE, TONE)
        self.assertEqual(self.found([new(0, TONE)], -60), [])

    def test_are_those_of_a_file_that_has_not_moved_yet(self) -> None:
        moved = self.track.store(10 * PACKET, voice(10, 20))
        row = self.track.store(MINUTE + 20 * PACKET, voice(20, 30))
        others = [OtherRow("p", 0, moved), OtherRow("p", 1, row)]
        segments = [new(10 * PACKET, voice(10, 30))]
        off = rows_off(segments, others, [0, -60 * SECOND_US], self.track.read)
        self.assertEqual([(one.stored, by) for one, by in off], [(row, -MINUTE)])

    def test_are_none_if_they_cannot_be_read(self) -> None:
        row = self.track.store(MINUTE, voice(10, 20))
        segments, others = [new(0, voice(10, 20))], [OtherRow("p", 0, row)]
        self.assertEqual(rows_off(segments, others, [0, -60 * SECOND_US], lambda _: None), [])


class PlaceAgain(TestCaseOfTracks):
    def place(self, *segments: SealedSegment) -> Placement:
        off = self.off(segments, -60)
        self.assertTrue(off)
        near = {"p": self.track.rows}
        placement = place_again(segments, near, off, (NEW, {OLD}), self.track.read)
        assert placement is not None, "all rows are readable"
        self.assertEqual([one.stored for one in placement.vacated], [one.stored for one, _ in off])
        return placement

    def after(self, placement: Placement) -> list[tuple[int, bytes]]:
        places = self.track.after(placement)
        self.assertTrue(have_no_overlap(places))
        return joined(places)

    def test_stores_equal_packets_once(self) -> None:
        self.track.store(MINUTE + 10 * PACKET, voice(10, 30))
        placement = self.place(new(0, voice(0, 20)))
        self.assertEqual(self.after(placement), [(0, voice(0, 30))])
        self.assertEqual(placement.duplicate, 10)

    def test_inserts_packets_that_the_other_socket_has_lost(self) -> None:
        self.track.store(MINUTE, voice(0, 10))
        self.track.store(MINUTE + 20 * PACKET, voice(20, 30))
        placement = self.place(new(5 * PACKET, voice(5, 25)))
        self.assertEqual(self.after(placement), [(0, voice(0, 30))])
        self.assertEqual(placement.duplicate, 10)

    def test_cuts_what_an_earlier_file_of_the_new_socket_has_lost(self) -> None:
        self.track.store(0, voice(0, 10) + voice(12, 20), stream_id=NEW)
        row = self.track.store(MINUTE + 5 * PACKET, voice(5, 30))
        segments = [new(20 * PACKET, voice(20, 25))]
        off = [(OtherRow("p", 0, row), -MINUTE)]
        placement = place_again(
            segments, {"p": self.track.rows}, off, (NEW, {OLD}), self.track.read
        )
        assert placement is not None, "all rows are readable"
        self.assertEqual(self.after(placement), [(0, voice(0, 30))])
        self.assertEqual(placement.duplicate, 13 + 5)

    def test_moves_audio_that_overlaps_a_little(self) -> None:
        other = self.track.store(20 * PACKET, voice(60, 70), stream_id="third")
        self.track.store(MINUTE, voice(0, 11))
        placement = self.place(new(11 * PACKET, voice(5, 11) + voice(40, 45)))
        places = self.after(placement)
        self.assertEqual(sum(len(pcm) for _, pcm in places), len(voice(0, 11 + 5 + 10)))
        self.assertIn(other.segment_id, {*self.track.pcm})

    def test_moves_audio_of_several_sockets_and_tracks(self) -> None:
        first = self.track.store(0, voice(0, 10) + voice(12, 20), stream_id=NEW)
        second = self.track.store(MINUTE + 5 * PACKET, voice(5, 20))
        third = self.track.store(2 * MINUTE + 18 * PACKET, voice(18, 30), "third")
        off = [(OtherRow("p", 0, second), -MINUTE), (OtherRow("p", 0, third), -2 * MINUTE)]
        near = {"q": [replace(first, segment_id=UUID(int=99))], "p": [first]}
        placement = place_again([], near, off, (NEW, {OLD, "third"}), self.track.read)
        assert placement is not None, "all rows are readable"
        self.assertEqual(self.after(placement), [(0, voice(0, 30))])

    def test_gives_up_if_a_row_cannot_be_read(self) -> None:
        row = self.track.store(MINUTE, voice(0, 10))
        off = [(OtherRow("p", 0, row), -MINUTE)]
        placement = place_again([], {"p": [row]}, off, (NEW, {OLD}), lambda _: None)
        self.assertIsNone(placement)

    def test_ignores_rows_of_others(self) -> None:
        rows = [self.track.store(MINUTE, voice(0, 10)), self.track.store(0, voice(50, 55))]
        off = [(OtherRow("p", 0, rows[0]), -MINUTE)]
        segments = [SealedSegment("q", 0, START, RATE, voice(70, 75), 5)]
        near = {"p": rows[1:], "q": []}
        placement = place_again(segments, near, off, (NEW, {OLD}), self.track.read)
        assert placement is not None, "all rows are readable"
        self.assertEqual(placement.segments, segments)
        self.assertEqual([cut.stored for cut in placement.cuts], [rows[0]])
