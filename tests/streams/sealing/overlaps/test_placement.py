"""Audio of several sockets shares a track without overlaps, without loss, and in its place."""

from __future__ import annotations

from collections.abc import Collection
from unittest import TestCase

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.placement import Move, Stored, without_overlaps
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
    packets_of,
    pcm_of,
    voice,
)

TOLERANCE = 960


def no_pcm(_: Stored) -> bytes | None:
    raise AssertionError("no audio has to be read")


class Placements(TestCase):
    def setUp(self) -> None:
        self.track = Track()

    def assert_joined(
        self, segments: list[SealedSegment], *runs: tuple[int, bytes], beside: Collection[str] = ()
    ) -> None:
        placement = self.track.place(segments, beside=beside)
        self.assertEqual(joined(self.track.after(placement)), list(runs))


class Apart(Placements):
    """Audio for which no other is stored: nothing is read and nothing moves."""

    def assert_unchanged(self, segments: list[SealedSegment]) -> None:
        placement = without_overlaps(segments, {"p": self.track.rows}, NEW, no_pcm)
        self.assertEqual(placement.segments, segments)
        self.assertEqual((placement.duplicate, placement.moves, placement.cuts), (0, [], []))

    def test_without_stored_audio_no_segment_moves(self) -> None:
        self.assert_unchanged(
            [new(0, voice(0, 5)), new(1600, voice(5, 9)), new(9999, voice(9, 10))]
        )

    def test_audio_beside_stored_audio_does_not_move(self) -> None:
        self.track.store(0, voice(0, 5))
        self.track.store(10 * PACKET, voice(10, 15))
        self.assert_unchanged([new(5 * PACKET, voice(5, 10))])

    def test_the_same_audio_at_a_far_position_is_no_copy(self) -> None:
        self.track.store(0, voice(0, 5))
        self.assert_unchanged([new(RATE, voice(0, 5))])

    def test_audio_of_another_rate_does_not_matter(self) -> None:
        self.track.store(0, voice(0, 5), rate=24_000)
        self.assert_unchanged([new(0, voice(5, 10))])

    def test_stored_audio_of_another_voice_does_not_matter(self) -> None:
        self.track.store(0, voice(0, 5))
        other = SealedSegment("q", 0, START, RATE, voice(5, 10), 5)
        self.assert_unchanged([other])


