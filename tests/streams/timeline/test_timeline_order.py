"""Laws 5 and 6 of the timeline, disorder and clocks that jump; the bounds of its memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import SupportsIndex, overload
from unittest import TestCase

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from streams.timeline.call_clock import MAX_EPOCHS
from streams.timeline.late_packets import take_displaced
from streams.timeline.timeline import Decided, Timeline
from streams.timeline.track import Track, Waiting
from streams.timeline.waiting import Streak, has_hole
from tests.streams.packets import (
    PACKET_SAMPLES,
    PACKET_US,
    RATE,
    SILENT,
    START,
    START_US,
    Sent,
    arrived,
    audio_of,
    errors_ms,
    pcm_of,
    places_of,
    play,
    speech,
    stalled,
)


class Order(TestCase):
    """5. Packets out of order within 2 s are placed right; if the place is taken, the order of
    arrival remains.
    """

    def test_two_swapped_packets_are_sorted(self) -> None:
        packets = speech(200)
        taken = play([*packets[:50], packets[51], packets[50], *packets[52:]])
        self.assertEqual(audio_of(taken), pcm_of(packets))
        self.assertEqual(taken.late, 1)

    @given(st.integers(0, 2**32), st.integers(1, 8), st.floats(0.1, 2))
    def test_disorder_within_a_burst_is_sorted(self, seed: int, reach: int, seconds: float) -> None:
        chance = random.Random(seed)
        packets = speech(400)
        burst = stalled(packets, 100, seconds)
        burst = [
            replace(packet, timestamp_us=(packet.timestamp_us or 0) + packet.number)
            for packet in burst
        ]
        taken = play(sorted(burst, key=lambda packet: packet.number + chance.uniform(0, reach)))
        self.assertEqual((taken.jumps, taken.tracks["p"].gaps), ([], []))
        self.assertEqual(audio_of(taken), pcm_of(packets))

    def test_a_burst_that_arrives_behind_the_packets_after_it_is_sorted(self) -> None:
        packets = speech(400)
        burst = [
            replace(one, timestamp_us=(one.timestamp_us or 0) + one.number)
            for one in stalled(packets, 100, 1)
        ]
        for first, gaps in ((0, 0), (96, 1)):  # just after a pause
            received = [*burst[:50], *burst[max(50, first) : 100]]
            taken = play([*received, *burst[151:157], *burst[100:151], *burst[157:]])
            with self.subTest(first=first):
                self.assertEqual((taken.jumps, len(taken.tracks["p"].gaps)), ([], gaps))
                self.assertEqual(audio_of(taken), pcm_of([*received, *packets[100:]]))

    @given(st.integers(0, 2**32), st.integers(1, 99))
    def test_disorder_within_two_seconds_is_sorted(self, seed: int, reach: int) -> None:
        chance = random.Random(seed)
        packets = speech(400)
        arrived = sorted(packets, key=lambda packet: packet.number + chance.uniform(0, reach))
        taken = play(arrived)
        self.assertEqual(audio_of(taken), pcm_of(packets))
        self.assertEqual((taken.tracks["p"].gaps, taken.jumps), ([], []))

    @given(st.integers(0, 2**32), st.integers(1, 99), st.integers(0, 99))
    def test_a_late_block_is_sorted(self, seed: int, length: int, delay: int) -> None:
        packets = speech(500)
        start, delay = seed % 300, min(delay, 99 - length) if length < 99 else 0
        block = packets[start : start + length]
        rest = packets[:start] + packets[start + length :]
        arrived = rest[: start + max(delay, 0)] + block + rest[start + max(delay, 0) :]
        self.assertEqual(audio_of(play(arrived)), pcm_of(packets))

    def test_disorder_that_arrives_at_the_pace_of_speech_is_no_step_of_the_clock(self) -> None:
        chance = random.Random(1)
        packets = [
            replace(one, timestamp_us=one.spoken_us + chance.randint(-120_000, 120_000))
            for one in arrived(speech(300))
        ]
        self.assertEqual(play(packets).jumps, [])

    @given(st.integers(100, 2000))
    def test_packets_whose_place_is_taken_stay_in_order_of_arrival(self, step_ms: int) -> None:
        before, after = speech(200), speech(400)[200:]
        back = [replace(packet, timestamp_us=packet.spoken_us - step_ms * 1000) for packet in after]
        taken = play(before + back)
        self.assertEqual(audio_of(taken), pcm_of(before + after))
        self.assertEqual(len(taken.jumps), 1)

    def test_a_slightly_late_packet_after_a_burst_is_no_step_of_the_clock(self) -> None:
        packets = speech(200)
        burst = [
            replace(packet, timestamp_us=packets[100].spoken_us) for packet in packets[100:110]
        ]
        burst.append(replace(packets[110], timestamp_us=packets[100].spoken_us - 30_000))
        taken = play([*packets[:100], *burst, *packets[111:]])
        self.assertEqual((taken.jumps, taken.late, len(places_of(taken))), ([], 1, 200))

    def test_one_packet_after_a_burst_is_no_step_of_the_clock_even_if_its_place_is_taken(
        self,
    ) -> None:
        packets = speech(200)
        burst = [
            replace(p, timestamp_us=packets[107].spoken_us)
            for p in packets[100:111]
            if p.number != 103
        ]
        taken = play([*packets[:100], *burst, packets[103], *packets[111:]])
        self.assertEqual((taken.jumps, taken.late, len(places_of(taken))), ([], 1, 200))

    def test_a_packet_too_late_for_disorder_is_kept_in_order_of_arrival(self) -> None:
        packets = speech(600)
        taken = play(packets[:100] + packets[101:400] + [packets[100]] + packets[400:])
        self.assertEqual(
            sorted(pcm for _, pcm in places_of(taken)), sorted(packet.pcm for packet in packets)
        )
        self.assertEqual((taken.late, taken.jumps), (1, []))


class AClockThatJumps(TestCase):
    """6. A jump ends the run and starts a new one with an entry; nothing is dropped, no hours of
    silence added.
    """

    def jumped(self, microseconds: int) -> Decided:
        packets = speech(400)
        after = [
            replace(packet, timestamp_us=packet.spoken_us + microseconds)
            for packet in packets[200:]
        ]
        taken = play(packets[:200] + after)
        self.assertEqual(audio_of(taken), pcm_of(packets))
        self.assertEqual(taken.tracks["p"].gaps, [])
        return taken

    @example(-2520)
    @example(-2540)
    @example(-2560)
    @example(-2580)
    @example(-2600)
    @given(
        st.one_of(
            st.integers(-86_400_000, -100),
            st.integers(-2_700, -2_400),
            st.integers(3_601_000, 86_400_000),
        )
    )
    def test_a_jump_causes_no_silence_and_is_reported(self, milliseconds: int) -> None:
        (jump,) = self.jumped(milliseconds * 1000).jumps
        self.assertEqual(jump.timestamp_us - jump.expected_us, milliseconds * 1000)

    def test_an_hour_without_a_packet_is_silence_and_no_jump(self) -> None:
        packets = speech(400)
        after = [
            replace(packet, timestamp_us=packet.spoken_us + 3_500_000_000)
            for packet in packets[200:]
        ]
        taken = play(packets[:200] + after)
        self.assertEqual((len(taken.tracks["p"].gaps), taken.jumps), (1, []))

    def test_one_wrong_timestamp_is_no_jump(self) -> None:
        for wrong in (-86_400_000_000, -5_000_000, 86_400_000_000):
            with self.subTest(wrong=wrong):
                packets = speech(400)
                packets[200] = replace(packets[200], timestamp_us=packets[200].spoken_us + wrong)
                taken = play(packets)
                self.assertEqual(
                    sorted(pcm for _, pcm in places_of(taken)),
                    sorted(packet.pcm for packet in packets),
                )
                self.assertEqual((taken.jumps, taken.tracks["p"].gaps), ([], []))

    def test_wrong_timestamps_do_not_make_other_packets_late(self) -> None:
        packets = speech(400)
        wrong = [Sent(number, 0, START_US - 86_400_000_000) for number in range(1000, 1004)]
        received = packets[:200] + wrong + packets[200:]
        taken = play(received)
        self.assertEqual((audio_of(taken), taken.late, taken.jumps), (pcm_of(received), 4, []))

    def test_a_track_with_a_wrong_first_timestamp_starts_with_the_call(self) -> None:
        earlier, packets = speech(100, participant="a"), speech(200, participant="b")[100:]
        wrong = replace(packets[0], timestamp_us=packets[0].spoken_us - 86_400_000_000)
        taken = play([*earlier, wrong, *packets[1:]])
        self.assertEqual((audio_of(taken, "b"), taken.late, taken.jumps), (pcm_of(packets), 1, []))
        self.assertEqual(places_of(taken, "b")[0][0], START + 100 * PACKET_SAMPLES)

    def test_tracks_of_a_call_that_jump_together_stay_together(self) -> None:
        for microseconds in (-7_200_000_000, 7_200_000_000):
            with self.subTest(microseconds=microseconds):
                left = speech(600, participant="a")
                right = [
                    packet
                    for packet in speech(600, participant="b")
                    if not 150 <= packet.number < 300
                ]
                packets = sorted(
                    [*left, *right], key=lambda packet: (packet.spoken_us, packet.participant)
                )
                packets = [
                    replace(
                        packet,
                        timestamp_us=packet.spoken_us + microseconds * (packet.number >= 250),
                    )
                    for packet in packets
                ]
                taken = play(packets)
                self.assertLessEqual(max(map(abs, errors_ms(taken, left, "a"))), 60)
                self.assertLessEqual(max(map(abs, errors_ms(taken, right, "b"))), 60)

    def test_two_silent_hours_of_one_participant_are_no_jump_while_others_speak(self) -> None:
        timeline = Timeline()
        places_us = range(START_US, START_US + 7_210_000_000, 500_000)  # two packets per second
        talker = [Sent(25 * number, at, at, "a") for number, at in enumerate(places_us)]
        back = speech(200, participant="b")
        back += [
            replace(
                packet, number=packet.number + 200, timestamp_us=packet.spoken_us + 7_200_000_000
            )
            for packet in back
        ]
        packets = sorted([*talker, *back], key=lambda packet: packet.timestamp_us or 0)
        taken = play(packets, timeline)
        self.assertEqual(taken.jumps, [])
        self.assertEqual(
            taken.tracks["b"].gaps[0].sample_count, (7_200 * 50 - 200) * PACKET_SAMPLES
        )

    def test_a_clock_that_jumps_with_every_packet_loses_nothing_in_bounded_memory(self) -> None:
        chance = random.Random(3)
        packets = [Sent(n, 0, START_US + chance.randrange(10**15)) for n in range(2000)]
        timeline = Timeline()
        taken = play(packets, timeline)
        self.assertEqual(len(places_of(taken)), 2000)
        self.assertLessEqual(len(timeline.epochs), MAX_EPOCHS)


class CountingQueue(list[Waiting]):
    """A queue that counts iterations over its packets."""

    searches = 0

    def __iter__(self) -> Iterator[Waiting]:
        self.searches += 1
        return super().__iter__()

    @overload
    def __getitem__(self, at: SupportsIndex) -> Waiting: ...
    @overload
    def __getitem__(self, at: slice) -> list[Waiting]: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Waiting | list[Waiting]:
        self.searches += isinstance(at, slice)
        return super().__getitem__(at)


class Bounds(TestCase):
    def test_a_stopped_clock_does_not_grow_the_queue_without_bound(self) -> None:
        timeline = Timeline()
        for number in range(5000):
            timeline.push("p", START_US, Sent(number, 0, 0).pcm, RATE, START_US)
        self.assertLessEqual(len(timeline.tracks["p"].waiting), 2001)

    def test_the_number_of_queued_packets_is_bounded(self) -> None:
        timeline = Timeline()
        for number in range(20_000):
            timeline.push("p", START_US, number.to_bytes(2, "little"), RATE, START_US)
        self.assertLessEqual(len(timeline.tracks["p"].waiting), 8192)

    def test_a_long_streak_of_late_packets_is_a_step_of_the_clock(self) -> None:
        ahead = [Sent(n, 0, START_US + n * 10_000_000) for n in range(1, 3)]
        late = [
            replace(packet, timestamp_us=START_US + 18_000_000 + packet.number * 1000)
            for packet in speech(400)
        ]
        taken = play(ahead + late)
        self.assertEqual(len(places_of(taken)), 402)

    def test_a_flood_of_slightly_late_packets_causes_no_search(
        self,
    ) -> None:
        queue = CountingQueue()
        track = Track(RATE, waiting=queue)
        track.insert(START_US, Sent(0, 0, 0).pcm)
        for number in range(1, 1000):
            track.insert(START_US - 60_000, Sent(number, 0, 0).pcm)
            self.assertEqual(take_displaced(track), [])
        self.assertEqual((len(queue), queue.searches), (1000, 0))

    def test_late_packets_of_an_older_version_have_no_times_of_arrival(self) -> None:
        streak = Streak(arrivals=[7, 8], lowest_us=START_US, samples=640)
        streak.add(Waiting(START_US, Sent(0, 0, 0).pcm, 9), 999)
        self.assertEqual(streak.arrived_us, {7: None, 8: None, 9: 999})

    def test_late_packets_already_placed_cause_one_search(self) -> None:
        track = Track(RATE)
        track.insert(START_US, Sent(0, 0, 0).pcm)
        track.insert(START_US - 1_000_000, Sent(1, 0, 0).pcm)
        track.place_all()
        track.waiting = queue = CountingQueue()
        for number in range(2, 1000):
            track.insert(START_US - 60_000, Sent(number, 0, 0).pcm)
            self.assertEqual(take_displaced(track), [])
        self.assertEqual((len(queue), queue.searches), (998, 1))

    def test_the_duplicate_filter_is_bounded_in_number(self) -> None:
        timeline = Timeline()
        for number in range(5_000):
            timeline.push("p", START_US, number.to_bytes(2, "little"), RATE, START_US)
        self.assertLessEqual(len(timeline.tracks["p"].remembered.stamps), 1_500)


class Holes(TestCase):
    """Places between queued packets."""

    def test_a_hole_has_room_for_a_packet(self) -> None:
        track, spoken = Track(RATE), speech(10)
        for packet in spoken[:4] + spoken[5:]:
            track.insert(packet.spoken_us, packet.pcm)
        found = [
            number
            for number in range(-1, 12)
            if has_hole(track.waiting, START_US + number * PACKET_US, PACKET_US)
        ]
        self.assertEqual(found, [4])


class StoredState(TestCase):
    """Between two files the state is on disk, where another version may read it."""

    def test_a_possible_duplicate_is_written_under_its_old_name(self) -> None:
        timeline, silence = Timeline(), Sent(SILENT, START_US, START_US)
        for _ in range(2):
            timeline.push("p", START_US, silence.pcm, RATE, START_US)
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(timeline))
        waiting = stored["tracks"]["p"]["waiting"]
        self.assertEqual([packet["doubtful"] for packet in waiting], [False, True])
        self.assertNotIn("maybe_duplicate", waiting[1])

    def test_a_possible_duplicate_is_read_by_its_old_name(self) -> None:
        stored = {"place_us": START_US, "pcm": b"ab", "arrival": 1, "timed": True}
        for members, expected in ((stored, False), ({**stored, "doubtful": True}, True)):
            packet = msgspec.msgpack.decode(msgspec.msgpack.encode(members), type=Waiting)
            self.assertEqual(packet.maybe_duplicate, expected)
