"""Packets of several sockets are placed together, by their timestamps."""

from __future__ import annotations

from dataclasses import replace

from streams.sealing.overlaps.placement import without_overlaps
from streams.sealing.overlaps.stamps import SIZE, UNKNOWN
from tests.streams.sealing.overlaps.test_placement import Placements
from tests.streams.sealing.overlaps.tracks import (
    NEW,
    OLD,
    PACKET,
    START,
    joined,
    new,
    packets_of,
    stamps_of,
    voice,
)

THIRD = "third"


class Late(Placements):
    """Where a socket has a few packets only, late timestamps look like missing time."""

    def test_audio_goes_back_to_where_the_packets_of_both_sockets_show_it(self) -> None:
        self.track.store(0, voice(0, 10))
        stamps = stamps_of(23, 23, 23, 23)
        self.track.store(23 * PACKET, voice(10, 13) + voice(14, 15), stamps=stamps)
        whole = new(10 * PACKET, voice(10, 40), stamps=stamps_of(*[23] * 13, *range(23, 40)))
        self.assert_joined([whole], (0, voice(0, 40)), beside=[OLD])

    def test_a_gap_that_both_sockets_have_stays(self) -> None:
        self.track.store(0, voice(0, 5))
        self.track.store(20 * PACKET, voice(5, 10), stamps=stamps_of(20, 22, 22, 23, 24))
        rest = [new(25 * PACKET, voice(10, 20), stamps=stamps_of(26, 26, *range(27, 35)))]
        self.assert_joined(rest, (0, voice(0, 5)), (20 * PACKET, voice(5, 20)), beside=[OLD])

    def test_the_timeline_of_a_socket_has_known_undecided_packets(self) -> None:
        """All timestamps at hand are late, but it has found no gap before the last packets."""
        stamps = stamps_of(0, 1, 2, 9, 9)
        self.track.store(0, voice(0, 5), stamps=stamps)
        others = [new(30 * PACKET, voice(30, 35))]
        placement = self.track.place(others, beside=[OLD])
        self.assertEqual(placement.moves, [])
        self.assertEqual(placement.cuts, [])

    def test_audio_that_is_a_packet_late_stays(self) -> None:
        self.track.store(0, voice(0, 5), stamps=stamps_of(*range(-1, 4)))
        placement = self.track.place([new(5 * PACKET, voice(5, 9))], beside=[OLD])
        self.assertEqual(placement.moves, [])


class Order(Placements):
    def test_in_a_burst_the_socket_that_has_spoken_goes_on(self) -> None:
        self.track.store(0, voice(0, 2))
        self.track.store(9 * PACKET, voice(2, 7), stamps=stamps_of(*[9] * 5))
        rest = new(7 * PACKET, voice(7, 20), stamps=stamps_of(9, 9, *range(9, 20)))
        self.assert_joined([rest], (0, voice(0, 20)), beside=[OLD])

    def test_and_if_it_is_the_new_one_too(self) -> None:
        stamps = stamps_of(9, 9, *range(9, 20))
        self.track.store(7 * PACKET, voice(7, 20), stamps=stamps)
        first = [
            new(0, voice(0, 2)),
            new(9 * PACKET, voice(2, 7), stamps=stamps_of(*[9] * 5)),
        ]
        self.assert_joined(first, (0, voice(0, 20)), beside=[OLD])

    def test_packets_between_equal_ones_stay_between_them(self) -> None:
        """In a burst all timestamps are the same; the stored packets lack some."""
        self.track.store(0, voice(0, 3) + voice(5, 6) + voice(7, 8), stamps=stamps_of(*[9] * 5))
        burst = new(0, voice(0, 9), stamps=stamps_of(*[9] * 9))
        placement = self.track.place([burst], beside=[OLD])
        (run,) = joined(self.track.after(placement))
        self.assertEqual(run[1], voice(0, 9))

    def test_what_was_placed_together_keeps_its_order(self) -> None:
        """Of a burst whose packets two sockets have carried by turns."""
        for number in range(8):
            stream_id = OLD if number % 2 else NEW
            stamps = stamps_of(20)
            self.track.store(number * PACKET, voice(number, number + 1), stream_id, stamps=stamps)
        rest = [new(8 * PACKET, voice(8, 30), stamps=stamps_of(*[20] * 12, *range(21, 31)))]
        self.assert_joined(rest, (0, voice(0, 30)), beside=[OLD])

    def test_arrival_tells_the_order_of_packets_without_timestamp(self) -> None:
        by_arrival = b"".join(
            (-(START + number * PACKET)).to_bytes(SIZE, "little", signed=True) for number in (5, 6)
        )
        self.track.store(0, voice(0, 2) + voice(5, 7), stamps=stamps_of(0, 1) + by_arrival)
        rest = [new(2 * PACKET, voice(2, 5)), new(7 * PACKET, voice(7, 9))]
        self.assert_joined(rest, (0, voice(0, 9)), beside=[OLD])

    def test_unknown_timestamps_move_nothing_earlier(self) -> None:
        unknown = UNKNOWN.to_bytes(SIZE, "little") * 2
        self.track.store(0, voice(0, 2) + voice(5, 7), stamps=stamps_of(0, 1) + unknown)
        rest = [new(2 * PACKET, voice(2, 5), stamps=stamps_of(2, 3, 5))]
        placement = self.track.place(rest, beside=[OLD])
        ((start, pcm),) = joined(self.track.after(placement))
        self.assertEqual((start, pcm[: 2 * 2 * PACKET]), (0, voice(0, 2)))
        self.assertEqual(sorted(packets_of([pcm])), sorted(packets_of([voice(0, 7)])))