class Copies(Placements):
    """Packets that both sockets carry."""

    def test_an_exact_copy_is_dropped_and_its_packets_are_counted_without_reading(self) -> None:
        self.track.store(0, voice(0, 5))
        copy, more = new(0, voice(0, 5), packets=500), new(5 * PACKET, voice(5, 9))
        placement = without_overlaps([copy, more], {"p": self.track.rows}, NEW, no_pcm)
        self.assertEqual((placement.segments, placement.duplicate), ([more], 500))

    def test_the_rest_continues_the_stored_audio(self) -> None:
        for distance in (-9, 9):
            with self.subTest(distance=distance):
                self.track = Track()
                self.track.store(0, voice(0, 300))
                segments = [new(200 * PACKET + distance, voice(200, 500))]
                self.assertEqual(self.track.place(segments).duplicate, 100)
                self.assert_joined(segments, (0, voice(0, 500)))

    def test_what_comes_before_it_ends_where_the_stored_audio_begins(self) -> None:
        self.track.store(200 * PACKET, voice(200, 500))
        segments = [new(9, voice(0, 300))]
        self.assertEqual(self.track.place(segments).duplicate, 100)
        self.assert_joined(segments, (0, voice(0, 500)))

    def test_audio_on_both_sides_is_kept(self) -> None:
        self.track.store(200 * PACKET, voice(200, 300))
        self.assert_joined([new(5, voice(0, 500))], (0, voice(0, 500)))

    def test_audio_fills_the_hole_between_two(self) -> None:
        self.track.store(0, voice(0, 100))
        self.track.store(150 * PACKET, voice(150, 300))
        self.assert_joined([new(50 * PACKET + 7, voice(50, 200))], (0, voice(0, 300)))

    def test_of_a_hole_that_is_too_short_the_rest_moves(self) -> None:
        self.track.store(0, voice(0, 100))
        self.track.store(150 * PACKET - 40, voice(150, 300))
        self.track.store(300 * PACKET - 40, voice(300, 310))
        segments = [new(50 * PACKET + 7, voice(50, 200))]
        self.assertEqual(len(self.track.place(segments).moves), 2)
        self.assert_joined(segments, (0, voice(0, 310)))

    def test_packets_that_the_stored_audio_has_lost_are_inserted(self) -> None:
        self.track.store(0, voice(0, 50) + voice(52, 200))
        self.track.store(198 * PACKET, voice(200, 300))
        segments = [new(9, voice(0, 250))]
        placement = self.track.place(segments)
        self.assertEqual((len(placement.cuts), len(placement.moves)), (1, 1))
        self.assertEqual(placement.duplicate, 248)
        self.assert_joined(segments, (0, voice(0, 300)))

    def test_packets_are_inserted_between_their_neighbours_also_where_more_follow(self) -> None:
        """Three lost packets leave no gap, so a fourth one seems to belong closer to them."""
        self.track.store(0, voice(0, 4) + voice(7, 8))
        self.track.store(9 * PACKET, voice(9, 20))
        self.assert_joined([new(0, voice(0, 20))], (0, voice(0, 20)))

    def test_packets_of_the_other_socket_between_them_keep_their_place(self) -> None:
        """Packet 31 is only on the old socket, packet 32 on both."""
        self.track.store(31 * PACKET, voice(31, 34))
        self.assert_joined([new(0, voice(0, 31) + voice(32, 33))], (0, voice(0, 34)))

    def test_packets_stay_behind_earlier_audio_of_their_socket_that_was_moved(self) -> None:
        self.track.store(3 * PACKET, voice(0, 10), stream_id=NEW)
        self.track.store(13 * PACKET, voice(12, 20))
        self.assert_joined([new(10 * PACKET, voice(10, 20))], (3 * PACKET, voice(0, 20)))

    def test_packets_before_the_first_equal_ones_are_inserted_before_these(self) -> None:
        self.track.store(0, voice(0, 50) + voice(52, 200))
        self.assert_joined([new(50 * PACKET, voice(50, 60))], (0, voice(0, 200)))

    def test_packets_that_the_new_audio_has_lost_stay(self) -> None:
        self.track.store(0, voice(0, 200))
        segments = [new(0, voice(0, 50) + voice(52, 100)), new(100 * PACKET, voice(100, 300))]
        self.assert_joined(segments, (0, voice(0, 300)))

    def test_a_missing_object_is_equal_to_nothing(self) -> None:
        self.track.store(0, voice(0, 10))
        placement = without_overlaps(
            [new(9 * PACKET, voice(9, 20))], {"p": self.track.rows}, NEW, lambda _: None
        )
        (segment,) = placement.segments
        self.assertEqual((segment.start_sample - START, placement.duplicate), (10 * PACKET, 0))

    def test_only_stored_audio_within_reach_is_read(self) -> None:
        for number in range(10):
            self.track.store(number * 100 * PACKET, voice(number * 30, number * 30 + 30))
        self.track.place([new(500 * PACKET + 9, voice(150, 180))])
        self.assertEqual(self.track.reads, 1)

    def test_audio_of_the_socket_itself_is_no_copy(self) -> None:
        self.track.store(0, voice(0, 10), stream_id=NEW)
        placement = without_overlaps(
            [new(10 * PACKET - 9, voice(0, 10))], {"p": self.track.rows}, NEW, no_pcm
        )
        (segment,) = placement.segments
        self.assertEqual((segment.start_sample - START, placement.duplicate), (10 * PACKET, 0))

    def test_a_new_subscription_in_between_is_no_hindrance(self) -> None:
        self.track.store(0, voice(0, 100))
        segments = [
            new(50 * PACKET + 7, voice(50, 80)),
            new(80 * PACKET + 7, voice(80, 130), subscription=1),
        ]
        placement = self.track.place(segments)
        self.assertEqual([one.subscription for one in placement.segments], [1])
        self.assert_joined(segments, (0, voice(0, 130)))


