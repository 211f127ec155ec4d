"""Law 5 and 6: a step back of the clock that is smaller than the delays of the network, beside
stamps that come late, in a pause, or in a burst; and networks that look like it.
"""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from streams.timeline.late_packets import lag_us
from streams.timeline.timeline import Timeline
from streams.timeline.track import Track
from streams.timeline.waiting import Lag
from tests.streams.packets import (
    HOST_US,
    PACKET_US,
    RATE,
    START_US,
    Sent,
    arrived,
    audio_of,
    delayed,
    errors_ms,
    pcm_of,
    places_of,
    play,
    reloaded,
    speech,
)
from tests.streams.timeline.clocks import WITHIN_MS, later, stamped, together, voices, worst_ms


def received(packets: list[Sent]) -> list[Sent]:
    """Lets each packet arrive a moment after it was stamped."""
    return [replace(one, arrived_us=(one.timestamp_us or 0) + 30_000 + HOST_US) for one in packets]


def held_up(packets: list[Sent], *parts: range) -> list[Sent]:
    """Returns the packets of which some are stamped late: each part when the next one is spoken."""
    delays = [0] * len(packets)
    for part in parts:
        for number in part:
            delays[number] = (part.stop - number) * PACKET_US
    return received(delayed(packets, delays))


class SmallSteps(TestCase):
    def test_a_step_back_among_late_stamps_is_found(self) -> None:
        """Then the packets after it look out of order, and those before it leave room for them."""
        for first, untimed in ((200, 0), (200, 213), (200, 240), (40, 0)):
            step, end = first + 10, first + 15
            left = held_up(speech(400, participant="a"), range(first, end), range(end, end + 15))
            wrong = [
                replace(one, timestamp_us=(one.timestamp_us or 0) - 270_000 * (number >= step))
                for number, one in enumerate(left)
            ]
            if untimed:
                wrong[untimed] = replace(wrong[untimed], timestamp_us=None)
            right = later(arrived(speech(50, participant="b")), 330 * PACKET_US)
            resumed = stamped(right, lambda one: -270_000)
            taken = play(sorted([*wrong, *resumed], key=lambda one: one.arrived_us or 0))
            with self.subTest(first=first, untimed=untimed):
                self.assertEqual(audio_of(taken, "a"), pcm_of(left))
                self.assertLessEqual(worst_ms(taken, left, right), WITHIN_MS)
                self.assertEqual([one.participant for one in taken.jumps], ["a"])

    def test_a_step_ahead_that_looks_like_lost_audio_and_returns_in_a_burst(self) -> None:
        spoken = arrived(speech(400))
        wrong = stamped(spoken, lambda one: 300_000 * (150 <= one.number < 160))
        burst_us = spoken[180].arrived_us
        wrong = [
            replace(one, arrived_us=burst_us) if 158 <= one.number < 180 else one for one in wrong
        ]
        taken = play(wrong)
        self.assertEqual(audio_of(taken), pcm_of(spoken))
        self.assertEqual({round(one, -1) for one in errors_ms(taken, spoken)}, {0, 300})

    def test_a_voice_that_resumes_after_a_step_back_as_long_as_its_pause_follows_it(self) -> None:
        for packets in (15, 19):
            left, right = voices(300)
            right = [one for one in right if not 1040 <= one.number < 1040 + packets]
            wrong = stamped(together(left, right), lambda one: -300_000 * (one.number % 1000 >= 53))
            with self.subTest(packets=packets):
                self.assertLessEqual(worst_ms(play(wrong), left, right), WITHIN_MS)

    def test_batches_find_it_like_single_packets_and_across_files(self) -> None:
        left = held_up(speech(300), range(200, 215), range(215, 230))
        wrong = [
            replace(one, timestamp_us=(one.timestamp_us or 0) - 270_000 * (number >= 210))
            for number, one in enumerate(left)
        ]
        expected = play(wrong)
        for at_once in (1, 7, 50, 200):
            timeline, taken = Timeline(), list[tuple[int, bytes]]()
            for start in range(0, len(wrong), at_once):
                part = wrong[start : start + at_once]
                packets = [(one.participant, one.timestamp_us, one.pcm) for one in part]
                timeline.push_all(packets, RATE, START_US, [one.arrived_us for one in part])
                decided = timeline.take()
                taken += places_of(decided) if decided.tracks else []
                timeline = reloaded(timeline)
            timeline.finish()
            with self.subTest(at_once=at_once):
                self.assertEqual([*taken, *places_of(timeline.take())], places_of(expected))


class Networks(TestCase):
    """Delays that are no step."""

    def test_a_packet_out_of_order_before_a_delay_of_all_others(self) -> None:
        for count in (1, 3):
            spoken = arrived(speech(400))
            late = [
                replace(one, arrived_us=(one.arrived_us or 0) + 300_000) for one in spoken[150:]
            ]
            wandering = [
                replace(one, arrived_us=late[0].arrived_us) for one in spoken[130:][:count]
            ]
            taken = play([*spoken[:130], *spoken[130 + count : 150], *wandering, *late])
            with self.subTest(count=count):
                self.assertEqual((audio_of(taken), taken.jumps), (pcm_of(spoken), []))

    def test_a_delay_that_ends(self) -> None:
        spoken = arrived(speech(400))
        late = [
            replace(one, arrived_us=(one.arrived_us or 0) + 300_000) if one.number < 158 else one
            for one in spoken[150:]
        ]
        wandering = replace(spoken[140], arrived_us=late[0].arrived_us)
        taken = play([*spoken[:140], *spoken[141:150], wandering, *late])
        self.assertEqual((audio_of(taken), taken.jumps), (pcm_of(spoken), []))

    def test_packets_show_no_step_while_they_are_older_than_the_audio_before_them(self) -> None:
        self.assertEqual(lag_us(self.lagging(20, late_us=600_000), 0), 0)
        self.assertEqual(lag_us(self.lagging(40, late_us=600_000), 0), 600_000)

    def test_a_few_packets_in_a_queue_show_no_step_alone(self) -> None:
        track = self.lagging(5, late_us=60_000)
        self.assertEqual(lag_us(track, 0), 0)
        self.assertEqual(lag_us(track, 60_000), 60_000)

    def test_packets_that_are_placed_already_are_forgotten(self) -> None:
        track = self.lagging(40, late_us=600_000)
        track.place_all()
        self.assertEqual((lag_us(track, 0), track.lag), (0, Lag()))

    def lagging(self, count: int, *, late_us: int) -> Track:
        """Returns a track after a step back, of which so many packets lag."""
        track, spoken = Track(RATE), speech(50 + count)
        for one in spoken[:50]:
            track.insert(one.spoken_us, one.pcm)
        for one in spoken[50:]:
            track.insert(one.spoken_us - late_us, one.pcm)
        track.lag = Lag(51, [0] * count, [late_us] * count)
        return track
