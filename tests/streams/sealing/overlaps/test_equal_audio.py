"""Equal packets are found where another timeline has put them, and nowhere else."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.sealing.overlaps.equal_audio import Audio, Match, matches_of
from tests.streams.sealing.overlaps.tracks import PACKET, pcm_of

REACH, TOLERANCE = 1920, 960
SILENCE = bytes(2 * PACKET)


def tone(packets: int, period: int = 40) -> bytes:
    """Returns sound that repeats itself every `period` samples."""
    return (pcm_of(0, period) * (packets * PACKET // period + 1))[: packets * PACKET * 2]


def found(new: Audio, *stored: Audio) -> list[Match]:
    return matches_of(new, stored, packet=PACKET, reach=REACH, tolerance=TOLERANCE)


class Matches(TestCase):
    def test_equal_audio_is_found_at_another_position(self) -> None:
        for distance in (-REACH, -7, 0, 7, REACH):
            with self.subTest(distance=distance):
                stored = Audio(distance, pcm_of(0, 10 * PACKET))
                self.assertEqual(
                    found(Audio(0, pcm_of(0, 10 * PACKET)), stored),
                    [Match(0, 10 * PACKET, distance)],
                )

    def test_beyond_the_reach_nothing_is_equal(self) -> None:
        stored = Audio(REACH + 1, pcm_of(0, 10 * PACKET))
        self.assertEqual(found(Audio(0, pcm_of(0, 10 * PACKET)), stored), [])

    def test_the_part_that_both_have_is_found(self) -> None:
        stored = Audio(5, pcm_of(0, 8 * PACKET))
        match = Match(0, 3 * PACKET, 5 * PACKET + 5)
        new = Audio(5 * PACKET, pcm_of(5 * PACKET, 9 * PACKET))
        self.assertEqual(found(new, stored), [match])
        self.assertEqual(match.end, stored.end)

    def test_packets_that_the_stored_audio_lacks_are_left_out(self) -> None:
        stored = Audio(0, pcm_of(0, 5 * PACKET) + pcm_of(7 * PACKET, 5 * PACKET))
        self.assertEqual(
            found(Audio(0, pcm_of(0, 12 * PACKET)), stored),
            [Match(0, 5 * PACKET, 0), Match(7 * PACKET, 5 * PACKET, 5 * PACKET)],
        )

    def test_a_packet_is_found_across_two_stored_segments_that_adjoin_as_one(self) -> None:
        stored = Audio(3, pcm_of(0, 100) + pcm_of(100, PACKET))
        self.assertEqual(found(Audio(0, pcm_of(0, PACKET)), stored), [Match(0, PACKET, 3)])

    def test_an_incomplete_packet_is_equal_only_beside_an_equal_one(self) -> None:
        stored = Audio(3, pcm_of(0, PACKET + 50))
        self.assertEqual(
            found(Audio(0, pcm_of(0, PACKET + 50)), stored), [Match(0, PACKET + 50, 3)]
        )
        self.assertEqual(found(Audio(0, pcm_of(0, 50)), stored), [])

    def test_bytes_that_are_equal_between_samples_do_not_count(self) -> None:
        stored = Audio(0, b"\x05" + pcm_of(0, PACKET) + b"\x05")
        self.assertEqual(found(Audio(0, pcm_of(0, PACKET)), stored), [])


class Ambiguous(TestCase):
    """Silence and tones are equal to themselves in many places."""

    def test_silence_at_the_end_of_the_one_and_the_start_of_the_other_is_not_the_same(self) -> None:
        stored = Audio(0, pcm_of(0, PACKET) + SILENCE * 3)
        self.assertEqual(found(Audio(4 * PACKET - 26, SILENCE * 3), stored), [])
        self.assertEqual(found(Audio(4 * PACKET - 960, SILENCE * 3), stored), [])

    def test_silence_at_its_own_place_is_equal_if_much_is_in_common(self) -> None:
        stored = Audio(0, SILENCE * 10)
        self.assertEqual(
            found(Audio(2 * PACKET, SILENCE * 10), stored), [Match(0, 8 * PACKET, 2 * PACKET)]
        )

    def test_silence_beside_equal_speech_is_equal_at_the_same_distance(self) -> None:
        audio = SILENCE * 2 + pcm_of(0, PACKET) + SILENCE * 2
        self.assertEqual(found(Audio(0, audio), Audio(9, audio)), [Match(0, 5 * PACKET, 9)])

    def test_a_tone_at_the_end_of_the_one_and_the_start_of_the_other_is_not_the_same(self) -> None:
        self.assertEqual(found(Audio(4 * PACKET - 26, tone(3)), Audio(0, tone(4))), [])

    def test_a_tone_is_equal_at_the_nearest_place_if_much_is_in_common(self) -> None:
        self.assertEqual(found(Audio(0, tone(10)), Audio(-9, tone(10)))[0], Match(0, 3200, -9))

    def test_what_is_equal_keeps_its_order(self) -> None:
        stored = Audio(0, tone(5) + pcm_of(0, 2 * PACKET))
        new = Audio(0, pcm_of(0, 2 * PACKET) + tone(5))
        self.assertEqual(found(new, stored), [Match(0, 2 * PACKET, 5 * PACKET)])

    def test_silence_between_equal_packets_stays_between_them(self) -> None:
        both = (pcm_of(0, PACKET), pcm_of(PACKET, PACKET))
        stored = Audio(0, both[0] + SILENCE * 3 + both[1] + tone(3))
        new = Audio(0, both[0] + SILENCE * 3 + tone(1, 44) + both[1] + SILENCE)
        self.assertEqual(
            found(new, stored),
            [Match(0, 4 * PACKET, 0), Match(5 * PACKET, PACKET, 4 * PACKET)],
        )


numbers = st.lists(st.integers(0, 7), max_size=25)


class Laws(TestCase):
    @given(numbers, numbers, st.integers(-700, 700))
    def test_matches_are_equal_in_order_within_reach_and_in_whole_packets(
        self, mine: list[int], theirs: list[int], distance: int
    ) -> None:
        packets = [SILENCE, tone(1), *(pcm_of(n * PACKET, PACKET) for n in range(6))]
        new = Audio(0, b"".join(packets[n] for n in mine))
        stored = Audio(distance, b"".join(packets[n] for n in theirs))
        place, end = 0, -REACH
        for match in found(new, stored):
            pcm = new.pcm[match.first * 2 : (match.first + match.count) * 2]
            self.assertTrue(stored.holds(match.start, pcm))
            self.assertEqual((match.first % PACKET, match.count % PACKET), (0, 0))
            self.assertLessEqual(abs(match.start - match.first), REACH)
            self.assertGreaterEqual((match.first, match.start), (place, end))
            place, end = match.first + match.count, match.end
