"""The seven laws of the timeline: an example that reads like the law, and a property for each."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.timeline.timeline import Decided, Timeline
from streams.timeline.track import Track
from tests.streams.packets import (
    PACKET_SAMPLES,
    PACKET_US,
    RATE,
    SILENT,
    START,
    START_US,
    Sent,
    audio_of,
    delayed,
    errors_ms,
    pcm_of,
    places_of,
    play,
    reloaded,
    speech,
    stalled,
)

stamps = st.lists(
    st.tuples(st.integers(0, 300), st.integers(-8_000_000_000, 8_000_000_000)), max_size=80
)


def wild_packets(stamps: list[tuple[int, int]]) -> list[Sent]:
    """Returns packets in random order, a third of them with wrong clocks."""
    places = [START_US + steps * PACKET_US + wild * (steps % 3) for steps, wild in stamps]
    return [Sent(number, 0, place) for number, place in enumerate(places)]


class Conservation(TestCase):
    """1. Every sample of every valid packet is stored once; only exact duplicates are dropped, and
    counted.
    """

    def test_an_exact_duplicate_is_dropped_and_counted(self) -> None:
        packets = speech(100)
        taken = play([*packets[:50], packets[48], packets[10], *packets[50:]])
        self.assertEqual(audio_of(taken), pcm_of(packets))
        self.assertEqual(taken.duplicate, 2)

    def test_a_duplicate_older_than_the_look_ahead_is_dropped_and_counted(self) -> None:
        packets = speech(300)
        taken = play([*packets[:200], packets[10], *packets[200:]])
        self.assertEqual((audio_of(taken), taken.duplicate), (pcm_of(packets), 1))

    def test_a_repeated_silent_packet_without_time_for_it_is_a_duplicate(
        self,
    ) -> None:
        packets = speech(400)
        packets[200] = replace(packets[200], number=SILENT)
        taken = play([*packets[:203], packets[200], *packets[203:]])
        self.assertEqual(audio_of(taken), pcm_of(packets))
        self.assertEqual((taken.duplicate, taken.late, taken.tracks["p"].gaps), (1, 0, []))

    def test_equal_bytes_or_equal_timestamps_alone_are_no_duplicates(self) -> None:
        first = Sent(1, START_US, START_US)
        again = replace(first, timestamp_us=START_US + PACKET_US)
        other = replace(first, number=2)
        self.assertEqual(len(places_of(play([first, again, other]))), 3)

    def test_a_burst_of_silence_with_one_timestamp_is_kept(self) -> None:
        packets = speech(500)
        quiet = [
            replace(packet, number=SILENT) if 100 <= packet.number < 300 else packet
            for packet in packets
        ]
        received = [
            replace(packet, timestamp_us=stamped.timestamp_us)
            for packet, stamped in zip(quiet, stalled(packets, 150, 1.9), strict=True)
        ]
        taken = play(received)
        self.assertEqual(
            (audio_of(taken), taken.duplicate, taken.tracks["p"].gaps), (pcm_of(quiet), 0, [])
        )

    def test_a_clock_of_whole_seconds_loses_nothing_of_equal_packets(self) -> None:
        for period in (0, 1, 2, 5):
            with self.subTest(period=period):
                steady = [
                    replace(packet, number=packet.number % period if period else SILENT)
                    if packet.number < 400
                    else packet
                    for packet in speech(800)
                ]
                received = [
                    replace(p, timestamp_us=(p.timestamp_us or 0) // 1_000_000 * 1_000_000)
                    for p in steady
                ]
                taken = play(received)
                self.assertEqual(sum(len(pcm) for _, pcm in places_of(taken)), 800 * 640)
                self.assertEqual((taken.duplicate, taken.tracks["p"].gaps), (0, []))

    def test_a_clock_of_whole_seconds_still_drops_what_a_network_repeats(self) -> None:
        packets = [
            replace(one, timestamp_us=one.spoken_us // 1_000_000 * 1_000_000) for one in speech(800)
        ]
        taken = play([*packets[:400], *packets[380:400], *packets[400:]])
        self.assertEqual((taken.duplicate, audio_of(taken)), (20, pcm_of(packets)))

    def test_a_duplicate_before_missing_time_is_dropped(self) -> None:
        packets = speech(200)
        taken = play([*packets[:51], packets[50], *packets[60:]])
        self.assertEqual((taken.duplicate, len(places_of(taken))), (1, 191))

    @given(stamps)
    def test_every_packet_is_stored_once_for_any_timestamps(
        self, stamps: list[tuple[int, int]]
    ) -> None:
        packets = [
            Sent(n, 0, START_US + steps * PACKET_US + wild * (steps % 3))
            for n, (steps, wild) in enumerate(stamps)
        ]
        taken = play(packets) if packets else Decided({}, [], [], 0, 0)
        stored = sorted(pcm for _, pcm in places_of(taken)) if packets else []
        self.assertEqual(stored, sorted(packet.pcm for packet in packets))

    @given(
        st.lists(
            st.tuples(st.integers(0, 300), st.integers(-8_000_000_000, 8_000_000_000)),
            min_size=1,
            max_size=80,
        )
    )
    def test_no_two_packets_overlap(self, stamps: list[tuple[int, int]]) -> None:
        packets = [
            Sent(n, 0, START_US + steps * PACKET_US + wild * (steps % 3))
            for n, (steps, wild) in enumerate(stamps)
        ]
        places = [place for place, _ in places_of(play(packets))]
        for before, after in pairwise(places):
            self.assertGreaterEqual(after - before, PACKET_SAMPLES)


class NoCuts(TestCase):
    """2. Jitter, and a stall of up to 2 s followed by its burst, change nothing: contiguous and
    bit-exact.
    """

    def test_a_stall_followed_by_its_burst_is_contiguous(self) -> None:
        for seconds in (0.5, 1.9, 2.0, 3.0, 30.0):
            with self.subTest(seconds=seconds):
                packets = speech(2000)
                taken = play(stalled(packets, 100, seconds))
                self.assertEqual(taken.tracks["p"].gaps, [])
                self.assertEqual(audio_of(taken), pcm_of(packets))
                self.assertEqual(places_of(taken)[0][0], START)

    def test_a_stall_at_the_start_does_not_move_the_track(self) -> None:
        packets = speech(300)
        self.assertEqual(places_of(play(stalled(packets, 0, 1.5)))[0][0], START)

    @given(
        st.lists(st.integers(0, 50_000), min_size=300, max_size=300),
        st.integers(0, 99),
        st.floats(0, 2),
    )
    def test_jitter_and_a_stall_leave_the_track_contiguous(
        self, delays: list[int], at: int, seconds: float
    ) -> None:
        packets = speech(len(delays))
        taken = play(stalled(delayed(packets, delays), at, seconds))
        self.assertEqual(taken.tracks["p"].gaps, [])
        self.assertEqual(audio_of(taken), pcm_of(packets))


class Alignment(TestCase):
    """3. If time is really missing the track moves: no sample is more than 60 ms from its true
    place.
    """

    def test_errors_do_not_add_up_when_every_17th_packet_is_lost_for_an_hour(self) -> None:
        packets = [packet for packet in speech(180_000) if packet.number % 17]
        timeline = Timeline()
        error_ms, place = 0.0, 0
        for packet in packets:
            timeline.push("p", packet.timestamp_us, b"\x01\x00" * PACKET_SAMPLES, RATE, START_US)
        timeline.finish()
        runs = timeline.take().tracks["p"].runs
        numbers = iter(packets)
        for run in runs:
            place = run.start_sample
            for _ in run.pieces:
                true = next(numbers).spoken_us * RATE // 1_000_000
                error_ms = max(error_ms, abs(place - true) * 1000 / RATE)
                place += PACKET_SAMPLES
        self.assertLessEqual(error_ms, 60)

    @given(st.lists(st.booleans(), min_size=50, max_size=400), st.integers(0, 2**32))
    def test_random_loss_keeps_every_packet_within_60_ms(
        self, is_kept: list[bool], seed: int
    ) -> None:
        packets = [
            packet for packet, keep in zip(speech(len(is_kept)), is_kept, strict=True) if keep
        ]
        if packets:
            self.assertLessEqual(max(map(abs, errors_ms(play(packets), packets))), 60)

    @given(st.integers(0, 2**32), st.floats(0, 0.4))
    def test_loss_under_jitter_keeps_every_packet_within_60_ms(
        self, seed: int, loss: float
    ) -> None:
        chance = random.Random(seed)
        spoken = speech(400)
        # Jitter as in networks: most packets are a little late, some not at all.
        received = delayed(
            spoken, [0 if chance.random() < 0.3 else chance.randrange(40_000) for _ in spoken]
        )
        packets = [
            packet for packet in received if chance.random() >= loss or packet.number in (0, 1, 2)
        ]
        errors = errors_ms(play(packets), packets)
        # a delay that no later packet corrects may remain
        self.assertLessEqual(max(errors), 60 + 40)
        self.assertGreaterEqual(min(errors), -60)

    def test_two_tracks_with_different_losses_stay_together(self) -> None:
        left = [packet for packet in speech(3000, participant="a") if packet.number % 17]
        right = [packet for packet in speech(3000, participant="b") if packet.number % 5]
        together = sorted([*left, *right], key=lambda packet: packet.spoken_us)
        taken = play(together)
        self.assertLessEqual(max(map(abs, errors_ms(taken, left, "a"))), 60)
        self.assertLessEqual(max(map(abs, errors_ms(taken, right, "b"))), 60)


class GapsAreFacts(TestCase):
    """4. Missing time of more than 60 ms is a gap with start, end and reason."""

    def test_lost_time_is_a_gap_of_exactly_that_time(self) -> None:
        packets = speech(500)
        taken = play(packets[:100] + packets[150:])
        (gap,) = taken.tracks["p"].gaps
        self.assertEqual(
            (gap.start_sample - START, gap.sample_count),
            (100 * PACKET_SAMPLES, 50 * PACKET_SAMPLES),
        )
        self.assertEqual((gap.sample_rate, gap.reason), (RATE, "not_received"))

    def test_sixty_milliseconds_are_no_gap_and_eighty_are_one(self) -> None:
        packets = speech(300)
        self.assertEqual(play(packets[:100] + packets[103:]).tracks["p"].gaps, [])
        self.assertEqual(len(play(packets[:100] + packets[104:]).tracks["p"].gaps), 1)

    def test_a_gap_between_two_sockets_has_its_own_reason(self) -> None:
        packets, timeline = speech(400), Timeline()
        for packet in packets[:100]:
            timeline.push("p", packet.timestamp_us, packet.pcm, RATE, START_US)
        timeline.finish(next_gap="not_connected")
        taken = play(packets[200:300] + packets[350:], timeline)
        self.assertEqual(
            [gap.reason for gap in taken.tracks["p"].gaps], ["not_connected", "not_received"]
        )

    @given(st.lists(st.integers(1, 200), min_size=2, max_size=8))
    def test_runs_and_gaps_tile_the_axis(self, lengths: list[int]) -> None:
        numbered, packets, number = speech(sum(lengths)), [], 0
        for index, length in enumerate(lengths):
            packets += numbered[number : number + length] if index % 2 == 0 else []
            number += length
        track = play(packets).tracks["p"]
        spans = sorted(
            [(run.start_sample, run.sample_count) for run in track.runs]
            + [(gap.start_sample, gap.sample_count) for gap in track.gaps]
        )
        for (start, count), (following, _) in pairwise(spans):
            self.assertEqual(start + count, following)


class OneZero(TestCase):
    """7. One axis for all tracks; packets without timestamp are appended; reconnects and rate
    changes continue.
    """

    def test_packets_without_a_timestamp_are_appended(self) -> None:
        packets = speech(200)
        untimed = [
            replace(packet, timestamp_us=None) if packet.number >= 100 else packet
            for packet in packets
        ]
        taken = play(untimed)
        self.assertEqual((audio_of(taken), taken.tracks["p"].gaps), (pcm_of(packets), []))
        self.assertEqual(places_of(taken)[0][0], START)

    def test_a_packet_without_a_timestamp_in_a_burst_keeps_its_order(self) -> None:
        packets = stalled(speech(200), 50, 1.0)
        packets[60] = replace(packets[60], timestamp_us=None)
        taken = play(packets)
        self.assertEqual((audio_of(taken), taken.tracks["p"].gaps), (pcm_of(packets), []))

    def test_a_track_without_timestamps_does_not_wait_for_them(self) -> None:
        timeline = Timeline()
        for packet in speech(1000):
            timeline.push("p", None, packet.pcm, RATE, START_US)
        self.assertGreater(len(audio_of(timeline.take())), 2 * 15 * RATE)
        self.assertLess(timeline.tracks["p"].held, 5 * RATE)

    def test_a_track_starts_after_all_packets_without_a_timestamp_before_it(self) -> None:
        earlier = [replace(one, timestamp_us=None) for one in speech(100, participant="a")]
        untimed = [replace(one, timestamp_us=None) for one in speech(50, participant="b")]
        late = places_of(play(earlier + untimed), "b")[0][0]
        self.assertEqual(late, START + 99 * PACKET_SAMPLES)

    def test_a_track_without_timestamps_starts_at_the_latest_place_of_the_call(self) -> None:
        earlier = speech(100, participant="a")
        untimed = [replace(packet, timestamp_us=None) for packet in speech(50, participant="b")]
        self.assertEqual(places_of(play(untimed), "b")[0][0], START)
        late = places_of(play(earlier + untimed), "b")[0][0]
        self.assertEqual(late, START + 99 * PACKET_SAMPLES)

    def test_a_track_with_a_clock_days_off_is_aligned_with_the_call(self) -> None:
        right = speech(100, participant="a")
        wrong = [
            replace(packet, timestamp_us=packet.spoken_us - 864_000_000_000)
            for packet in speech(100, participant="b")
        ]
        taken = play(sorted([*right, *wrong], key=lambda packet: packet.spoken_us))
        first = places_of(taken, "b")[0][0]
        self.assertLessEqual(abs(first - START), RATE // 5)
        self.assertEqual(len(taken.jumps), 1)

    def test_a_change_of_rate_causes_no_gap(self) -> None:
        before = speech(100)
        after = [replace(packet, rate=24_000) for packet in speech(200)[100:]]
        taken = play(before + after)
        first, second = taken.tracks["p"].runs
        self.assertEqual(first.start_sample + first.sample_count, START + 100 * PACKET_SAMPLES)
        self.assertEqual(
            (second.start_sample, second.sample_rate),
            ((START + 100 * PACKET_SAMPLES) * 3 // 2, 24_000),
        )
        self.assertEqual((taken.tracks["p"].gaps, len(taken.rate_changes)), ([], 1))

    def test_an_empty_track_changes_its_rate(self) -> None:
        track = Track(RATE)
        track.change_rate(24_000)
        self.assertEqual((track.sample_rate, track.end), (24_000, None))

    def test_a_reconnected_socket_continues_and_repeated_packets_are_dropped(self) -> None:
        packets, timeline = speech(300), Timeline()
        for packet in packets[:200]:
            timeline.push("p", packet.timestamp_us, packet.pcm, RATE, START_US)
        timeline.finish("not_connected")
        taken = play(packets[190:], timeline)
        self.assertEqual(
            (audio_of(taken), taken.duplicate, taken.tracks["p"].gaps), (pcm_of(packets), 10, [])
        )

    def test_an_empty_packet_is_ignored(self) -> None:
        timeline = Timeline()
        timeline.push("p", START_US, b"", RATE, START_US)
        self.assertEqual(timeline.take().tracks, {})

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32), st.integers(1, 120))
    def test_sealing_in_parts_places_every_sample_as_in_one_go(self, seed: int, piece: int) -> None:
        chance = random.Random(seed)
        packets = [packet for packet in speech(500) if chance.random() > 0.1]
        packets = sorted(packets, key=lambda packet: packet.number + chance.uniform(0, 40))
        packets = [
            replace(packet, timestamp_us=None if chance.random() < 0.02 else packet.timestamp_us)
            for packet in packets
        ]
        if chance.random() < 0.3:
            packets[300:] = [
                replace(p, timestamp_us=(p.timestamp_us or p.spoken_us) - 5_000_000)
                for p in packets[300:]
            ]
        whole = play(packets)
        timeline, places, gaps = Timeline(), [], []
        for start in range(0, len(packets), piece):
            timeline = reloaded(timeline)
            for packet in packets[start : start + piece]:
                timeline.push("p", packet.timestamp_us, packet.pcm, RATE, START_US)
            if start + piece >= len(packets):
                timeline.finish()
            taken = timeline.take()
            if taken.tracks:
                places += places_of(taken)
                gaps += taken.tracks["p"].gaps
        self.assertEqual((places, gaps), (places_of(whole), whole.tracks["p"].gaps))