class Beside(Placements):
    """Sockets that were open at the same time may have packets in common that lie apart."""

    def test_a_packet_that_adjoins_its_copy_is_dropped(self) -> None:
        self.track.store(0, voice(0, 5))
        segments = [new(5 * PACKET, voice(4, 9))]
        self.assertEqual(self.track.place(segments, beside={OLD}).duplicate, 1)
        self.assert_joined(segments, (0, voice(0, 9)), beside={OLD})

    def test_audio_that_is_not_equal_keeps_its_place(self) -> None:
        self.track.store(0, voice(0, 5))
        self.track.store(10 * PACKET, voice(10, 15))
        segments = [new(5 * PACKET, voice(5, 10))]
        placement = self.track.place(segments, beside={OLD})
        self.assertEqual((placement.segments, placement.moves), (segments, []))

    def test_only_audio_of_such_sockets_that_is_not_far_is_read(self) -> None:
        self.track.store(-4 * RATE, voice(0, 5))
        self.track.store(-RATE, voice(10, 15))
        self.track.store(-RATE + 5 * PACKET, voice(20, 25), stream_id="closed")
        self.track.place([new(0, voice(30, 35))], beside={OLD})
        self.assertEqual(self.track.reads, 1)

    def test_audio_that_a_late_timestamp_puts_far_away_continues_the_stored_audio(self) -> None:
        self.track.store(0, voice(0, 50))
        segments = [new(80 * PACKET, voice(45, 60)), new(100 * PACKET, voice(60, 70))]
        self.assert_joined(segments, (0, voice(0, 60)), (100 * PACKET, voice(60, 70)), beside={OLD})

    def test_packets_between_equal_ones_are_inserted_however_far_that_pushes_others(self) -> None:
        """A coarse clock hides that the other socket has lost 15 packets."""
        self.track.store(0, voice(0, 5) + voice(20, 25))
        segments = [new(0, voice(0, 25))]
        self.assert_joined(segments, (0, voice(0, 25)), beside={OLD})

    def test_the_last_packets_follow_their_neighbour_behind_earlier_insertions(self) -> None:
        """Without packet 3, packet 9 is stored where packet 8 belongs."""
        self.track.store(0, voice(0, 3) + voice(4, 8) + voice(9, 10))
        self.assert_joined([new(0, voice(0, 9))], (0, voice(0, 10)))

    def test_packets_between_equal_ones_follow_their_neighbour_behind_earlier_insertions(
        self,
    ) -> None:
        """Without packet 3, packet 9 is stored where packet 8 belongs."""
        self.track.store(0, voice(0, 3) + voice(4, 8) + voice(9, 11))
        self.assert_joined([new(0, voice(0, 9) + voice(10, 11))], (0, voice(0, 11)))

    def test_packets_that_are_far_from_their_place_stay_before_later_ones(self) -> None:
        """A coarse clock hides how long the other socket's audio is."""
        self.track.store(40 * PACKET, voice(0, 20))
        segments = [new(0, voice(0, 50)), new(70 * PACKET, voice(50, 60))]
        self.assert_joined(segments, (40 * PACKET, voice(0, 60)), beside={OLD})

    def test_silence_of_several_runs_is_stored_once(self) -> None:
        silence = bytes(4 * PACKET)
        self.track.store(0, bytes(40 * PACKET))
        segments = [new(2 * PACKET, silence), new(9 * PACKET, silence)]
        self.assertEqual(self.track.place(segments).duplicate, 4)

    def test_copies_that_were_stored_out_of_order_are_dropped(self) -> None:
        self.track.store(0, voice(4, 5) + voice(0, 4) + voice(6, 9))
        segments = [new(0, voice(0, 10))]
        self.assertEqual(self.track.place(segments).duplicate, 8)
        self.assert_joined(segments, (0, voice(4, 5) + voice(0, 4) + voice(5, 10)))

    def test_audio_does_not_move_earlier_by_more_than_a_packet(self) -> None:
        """A pause of 50 ms has moved the stored audio earlier, and more may follow."""
        self.track.store(-800, voice(0, 10))
        segments = [new(5 * PACKET, voice(5, 15))]
        self.assert_joined(segments, (-800, voice(0, 10)), (10 * PACKET, voice(10, 15)))

    def test_stored_audio_moves_later_instead(self) -> None:
        self.track.store(5 * PACKET - 800, voice(5, 15))
        self.assert_joined([new(0, voice(0, 10))], (0, voice(0, 15)))


