"""Law 6 at the edges: steps into a pause, near the beginning, and between two sockets."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from streams.timeline.timeline import Timeline
from tests.streams.packets import (
    PACKET_US,
    arrived,
    audio_of,
    delayed,
    pcm_of,
    play,
    reloaded,
    speech,
)
from tests.streams.timeline.clocks import (
    HOUR,
    SECOND,
    WITHIN_MS,
    later,
    stamped,
    stepped,
    together,
    voices,
    worst_ms,
)


class Edges(TestCase):
    """Steps of which few packets, or only arrival times, tell."""

    def test_a_step_back_within_the_look_ahead_to_before_the_first_packet_is_found(self) -> None:
        spoken = [one for one in arrived(speech(330)) if not 80 <= one.number < 300]
        for step_us in (-SECOND, -2 * SECOND):
            wrong = stepped(spoken, step_us, 30)
            with self.subTest(step_us=step_us):
                self.assertLessEqual(worst_ms(play(wrong), spoken), WITHIN_MS)

    def test_few_late_packets_that_fill_holes_are_no_step(self) -> None:
        spoken = arrived(speech(100))
        late = [*spoken[10:13], *spoken[17:20]]
        kept = [one for one in spoken if one not in late]
        arrivals = [replace(one, arrived_us=(one.arrived_us or 0) + 1_800_000) for one in late]
        self.assertEqual(audio_of(play([*kept, *arrivals])), pcm_of(spoken))

    def test_a_clock_that_returns_in_a_pause_returns_for_all_voices(self) -> None:
        left, right = voices(400)
        left = [*left[105:115], *left[305:]]
        right = [*right[:20], *right[250:]]
        wrong = stamped(together(left, right), lambda one: SECOND * (one.number in range(105, 115)))
        self.assertLessEqual(worst_ms(play(wrong), left, right), WITHIN_MS)

    def test_a_step_back_between_two_sockets_never_goes_before_the_first_one(self) -> None:
        (before, after), timeline = voices(20), Timeline()
        play(before, timeline)
        after = later(after, 2 * SECOND)
        taken = play(stamped(after, lambda one: -10 * SECOND), reloaded(timeline))
        self.assertLessEqual(worst_ms(taken, after), WITHIN_MS)

    def test_six_packets_show_a_step_ahead(self) -> None:
        spoken = arrived(speech(30))
        wrong = stamped(spoken, lambda one: 2 * SECOND * (one.number >= 6))
        taken = play(wrong)
        self.assertEqual((taken.tracks["p"].gaps, len(taken.jumps)), ([], 1))

    def test_a_packet_without_timestamp_before_a_step_has_its_time(self) -> None:
        spoken = arrived(speech(200))
        wrong = stamped(spoken, lambda one: 10 * SECOND * (one.number >= 100))
        wrong[98:100] = [replace(one, timestamp_us=None) for one in wrong[98:100]]
        self.assertLessEqual(worst_ms(play(wrong), spoken), WITHIN_MS)

    def test_packets_that_are_stamped_late_before_a_step_leave_no_gap(self) -> None:
        spoken = speech(300)
        delays = [max(0, 104 - one.number) * PACKET_US * (one.number >= 97) for one in spoken]
        received = arrived(delayed(spoken, delays))
        received = [
            replace(one, arrived_us=(one.arrived_us or 0) + late_us)
            for one, late_us in zip(received, delays, strict=True)
        ]
        wrong = [
            replace(one, timestamp_us=(one.timestamp_us or 0) + HOUR * (one.number >= 100))
            for one in received
        ]
        taken = play(wrong)
        self.assertEqual((taken.tracks["p"].gaps, len(taken.jumps)), ([], 1))
        self.assertLessEqual(worst_ms(taken, spoken), WITHIN_MS)
