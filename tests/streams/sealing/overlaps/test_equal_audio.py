"""Equal packets are found where another timeline has put them, and nowhere else."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.sealing.overlaps.equal_audio import Audio, Distances, Match, matches_of
from tests.streams.sealing.overlaps.tracks import PACKET, pcm_of

REACH, TOLERANCE, FAR = 1920, 960, 40_000
DISTANCES = Distances(PACKET, REACH, FAR, TOLERANCE)
SILENCE = bytes(2 * PACKET)


def tone(packets: int, period: int = 40) -> bytes:
    """Returns sound that repeats itself every `period` samples."""
    return (pcm_of(0, period) * (packets * PACKET // period + 1))[: packets * PACKET * 2]


def found(new: Audio, *stored: Audio) -> list[Match]:
    return matches_of(new, stored, DISTANCES)


def packet(number: int) -> bytes:
    return pcm_of(number * PACKET, PACKET)


class Matches(TestCase):
    def test_equal_audio_is_found_at_another_position(self) -> None:
        for distance in (-REACH, -7, 0, 7, REACH):
            with self.subTest(distance=distance):
                stored = Audio(distance, pcm_of(0, 10 * PACKET))
                self.assertEqual(
                    found(Audio(0, pcm_of(0, 10 * PACKET)), stored),
                    [Match(0, 10 * PACKET, distance)],
                )

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

    def test_little_silence_is_equal_if_other_runs_have_much_in_common(self) -> None:
        new, stored = Audio(PACKET, SILENCE * 2), Audio(0, SILENCE * 5)
        self.assertEqual(found(new, stored), [])
        self.assertEqual(
            matches_of(new, [stored], DISTANCES, common=TOLERANCE), [Match(0, 2 * PACKET, PACKET)]
        )
        apart = Audio(9 * PACKET, SILENCE * 2)
        self.assertEqual(matches_of(apart, [stored], DISTANCES, common=TOLERANCE), [])

    def test_silence_that_half_overlaps_the_edge_of_stored_silence_is_equal(self) -> None:
        stored = Audio(0, SILENCE * 10)
        for distance in (1, PACKET // 2):
            with self.subTest(distance=distance):
                self.assertEqual(
                    found(Audio(-distance, SILENCE * 11), stored), [Match(0, 10 * PACKET, 0)]
                )
                new = Audio(distance - PACKET, SILENCE * 11)
                self.assertEqual(found(new, stored)[-1].end, stored.end)

    def test_silence_beside_equal_speech_is_equal_at_the_same_distance(self) -> None:
        audio = SILENCE * 2 + pcm_of(0, PACKET) + SILENCE * 2
        self.assertEqual(found(Audio(0, audio), Audio(9, audio)), [Match(0, 5 * PACKET, 9)])

    def test_all_silence_between_equal_packets_is_equal(self) -> None:
        """The stored audio lacks one packet before it, so it lies earlier."""
        stored = Audio(0, packet(0) + SILENCE * 2 + packet(2))
        new = Audio(0, packet(0) + packet(1) + SILENCE * 3 + packet(2))
        self.assertEqual(
            found(new, stored),
            [Match(0, PACKET, 0), Match(3 * PACKET, 3 * PACKET, PACKET)],
        )
        stored = Audio(0, packet(0) + SILENCE * 2 + packet(3) + packet(2))
        self.assertEqual(
            found(new, stored),
            [
                *(Match(0, PACKET, 0), Match(2 * PACKET, 2 * PACKET, PACKET)),
                Match(5 * PACKET, PACKET, 4 * PACKET),
            ],
        )

    def test_silence_with_which_both_begin_is_the_same(self) -> None:
        self.assertEqual(
            found(Audio(0, SILENCE + packet(0)), Audio(0, SILENCE)), [Match(0, PACKET, 0)]
        )

    def test_a_tone_at_the_end_of_the_one_and_the_start_of_the_other_is_not_the_same(self) -> None:
        self.assertEqual(found(Audio(4 * PACKET - 26, tone(3)), Audio(0, tone(4))), [])

    def test_a_tone_is_equal_at_the_nearest_place_if_much_is_in_common(self) -> None:
        self.assertEqual(found(Audio(0, tone(10)), Audio(-9, tone(10)))[0], Match(0, 3200, -9))

    def test_a_tone_between_other_sounds_is_equal_at_the_nearest_place(self) -> None:
        stored = Audio(-9, packet(0) + tone(10) + packet(1))
        new = Audio(3 * PACKET, tone(6))
        self.assertEqual(found(new, stored), [Match(0, 6 * PACKET, 3 * PACKET - 9)])

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


class Unique(TestCase):
    """Packets that occur just once on both sides are the same packet, also far from their place."""

    def test_audio_that_has_no_time_in_common_is_equal(self) -> None:
        stored = Audio(-3 * PACKET, packet(0) + packet(1) + packet(2))
        self.assertEqual(
            found(Audio(0, packet(2) + packet(3)), stored), [Match(0, PACKET, -PACKET)]
        )

    def test_it_is_found_as_far_as_late_timestamps_put_it(self) -> None:
        for distance in (-FAR, FAR):
            with self.subTest(distance=distance):
                new, stored = Audio(0, pcm_of(0, 3200)), Audio(distance, pcm_of(0, 3200))
                self.assertEqual(found(new, stored), [Match(0, 3200, distance)])
                self.assertEqual(found(new, Audio(2 * distance, stored.pcm)), [])

    def test_sound_that_recurs_on_either_side_is_not_the_same(self) -> None:
        once, twice = Audio(0, tone(1)), Audio(10 * PACKET, tone(1) + packet(0) + tone(1))
        self.assertEqual(found(once, twice), [])
        self.assertEqual(found(twice, once), [])

    def test_sound_that_recurs_in_another_part_of_the_file_is_not_the_same(self) -> None:
        stored = Audio(10 * PACKET, tone(1))
        self.assertEqual(
            matches_of(Audio(0, tone(1)), [stored], DISTANCES, [Audio(0, tone(1))]), []
        )
        self.assertEqual(
            matches_of(Audio(0, tone(1)), [stored], DISTANCES, [Audio(0, packet(0))]),
            [Match(0, PACKET, 10 * PACKET)],
        )

    def test_sound_that_recurs_farther_away_is_the_same(self) -> None:
        stored = [Audio(10 * PACKET, packet(0)), Audio(2 * FAR, packet(0))]
        again = [Audio(3 * FAR, packet(0))]
        self.assertEqual(
            matches_of(Audio(0, packet(0)), stored, DISTANCES, again),
            [Match(0, PACKET, 10 * PACKET)],
        )

    def test_sound_that_recurs_with_another_phase_is_not_the_same(self) -> None:
        """Each of its packets is different, but all of them are in the same tone."""
        self.assertEqual(found(Audio(10 * PACKET, tone(5, 37)), Audio(0, tone(3, 37))), [])

    def test_silence_beside_it_is_equal_too(self) -> None:
        both = SILENCE + packet(0) + SILENCE
        stored = Audio(9 * PACKET, both)
        self.assertEqual(found(Audio(0, both), stored), [Match(0, 3 * PACKET, 9 * PACKET)])

    def test_most_of_the_packets_decide_the_order(self) -> None:
        stored = Audio(0, packet(1) + packet(2) + packet(3) + packet(0))
        self.assertEqual(
            found(Audio(0, packet(0) + packet(1) + packet(2) + packet(3)), stored),
            [Match(0, PACKET, 3 * PACKET, in_order=False), Match(PACKET, 3 * PACKET, 0)],
        )

    def test_packets_out_of_order_have_no_neighbours(self) -> None:
        stored = Audio(0, packet(1) + tone(1) + packet(2) + packet(3) + packet(0) + tone(1))
        new = Audio(0, tone(1) + packet(0) + tone(1) + packet(1) + packet(2) + packet(3))
        self.assertEqual(
            [match for match in found(new, stored) if not match.in_order],
            [Match(PACKET, PACKET, 4 * PACKET, in_order=False)],
        )

    def test_packets_that_overlap_in_the_stored_audio_are_not_both_in_order(self) -> None:
        new = Audio(0, packet(0) + pcm_of(100, PACKET))
        self.assertEqual(
            found(new, Audio(0, pcm_of(0, 2 * PACKET))),
            [Match(0, PACKET, 0), Match(PACKET, PACKET, 100, in_order=False)],
        )

    def test_packets_between_two_that_are_found_stay_between_them(self) -> None:
        """The tone is nearest in front of the first one."""
        stored = Audio(0, tone(1) + packet(0) + packet(1) + tone(1))
        new = Audio(0, packet(0) + tone(1) + packet(1))
        self.assertEqual(
            found(new, stored), [Match(0, PACKET, PACKET), Match(2 * PACKET, PACKET, 2 * PACKET)]
        )


numbers = st.lists(st.integers(0, 7), max_size=25)


class Laws(TestCase):
    @given(numbers, numbers, st.integers(-700, 700))
    def test_matches_are_equal_in_whole_packets_and_in_order(
        self, mine: list[int], theirs: list[int], distance: int
    ) -> None:
        packets = [SILENCE, tone(1), *(packet(n) for n in range(6))]
        new = Audio(0, b"".join(packets[n] for n in mine))
        stored = Audio(distance, b"".join(packets[n] for n in theirs))
        place, end = 0, -FAR
        for match in found(new, stored):
            pcm = new.pcm[match.first * 2 : (match.first + match.count) * 2]
            self.assertTrue(stored.holds(match.start, pcm))
            self.assertEqual((match.first % PACKET, match.count % PACKET), (0, 0))
            self.assertLessEqual(abs(match.start - match.first), FAR)
            self.assertGreaterEqual(match.first, place)
            place = match.first + match.count
            if match.in_order:
                self.assertGreaterEqual(match.start, end)
                end = match.end

    @given(numbers, numbers)
    def test_packets_that_occur_once_on_both_sides_are_found_in_any_order(
        self, mine: list[int], theirs: list[int]
    ) -> None:
        new = Audio(0, b"".join(packet(n) for n in mine))
        stored = Audio(30 * PACKET, b"".join(packet(n) for n in theirs))
        once = {n for n in mine if (mine.count(n), theirs.count(n)) == (1, 1)}
        places = {
            place // PACKET
            for match in found(new, stored)
            for place in range(match.first, match.first + match.count, PACKET)
        }
        self.assertLessEqual({mine.index(n) for n in once}, places)
