"""The generator sends what ACS sends, with correct timestamps."""

from __future__ import annotations

from itertools import pairwise
from unittest import TestCase

from bench.frames import HALF_PACKETS, PACKET_US, Clock, place_in_ring, turns
from calls.audio.levels import level_of
from streams.acs import messages
from streams.ingest.packets import AudioData
from tests.torture.media_socket import TEXT, frame_in

RAW_IDS = ["4:+15550000010", "4:+15550000011"]
MOMENT_US = 1_664_824_572_925_000


def packets_in(content: bytes) -> list[AudioData]:
    """Decodes the packets as a server does; a mask of zeros is skipped."""
    found = []
    while content:
        length = int.from_bytes(content[2:4], "big")
        assert content[:2] == bytes([0x80 | TEXT, 0x80 | 126]), "a masked text frame"
        assert content[4:8] == bytes(4), "a mask of zeros"
        unmasked = bytes([content[0], 126]) + content[2:4] + content[8 : 8 + length]
        whole = frame_in(unmasked)
        assert whole, "the frame is complete"
        decoded = messages.decode(whole[1])
        assert isinstance(decoded, AudioData), "a packet"
        found.append(decoded)
        content = content[8 + length :]
    return found


class Turns(TestCase):
    def test_a_turn_is_one_packet_of_each_voice_with_its_timestamp(self) -> None:
        content = turns(RAW_IDS, 1)[0].stamp(Clock().stamp(MOMENT_US))
        found = packets_in(bytes(content))
        self.assertEqual([packet.participant for packet in found], RAW_IDS)
        self.assertEqual([packet.timestamp_us for packet in found], [MOMENT_US] * 2)
        self.assertEqual([len(packet.pcm) for packet in found], [640] * 2)

    def test_a_turn_can_be_stamped_again(self) -> None:
        turn, clock = turns(RAW_IDS, 1)[0], Clock()
        turn.stamp(clock.stamp(MOMENT_US))
        later = packets_in(bytes(turn.stamp(clock.stamp(MOMENT_US + 3_600_000_000))))
        self.assertEqual([packet.timestamp_us for packet in later], [MOMENT_US + 3_600_000_000] * 2)

    def test_a_packet_differs_from_the_previous_one(self) -> None:
        ring = turns(RAW_IDS, 1)
        sent = [
            packets_in(bytes(ring[place_in_ring(number)].content))[0].pcm
            for number in range(2 * HALF_PACKETS)
        ]
        self.assertTrue(all(one != following for one, following in pairwise(sent)))

    def test_voices_are_loud_for_a_second_and_quiet_for_a_second(self) -> None:
        ring = turns(RAW_IDS, 1)
        for number in range(4 * HALF_PACKETS):
            packet = packets_in(bytes(ring[place_in_ring(number)].content))[0]
            is_loud = number * PACKET_US // 1_000_000 % 2 == 0
            self.assertEqual(level_of(packet.pcm).peak_dbfs > -6, is_loud, number)


class Clocks(TestCase):
    def test_moments_are_whole_milliseconds(self) -> None:
        clock = Clock()
        self.assertEqual(clock.stamp(MOMENT_US + 999), b"2022-10-03T19:16:12.925")
        self.assertEqual(clock.stamp(MOMENT_US + 1000), b"2022-10-03T19:16:12.926")
        self.assertEqual(clock.stamp(MOMENT_US + 75_000), b"2022-10-03T19:16:13.000")