class SmallOverlaps(Placements):
    """Other audio that overlaps by at most 60 ms is shifted, or shifts the audio behind it."""

    def test_the_end_of_the_old_socket_moves_the_audio_of_the_new_one(self) -> None:
        rows = [
            self.track.store(500 * PACKET + n * 3200, voice(n * 10, n * 10 + 10)) for n in (0, 1)
        ]
        self.track.store(400 * PACKET, voice(200, 270))
        segments = [new(470 * PACKET, voice(270, 300) + pcm_of(300 * PACKET, TOLERANCE))]
        placement = self.track.place(segments)
        self.assertEqual(placement.segments, segments)
        self.assertEqual(
            placement.moves, [Move("p", row, row.start_sample + TOLERANCE) for row in rows]
        )
        self.assertEqual(placement.moves[1].end_sample, rows[1].end_sample + TOLERANCE)
        self.assertEqual(placement.moves[0].sample_rate, RATE)

    def test_the_start_of_the_new_socket_is_shifted_with_all_that_follows(self) -> None:
        self.track.store(0, voice(0, 100))
        placement = self.track.place(
            [new(99 * PACKET, voice(100, 200)), new(80_000, voice(200, 300))]
        )
        starts = [one.start_sample - START for one in placement.segments]
        self.assertEqual((starts, placement.moves), ([100 * PACKET, 80_000], []))

    def test_the_next_file_is_shifted_by_the_same_amount(self) -> None:
        shift = 1500  # the sockets are that far apart, each within the tolerance
        self.track.store(0, voice(0, 100))
        self.track.store(100 * PACKET, voice(100, 200), stream_id=NEW)
        segments = [new(200 * PACKET - shift, voice(200, 300))]
        self.assert_joined(segments, (0, voice(0, 300)))
        self.assertEqual(self.track.reads, 0)

    def test_a_short_block_in_the_middle_of_new_audio_keeps_its_place(self) -> None:
        self.track.store(50 * PACKET, voice(200, 202))
        self.assert_joined(
            [new(0, voice(0, 100))], (0, voice(0, 50) + voice(200, 202) + voice(50, 100))
        )


