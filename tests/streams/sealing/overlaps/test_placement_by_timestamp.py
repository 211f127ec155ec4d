"""Audio of two sockets that is placed in the order of its timestamps."""

from __future__ import annotations

from struct import pack

from tests.streams.sealing.overlaps.test_placement import Placements
from tests.streams.sealing.overlaps.tracks import (
    OLD,
    PACKET,
    START,
    new,
    stamps_of,
    voice,
)


def negative(*packets: int) -> bytes:
    """Returns the values that packets without a timestamp have instead."""
    return pack(f"<{len(packets)}q", *(-START - packet * PACKET for packet in packets))


class ByTimestamp(Placements):
    """Sockets that carry a voice in turn: its packets are in the order of their timestamps."""

    def test_late_packets_of_the_other_socket_go_behind_earlier_ones(self) -> None:
        self.track.store(0, voice(0, 10))
        self.track.store(13 * PACKET, voice(16, 20), stamps=stamps_of(16, 17, 18, 19))
        between = [new(10 * PACKET, voice(10, 16))]
        self.assert_joined(between, (0, voice(0, 20)), beside=[OLD])

    def test_a_late_stretch_is_cut_where_the_other_socket_goes_on(self) -> None:
        stamps = stamps_of(3, 4, 8, 9)
        self.track.store(0, voice(3, 5) + voice(8, 10), stamps=stamps)
        between = [new(2 * PACKET, voice(5, 8), stamps=stamps_of(5, 6, 7))]
        self.assert_joined(between, (0, voice(3, 10)), beside=[OLD])
        placement = self.track.place(between, beside=[OLD])
        ((first, last),) = [cut.pieces for cut in placement.cuts]
        self.assertEqual((first.stamps, last.stamps), (stamps_of(3, 4), stamps_of(8, 9)))

    def test_without_timestamps_places_tell_the_order(self) -> None:
        self.track.store(0, voice(0, 5))
        self.track.store(5 * PACKET, voice(7, 9), stamps=stamps_of(7, 8))
        self.assert_joined([new(5 * PACKET, voice(5, 7))], (0, voice(0, 9)), beside=[OLD])

    def test_behind_equal_packets_timestamps_tell_the_order(self) -> None:
        """The other socket has not carried packets 4 and 5, so its next one lies 40 ms early."""
        self.track.store(0, voice(0, 4) + voice(6, 7), stamps=stamps_of(0, 1, 2, 3, 6))
        self.assert_joined([new(0, voice(0, 6))], (0, voice(0, 7)), beside=[OLD])

    def test_before_equal_packets_timestamps_tell_the_order(self) -> None:
        """The other socket has not carried packets 1 and 2, so the one before lies 40 ms late."""
        self.track.store(2 * PACKET, voice(0, 1) + voice(3, 6), stamps=stamps_of(0, 3, 4, 5))
        segments = [new(0, voice(1, 6), stamps=stamps_of(1, 2, 3, 4, 5))]
        self.assert_joined(segments, (2 * PACKET, voice(0, 6)), beside=[OLD])

    def test_packets_without_one_move_back_if_there_were_more_of_them(self) -> None:
        """The other socket has not carried 0 to 3 of those before packet 8, which has one."""
        stamps = negative(4, 5, 6, 7) + stamps_of(8, 9)
        self.track.store(4 * PACKET, voice(4, 10), stamps=stamps)
        segments = [new(4 * PACKET, voice(0, 5), stamps=negative(4, 4, 4, 4, 4))]
        self.assert_joined(segments, (0, voice(0, 10)), beside=[OLD])