class Limits(Placements):
    def test_audio_that_would_move_too_far_is_placed_without_timestamps(self) -> None:
        """More than the look-ahead of 125 packets has no space."""
        self.track.store(0, voice(0, 130), stamps=stamps_of(1, *range(1, 130)))
        placement = self.track.place([new(0, voice(200, 330))], beside=[OLD])
        self.assertEqual([one.start_sample for one in placement.segments], [START + 130 * PACKET])

    def test_audio_of_a_socket_that_had_ended_stays(self) -> None:
        self.track.store(0, voice(0, 5), THIRD, stamps=stamps_of(*range(-60, -55)))
        self.track.store(15 * PACKET, voice(15, 20), stamps=stamps_of(16, 16, 18, 18, 19))
        self.track.store(60 * PACKET, voice(60, 65), THIRD, stamps=stamps_of(*range(50, 55)))
        placement = self.track.place([new(20 * PACKET, voice(20, 25))], beside=[OLD])
        self.assertEqual((placement.moves, placement.cuts), ([], []))

    def test_audio_of_a_socket_that_had_ended_in_its_place_does_not_move_by_timestamps(
        self,
    ) -> None:
        self.track.store(0, voice(0, 10), THIRD)
        self.track.store(10 * PACKET, voice(10, 12), stamps=stamps_of(10, 12))
        placement = self.track.place([new(0, voice(200, 220))], beside=[OLD])
        self.assertEqual(placement.moves, [])

    def test_audio_that_cannot_be_read_is_not_cut(self) -> None:
        row = self.track.store(0, voice(0, 3) + voice(5, 8), stamps=stamps_of(0, 1, 2, 5, 6, 7))
        rest = [new(3 * PACKET, voice(3, 5))]
        placement = without_overlaps(rest, {"p": [row]}, NEW, lambda _: None, [OLD])
        self.assertEqual(placement.cuts, [])

    def test_a_packet_that_two_segments_share_is_not_cut(self) -> None:
        pcm, stamps = voice(0, 3) + voice(5, 8), stamps_of(0, 1, 2, 5, 6, 7)
        half = 2 * (PACKET * 7 // 2)
        self.track.store(0, pcm[:half], stamps=stamps[: 4 * SIZE])
        self.track.store(PACKET * 7 // 2, pcm[half:], stamps=stamps[3 * SIZE :])
        rest = [new(3 * PACKET, voice(3, 5))]
        self.assert_joined(rest, (0, voice(0, 8)), beside=[OLD])

    def test_audio_that_follows_without_a_space_goes_back_too(self) -> None:
        stamps = stamps_of(13, 13, 13, 13, 14, 15)
        first = self.track.store(13 * PACKET, voice(10, 14), stamps=stamps[: 4 * SIZE])
        self.track.store(17 * PACKET, voice(14, 16), stamps=stamps[4 * SIZE :])
        self.assertEqual(replace(first, stamps=None).stamp_of(0, PACKET), None)
        before = [new(0, voice(0, 10), stamps=stamps_of(*range(9), 10))]
        self.assert_joined(before, (0, voice(0, 16)), beside=[OLD])

    def test_a_segment_may_begin_with_the_rest_of_a_packet(self) -> None:
        """The packet has begun in a segment that is too far away to be looked at."""
        pcm, cut = voice(0, 305) + voice(306, 310), PACKET * 301 // 2
        self.track.store(0, pcm[: 2 * cut])
        self.track.store(cut, pcm[2 * cut :])
        lost = [new(305 * PACKET, voice(305, 306), stamps=stamps_of(304))]
        placement = self.track.place(lost, beside=[OLD])
        ((_, whole),) = joined(self.track.after(placement))
        self.assertEqual(sorted(packets_of([whole])), sorted(packets_of([voice(0, 310)])))
