"""The fast path: same result as packet by packet, and ordinary calls use it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.timeline import fast_path
from streams.timeline.fast_path import Arrived, Batch
from streams.timeline.timeline import Decided, Packet, Timeline
from streams.timeline.track import MAX_WAITING, Gap, Track
from tests.streams.packets import HOST_US, RATE, SILENT, START_US, Sent, reloaded, speech

CALL_PACKETS = 300
"""Per participant: six seconds, so that most are placed before the end."""

Change = tuple[str, int, int]
"""Name of the change, index of its packet, amount."""


def late(packets: list[Sent], at: int, amount: int) -> None:
    packets[at] = replace(packets[at], timestamp_us=packets[at].spoken_us - amount * 1000)


def early(packets: list[Sent], at: int, amount: int) -> None:
    packets[at] = replace(packets[at], timestamp_us=packets[at].spoken_us + amount * 100_000)


def lost(packets: list[Sent], at: int, amount: int) -> None:
    del packets[at + 1 : at + 1 + amount // 2]


def again(packets: list[Sent], at: int, amount: int) -> None:
    packets[at + amount : at + amount] = [packets[at]] * (1 + amount % 3)


def untimed(packets: list[Sent], at: int, _: int) -> None:
    packets[at] = replace(packets[at], timestamp_us=None)


def silent(packets: list[Sent], at: int, amount: int) -> None:
    packets[at : at + amount] = [
        replace(packet, number=SILENT) for packet in packets[at : at + amount]
    ]


def stalled(packets: list[Sent], at: int, amount: int) -> None:
    resumes_us = packets[at].spoken_us + amount * 20_000
    packets[at:] = [
        replace(packet, timestamp_us=max(packet.timestamp_us or 0, resumes_us))
        for packet in packets[at:]
    ]


def stepped(packets: list[Sent], at: int, amount: int) -> None:
    step_us = amount * 100_000 * (1 if amount % 2 else -1)
    packets[at:] = [
        replace(packet, timestamp_us=(packet.timestamp_us or 0) + step_us)
        for packet in packets[at:]
    ]


def swapped(packets: list[Sent], at: int, amount: int) -> None:
    packets[at : at + amount] = reversed(packets[at : at + amount])


def stopped(packets: list[Sent], at: int, amount: int) -> None:
    packets[at : at + amount] = [
        replace(packet, timestamp_us=packets[at].spoken_us) for packet in packets[at : at + amount]
    ]


CHANGES: dict[str, Callable[[list[Sent], int, int], None]] = {
    change.__name__: change
    for change in (late, early, lost, again, untimed, silent, stalled, stepped, swapped, stopped)
}
changes = st.lists(
    st.tuples(
        st.sampled_from(sorted(CHANGES)), st.integers(0, 2 * CALL_PACKETS), st.integers(0, 150)
    ),
    max_size=5,
)


def call_of(changes: Sequence[Change], jitter_us: int) -> list[Packet]:
    """Returns packets of two participants in turn, with jitter up to `jitter_us` and
    these changes.
    """
    chance = random.Random(jitter_us)
    voices = zip(speech(CALL_PACKETS), speech(CALL_PACKETS, participant="q"), strict=True)
    packets = [
        replace(sent, number=sent.number + 1000 * (sent.participant == "q"))
        for pair in voices
        for sent in pair
    ]
    packets = [
        replace(sent, timestamp_us=sent.spoken_us + chance.randint(-jitter_us, jitter_us))
        for sent in packets
    ]
    for name, at, amount in changes:
        CHANGES[name](packets, min(at, len(packets) - 1), amount)
    return [(sent.participant, sent.timestamp_us, sent.pcm) for sent in packets]


def arrivals_of(packets: Sequence[Packet], seed: int) -> list[int | None]:
    """Returns when the packets arrive: as they are spoken, all at once, in bursts, or unknown."""
    chance = random.Random(seed)
    pace_us, burst = ((0, 1), (10, 1), (10_000, 1), (10_000, 80), (10_000, 40))[seed % 5]
    if seed % 5 == 0:
        return [None] * len(packets)
    return [
        START_US + number // burst * burst * pace_us + chance.randint(0, pace_us)
        for number in range(len(packets))
    ]


def one_by_one(packets: Sequence[Packet], seed: int) -> tuple[Decided, Timeline]:
    timeline = Timeline()
    arrivals = arrivals_of(packets, seed)
    for (participant, timestamp_us, pcm), at_us in zip(packets, arrivals, strict=True):
        timeline.push(participant, timestamp_us, pcm, RATE, START_US, at_us)
    return timeline.take(), timeline


class SameResult(TestCase):
    """Both paths give the same runs, gaps, counts and state for any packets."""

    @settings(max_examples=150, deadline=None)
    @given(
        changes,
        st.sampled_from([0, 0, 15_000, 40_000, 100_000]),
        st.integers(1, 300),
        st.integers(0, 99),
    )
    def test_batches_end_as_single_packets_do(
        self, changes: list[Change], jitter_us: int, at_once: int, seed: int
    ) -> None:
        packets = call_of(changes, jitter_us)
        timeline, arrivals = Timeline(), arrivals_of(packets, seed)
        for start in range(0, len(packets), at_once):
            part = slice(start, start + at_once)
            timeline.push_all(packets[part], RATE, START_US, arrivals[part])
        self.assertEqual((timeline.take(), timeline), one_by_one(packets, seed))

    @settings(max_examples=100, deadline=None)
    @given(
        changes,
        st.sampled_from([0, 15_000, 40_000]),
        st.sets(st.integers(1, 2 * CALL_PACKETS), max_size=6),
        st.integers(0, 99),
    )
    def test_cuts_between_files_change_nothing(
        self, changes: list[Change], jitter_us: int, cuts: set[int], seed: int
    ) -> None:
        packets = call_of(changes, jitter_us)
        arrivals = arrivals_of(packets, seed)
        (whole, whole_timeline), timeline = one_by_one(packets, seed), Timeline()
        parts: list[Decided] = []
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(packets)], strict=True):
            timeline = reloaded(timeline)
            timeline.push_all(packets[start:end], RATE, START_US, arrivals[start:end])
            parts.append(timeline.take())
        for participant in ("p", "q"):
            self.assertEqual(audio_of(parts, participant), audio_of([whole], participant))
            self.assertEqual(gaps_of(parts, participant), gaps_of([whole], participant))
        self.assertEqual(timeline, whole_timeline)
        for count in ("duplicate", "late"):
            self.assertEqual(sum(getattr(taken, count) for taken in parts), getattr(whole, count))


def audio_of(parts: Sequence[Decided], participant: str) -> list[tuple[int, bytes]]:
    """Returns (first sample, PCM) of the track, contiguous runs joined."""
    glued: list[tuple[int, bytes]] = []
    for run in (
        run
        for taken in parts
        if participant in taken.tracks
        for run in taken.tracks[participant].runs
    ):
        pcm = b"".join(run.pieces)
        if glued and glued[-1][0] + len(glued[-1][1]) // 2 == run.start_sample:
            glued[-1] = (glued[-1][0], glued[-1][1] + pcm)
        else:
            glued.append((run.start_sample, pcm))
    return glued


def gaps_of(parts: Sequence[Decided], participant: str) -> list[Gap]:
    return [
        gap
        for taken in parts
        if participant in taken.tracks
        for gap in taken.tracks[participant].gaps
    ]


class Planning(TestCase):
    """Packets 200 to 299 on a track that received 200 and placed those before the last 2.5 s."""

    def setUp(self) -> None:
        self.spoken = speech(300)
        self.following = self.spoken[200:]
        self.track = self.received(self.spoken[:200])

    def received(self, packets: Sequence[Sent]) -> Track:
        timeline = Timeline()
        for packet in packets:
            timeline.push("p", packet.timestamp_us, packet.pcm, RATE, START_US)
        return timeline.tracks["p"]

    def plan(self, packets: Sequence[Sent]) -> Batch | None:
        stamps = [
            packet.spoken_us if packet.timestamp_us is None else packet.timestamp_us
            for packet in packets
        ]
        return fast_path.plan(self.track, Arrived(stamps, [packet.pcm for packet in packets]))

    def is_fast(self, packets: Sequence[Sent]) -> bool:
        return self.plan(packets) is not None

    def is_placed_at_once(self, packets: Sequence[Sent]) -> bool:
        """Whether these packets are placed at once, or not. Fails if they are not queued so."""
        batch = self.plan(packets)
        assert batch, "the fast path takes them"
        return batch.is_contiguous

    def moved(self, at: int, by_us: int) -> list[Sent]:
        """Returns the next packets, one of them with a shifted timestamp."""
        moved = replace(self.following[at], timestamp_us=self.following[at].spoken_us + by_us)
        return [*self.following[:at], moved, *self.following[at + 1 :]]

    def test_accepts_regular_speech(self) -> None:
        self.assertTrue(self.is_fast(self.following))

    def test_accepts_jitter(self) -> None:
        for seed in range(20):
            chance = random.Random(seed)
            jittered = [
                replace(sent, timestamp_us=sent.spoken_us + chance.randint(0, 30_000))
                for sent in self.following
            ]
            self.assertTrue(self.is_fast(jittered))

    def test_changes_nothing(self) -> None:
        for packets in (self.following, self.moved(0, -21_000), self.moved(50, -90_000)):
            self.is_fast(packets)
            self.assertEqual(self.track, self.received(self.spoken[:200]))

    def test_accepts_one_or_two_lost_packets(self) -> None:
        self.assertTrue(self.is_fast([*self.following[:20], *self.following[22:]]))

    def test_places_one_by_one_a_gap_once_it_is_due(self) -> None:
        self.track = self.received([*self.spoken[:100], *self.spoken[104:200]])
        self.assertFalse(self.is_placed_at_once(self.following))
        self.assertTrue(self.is_placed_at_once(self.following[:10]))

    def test_rejects_a_packet_more_than_60_ms_older_than_the_youngest(self) -> None:
        before_us = self.following[49].spoken_us - self.following[50].spoken_us
        self.assertTrue(self.is_fast(self.moved(50, before_us - 60_000)))
        self.assertFalse(self.is_fast(self.moved(50, before_us - 60_001)))

    def test_rejects_a_step_beyond_the_look_ahead(self) -> None:
        self.assertFalse(self.is_fast(self.moved(99, 2_500_001)))

    def test_rejects_repeated_packets(self) -> None:
        self.assertFalse(self.is_fast([*self.following, self.following[-1]]))
        self.assertFalse(self.is_fast([self.spoken[199], *self.following]))

    def test_accepts_late_packets_unless_a_streak_has_begun_before(self) -> None:
        first_late = self.moved(0, -21_000)
        self.assertTrue(self.is_fast(first_late))
        self.assertFalse(self.is_fast(first_late[:1]))
        self.track = self.received([*self.spoken[:198], self.spoken[199], self.spoken[198]])
        self.assertTrue(self.is_fast(self.following))
        self.assertFalse(self.is_fast(first_late))

    def test_rejects_everything_on_an_empty_track_or_with_strays(self) -> None:
        self.track = Track(RATE)
        self.assertFalse(self.is_fast(self.following))
        stray = replace(self.following[0], timestamp_us=START_US - 60_000_000)
        self.track = self.received([*self.spoken[:200], stray])
        self.assertFalse(self.is_fast(self.following))

    def test_places_one_by_one_the_first_packet_due(self) -> None:
        self.track = self.received(self.spoken[:50])
        self.assertTrue(self.is_placed_at_once(self.spoken[50:125]))
        self.assertFalse(self.is_placed_at_once(self.spoken[50:126]))

    def test_places_one_by_one_a_possible_duplicate_once_it_is_due(self) -> None:
        quiet = replace(self.spoken[199], number=SILENT)
        self.track = self.received([*self.spoken[:199], quiet, quiet])
        self.assertTrue(self.is_placed_at_once(self.following))
        self.assertFalse(self.is_placed_at_once(speech(400)[200:]))

    def test_places_one_by_one_more_than_the_queue_can_hold(self) -> None:
        stamps, tiny = (
            [self.following[0].spoken_us] * MAX_WAITING,
            [bytes([n % 256, n // 256]) for n in range(MAX_WAITING)],
        )
        long = bytes(2 * 38 * RATE)
        for pcms, is_short in (
            (tiny, False),
            (tiny[:1000], True),
            ([long], False),
            ([long[: len(long) // 2]], True),
        ):
            batch = fast_path.plan(self.track, Arrived(stamps[: len(pcms)], pcms))
            assert batch, "the fast path takes them"
            self.assertEqual(batch.is_contiguous, is_short)


class CountingTimeline(Timeline):
    """Counts packets that do not take the fast path."""

    pushed: int = 0

    def push(
        self,
        participant: str,
        timestamp_us: int | None,
        pcm: bytes,
        sample_rate: int,
        connected_us: int,
        arrived_us: int | None = None,
    ) -> None:
        self.pushed += 1
        super().push(participant, timestamp_us, pcm, sample_rate, connected_us, arrived_us)


class ManyVoices(TestCase):
    def test_the_first_packet_of_all_sets_the_pace_of_the_next_socket(self) -> None:
        names = "hgfedcba"
        spoken = [replace(one, participant=name) for one in speech(300) for name in names]
        packets: list[Packet] = [(one.participant, one.timestamp_us, one.pcm) for one in spoken]
        arrivals = [one.spoken_us + HOST_US for one in spoken]
        fast, slow = Timeline(), Timeline()
        for start in range(0, len(packets), 200):
            if start == 1600:
                fast.arrival.end_socket()
                slow.arrival.end_socket()
            part = slice(start, start + 200)
            fast.push_all(packets[part], RATE, START_US, arrivals[part])
            for packet, at_us in zip(packets[part], arrivals[part], strict=True):
                slow.push(*packet, RATE, START_US, at_us)
        self.assertEqual(fast.arrival, slow.arrival)


class AfterAPause(TestCase):
    """Packets after a pause that arrive too late for a network need `Timeline`."""

    def test_a_step_back_in_a_pause_is_found_in_batches_as_well(self) -> None:
        spoken = [one for one in speech(500) if not 20 <= one.number < 300]
        steps = [-3_500_000 * (one.number >= 300) for one in spoken]
        packets: list[Packet] = [
            (one.participant, one.spoken_us + step_us, one.pcm)
            for one, step_us in zip(spoken, steps, strict=True)
        ]
        arrivals = [one.spoken_us + HOST_US for one in spoken]
        slow = Timeline()
        for packet, at_us in zip(packets, arrivals, strict=True):
            slow.push(*packet, RATE, START_US, at_us)
        decided = slow.take()
        self.assertEqual(len(decided.jumps), 1)
        for at_once in (1, 4, 7, 200):
            fast = Timeline()
            for start in range(0, len(packets), at_once):
                part = slice(start, start + at_once)
                fast.push_all(packets[part], RATE, START_US, arrivals[part])
            with self.subTest(at_once=at_once):
                self.assertEqual((fast.take(), fast), (decided, slow))


class WholeCall(TestCase):
    def test_an_ordinary_call_leaves_the_fast_path_only_at_its_start(self) -> None:
        packets, timeline = call_of([], 15_000), CountingTimeline()
        for start in range(0, len(packets), 50):
            timeline.push_all(packets[start : start + 50], RATE, START_US)
        self.assertEqual((len(packets), timeline.pushed), (600, 50))

    def test_a_call_with_many_lost_packets_leaves_it_no_more_often(self) -> None:
        chance, timeline = random.Random(1), CountingTimeline()
        packets = [one for one in call_of([], 0) if chance.random() > 0.1]
        for start in range(0, len(packets), 50):
            timeline.push_all(packets[start : start + 50], RATE, START_US)
        self.assertEqual(timeline.pushed, 50)
        decided, slow = one_by_one(packets, 0)
        self.assertGreater(len(decided.tracks["p"].gaps), 2)
        self.assertEqual((timeline.take(), timeline.tracks), (decided, slow.tracks))
