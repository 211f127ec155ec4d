"""The way of ordinary packets: it ends where the long way ends, and ordinary calls do take it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.timeline import fast_path
from streams.timeline.fast_path import Arrived
from streams.timeline.timeline import Decided, Packet, Timeline
from streams.timeline.track import MAX_WAITING, Gap, Track
from tests.streams.packets import RATE, SILENT, START_US, Sent, reloaded, speech

CALL_PACKETS = 300
"""Of each voice: six seconds, so that most are placed before the end."""

Change = tuple[str, int, int]
"""What happens, to which packet, how much of it."""


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


def standing(packets: list[Sent], at: int, amount: int) -> None:
    packets[at : at + amount] = [
        replace(packet, timestamp_us=packets[at].spoken_us) for packet in packets[at : at + amount]
    ]


CHANGES: dict[str, Callable[[list[Sent], int, int], None]] = {
    change.__name__: change
    for change in (late, early, lost, again, untimed, silent, stalled, stepped, swapped, standing)
}
changes = st.lists(
    st.tuples(
        st.sampled_from(sorted(CHANGES)), st.integers(0, 2 * CALL_PACKETS), st.integers(0, 150)
    ),
    max_size=5,
)


def call_of(changes: Sequence[Change], jitter_us: int) -> list[Packet]:
    """Two voices in turn, every timestamp off by at most `jitter_us`, and what happens to them."""
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


def one_by_one(packets: Sequence[Packet]) -> tuple[Decided, Timeline]:
    timeline = Timeline()
    for participant, timestamp_us, pcm in packets:
        timeline.push(participant, timestamp_us, pcm, RATE, START_US)
    return timeline.take(), timeline


class TheSameEnd(TestCase):
    """Whatever comes, both ways give the same runs, gaps, counts and state."""

    @settings(max_examples=150, deadline=None)
    @given(changes, st.sampled_from([0, 0, 15_000, 40_000, 100_000]), st.integers(1, 300))
    def test_many_at_once_end_where_one_by_one_ends(
        self, changes: list[Change], jitter_us: int, at_once: int
    ) -> None:
        packets = call_of(changes, jitter_us)
        timeline = Timeline()
        for start in range(0, len(packets), at_once):
            timeline.push_all(packets[start : start + at_once], RATE, START_US)
        self.assertEqual((timeline.take(), timeline), one_by_one(packets))

    @settings(max_examples=100, deadline=None)
    @given(
        changes,
        st.sampled_from([0, 15_000, 40_000]),
        st.sets(st.integers(1, 2 * CALL_PACKETS), max_size=6),
    )
    def test_cut_into_files_anywhere_the_result_is_the_same(
        self, changes: list[Change], jitter_us: int, cuts: set[int]
    ) -> None:
        packets = call_of(changes, jitter_us)
        (whole, whole_timeline), timeline = one_by_one(packets), Timeline()
        pieces: list[Decided] = []
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(packets)], strict=True):
            timeline = reloaded(timeline)
            timeline.push_all(packets[start:end], RATE, START_US)
            pieces.append(timeline.take())
        for participant in ("p", "q"):
            self.assertEqual(audio_of(pieces, participant), audio_of([whole], participant))
            self.assertEqual(gaps_of(pieces, participant), gaps_of([whole], participant))
        self.assertEqual(timeline, whole_timeline)
        for count in ("duplicate", "late"):
            self.assertEqual(sum(getattr(taken, count) for taken in pieces), getattr(whole, count))


def audio_of(pieces: Sequence[Decided], participant: str) -> list[tuple[int, bytes]]:
    """(first sample, PCM) of the track, contiguous runs glued together."""
    glued: list[tuple[int, bytes]] = []
    for run in (
        run
        for taken in pieces
        if participant in taken.tracks
        for run in taken.tracks[participant].runs
    ):
        pcm = b"".join(run.pieces)
        if glued and glued[-1][0] + len(glued[-1][1]) // 2 == run.start_sample:
            glued[-1] = (glued[-1][0], glued[-1][1] + pcm)
        else:
            glued.append((run.start_sample, pcm))
    return glued


def gaps_of(pieces: Sequence[Decided], participant: str) -> list[Gap]:
    return [
        gap
        for taken in pieces
        if participant in taken.tracks
        for gap in taken.tracks[participant].gaps
    ]


class WhatIsOrdinary(TestCase):
    """Packets 200 to 299 on a track that has heard 200 and placed those before the last 2.5 s."""

    def setUp(self) -> None:
        self.spoken = speech(300)
        self.coming = self.spoken[200:]
        self.track = self.heard(self.spoken[:200])

    def heard(self, packets: Sequence[Sent]) -> Track:
        timeline = Timeline()
        for packet in packets:
            timeline.push("p", packet.timestamp_us, packet.pcm, RATE, START_US)
        return timeline.tracks["p"]

    def is_ordinary(self, packets: Sequence[Sent]) -> bool:
        stamps = [
            packet.spoken_us if packet.timestamp_us is None else packet.timestamp_us
            for packet in packets
        ]
        return (
            fast_path.plan(self.track, Arrived(stamps, [packet.pcm for packet in packets]))
            is not None
        )

    def moved(self, at: int, by_us: int) -> list[Sent]:
        """The coming packets, one of them with a timestamp that is off."""
        moved = replace(self.coming[at], timestamp_us=self.coming[at].spoken_us + by_us)
        return [*self.coming[:at], moved, *self.coming[at + 1 :]]

    def test_speech_in_even_steps_is(self) -> None:
        self.assertTrue(self.is_ordinary(self.coming))

    def test_speech_with_jitter_is(self) -> None:
        for seed in range(20):
            chance = random.Random(seed)
            jittered = [
                replace(sent, timestamp_us=sent.spoken_us + chance.randint(0, 30_000))
                for sent in self.coming
            ]
            self.assertTrue(self.is_ordinary(jittered))

    def test_looking_changes_nothing(self) -> None:
        for packets in (self.coming, self.moved(0, -21_000), self.moved(50, -90_000)):
            self.is_ordinary(packets)
            self.assertEqual(self.track, self.heard(self.spoken[:200]))

    def test_a_lost_packet_or_two_are(self) -> None:
        self.assertTrue(self.is_ordinary([*self.coming[:20], *self.coming[22:]]))

    def test_a_gap_is_not_once_it_is_to_be_placed(self) -> None:
        self.track = self.heard([*self.spoken[:100], *self.spoken[104:200]])
        self.assertFalse(self.is_ordinary(self.coming))
        self.assertTrue(self.is_ordinary(self.coming[:10]))

    def test_a_packet_more_than_60_ms_older_than_the_youngest_is_not(self) -> None:
        before_us = self.coming[49].spoken_us - self.coming[50].spoken_us
        self.assertTrue(self.is_ordinary(self.moved(50, before_us - 60_000)))
        self.assertFalse(self.is_ordinary(self.moved(50, before_us - 60_001)))

    def test_a_step_of_more_than_the_look_ahead_is_not(self) -> None:
        self.assertFalse(self.is_ordinary(self.moved(99, 2_500_001)))

    def test_what_has_come_before_is_not(self) -> None:
        self.assertFalse(self.is_ordinary([*self.coming, self.coming[-1]]))
        self.assertFalse(self.is_ordinary([self.spoken[199], *self.coming]))

    def test_late_packets_are_where_no_streak_began_before(self) -> None:
        first_late = self.moved(0, -21_000)
        self.assertTrue(self.is_ordinary(first_late))
        self.assertFalse(self.is_ordinary(first_late[:1]))
        self.track = self.heard([*self.spoken[:198], self.spoken[199], self.spoken[198]])
        self.assertTrue(self.is_ordinary(self.coming))
        self.assertFalse(self.is_ordinary(first_late))

    def test_nothing_is_before_the_track_has_begun_or_while_its_clock_is_in_doubt(self) -> None:
        self.track = Track(RATE)
        self.assertFalse(self.is_ordinary(self.coming))
        stray = replace(self.coming[0], timestamp_us=START_US - 60_000_000)
        self.track = self.heard([*self.spoken[:200], stray])
        self.assertFalse(self.is_ordinary(self.coming))

    def test_the_first_that_is_placed_is_not(self) -> None:
        self.track = self.heard(self.spoken[:50])
        self.assertTrue(self.is_ordinary(self.spoken[50:125]))
        self.assertFalse(self.is_ordinary(self.spoken[50:126]))

    def test_what_may_be_a_duplicate_is_not_once_it_is_to_be_placed(self) -> None:
        quiet = replace(self.spoken[199], number=SILENT)
        self.track = self.heard([*self.spoken[:199], quiet, quiet])
        self.assertTrue(self.is_ordinary(self.coming))
        self.assertFalse(self.is_ordinary(speech(400)[200:]))

    def test_more_than_the_queue_takes_is_not(self) -> None:
        stamps, tiny = (
            [self.coming[0].spoken_us] * MAX_WAITING,
            [bytes([n % 256, n // 256]) for n in range(MAX_WAITING)],
        )
        self.assertIsNone(fast_path.plan(self.track, Arrived(stamps, tiny)))
        self.assertIsNotNone(fast_path.plan(self.track, Arrived(stamps[:1000], tiny[:1000])))
        long = bytes(2 * 38 * RATE)
        self.assertIsNone(fast_path.plan(self.track, Arrived(stamps[:1], [long])))
        self.assertIsNotNone(
            fast_path.plan(self.track, Arrived(stamps[:1], [long[: len(long) // 2]]))
        )


class CountingTimeline(Timeline):
    """Counts what goes the long way."""

    pushed: int = 0

    def push(
        self,
        participant: str,
        timestamp_us: int | None,
        pcm: bytes,
        sample_rate: int,
        connected_us: int,
    ) -> None:
        self.pushed += 1
        super().push(participant, timestamp_us, pcm, sample_rate, connected_us)


class TheWholeCall(TestCase):
    def test_an_ordinary_call_goes_one_by_one_only_where_it_begins_and_where_it_is_first_placed(
        self,
    ) -> None:
        packets, timeline = call_of([], 15_000), CountingTimeline()
        for start in range(0, len(packets), 50):
            timeline.push_all(packets[start : start + 50], RATE, START_US)
        self.assertEqual((len(packets), timeline.pushed), (600, 100))