class InTurn(Placements):
    """Two sockets carry the packets of a voice in turn."""

    def test_all_of_them_stay_in_their_order(self) -> None:
        parts = [(first, first + 5) for first in range(0, 40, 5)]
        for first, last in parts[::2]:
            self.track.store(first * PACKET, voice(first, last))
        segments = [new(first * PACKET, voice(first, last)) for first, last in parts[1::2]]
        self.assert_joined(segments, (0, voice(0, 40)))

    def test_packets_that_change_the_socket_singly_are_interleaved_within_the_tolerance(
        self,
    ) -> None:
        """The stored packets lie up to 40 ms early, because single ones are missing."""
        self.track.store(0, voice(0, 1) + voice(3, 4) + voice(5, 8))
        places = self.track.after(self.track.place([new(PACKET, voice(1, 3) + voice(4, 5))]))
        self.assertTrue(have_no_overlap(places))
        numbers = {packet: number for number, packet in enumerate(packets_of([voice(0, 8)]))}
        for start, pcm in places:
            for number, packet in enumerate(packets_of([pcm])):
                distance = start + (number - numbers[packet]) * PACKET
                self.assertLessEqual(abs(distance), TOLERANCE)

    def test_late_packets_of_a_socket_stay_whole_if_that_moves_no_audio_further(self) -> None:
        self.track.store(16 * PACKET, voice(16, 40))
        placement = self.track.place([new(6 * PACKET, voice(0, 16))], beside={OLD})
        self.assertEqual(joined(self.track.after(placement)), [(6 * PACKET, voice(0, 40))])

    def test_later_runs_of_the_file_are_pushed_however_far(self) -> None:
        self.track.store(12 * PACKET, voice(0, 3) + voice(9, 12))
        segments = [new(0, voice(0, 20)), new(21 * PACKET, voice(20, 30))]
        placement = self.track.place(segments, beside={OLD})
        self.assertEqual(joined(self.track.after(placement)), [(12 * PACKET, voice(0, 30))])

    def test_behind_an_equal_packet_the_shorter_audio_comes_first(self) -> None:
        """The new audio lies 40 ms early."""
        self.track.store(0, voice(0, 3))
        segments = [new(PACKET, voice(1, 2) + voice(4, 8))]
        self.assert_joined(segments, (0, voice(0, 3) + voice(4, 8)))


class LargeOverlaps(Placements):
    """Only the part of the new audio that overlaps moves."""

    def test_the_free_part_stays_in_its_place(self) -> None:
        self.track.store(100 * PACKET, voice(0, 100))
        self.assert_joined(
            [new(0, voice(200, 330))], (0, voice(200, 300) + voice(0, 100) + voice(300, 330))
        )

    def test_it_moves_behind_audio_that_follows_without_a_space(self) -> None:
        self.track.store(0, voice(0, 100))
        self.track.store(100 * PACKET, voice(100, 200))
        segments = [new(50 * PACKET, voice(200, 300))]
        self.assert_joined(segments, (0, voice(0, 300)))

    def test_it_moves_into_a_space_that_is_long_enough(self) -> None:
        self.track.store(0, voice(0, 100))
        self.track.store(160 * PACKET, voice(160, 200))
        placement = self.track.place([new(10 * PACKET, voice(200, 250))])
        (segment,) = placement.segments
        self.assertEqual(segment.start_sample - START, 100 * PACKET)
        self.assertEqual(segment.packets, 50)

    def test_a_run_that_begins_where_an_earlier_socket_has_not_ended_stays_whole(self) -> None:
        """Others have pushed the end of that socket, and the axis of the next one does not know."""
        self.track.store(0, voice(0, 100))
        self.assert_joined(
            [new(80 * PACKET, voice(200, 300))], (0, voice(0, 100) + voice(200, 300))
        )

    def test_of_a_socket_that_was_open_at_the_same_time_a_run_stays_whole(self) -> None:
        """Late and coarse timestamps are off by up to 2.5 s: then it moves into its order."""
        self.track.store(0, voice(0, 100))
        segments = [new(50 * PACKET, voice(200, 330)), new(200 * PACKET, voice(330, 340))]
        placement = self.track.place(segments, beside={OLD})
        starts = [one.start_sample - START for one in placement.segments]
        self.assertEqual((starts, placement.moves), ([100 * PACKET, 230 * PACKET], []))

    def test_of_a_socket_that_was_open_at_the_same_time_no_run_moves_farther(self) -> None:
        self.track.store(0, voice(0, 200))
        placement = self.track.place([new(40 * PACKET, voice(200, 390))], beside={OLD})
        starts = [one.start_sample - START for one in placement.segments]
        self.assertEqual(starts, [200 * PACKET, 230 * PACKET])

    def test_the_order_of_arrival_stands(self) -> None:
        self.track.store(0, voice(0, 100))
        segments = [new(10 * PACKET, voice(200, 230)), new(50 * PACKET, voice(230, 240))]
        self.assert_joined(segments, (0, voice(0, 100) + voice(200, 240)))
