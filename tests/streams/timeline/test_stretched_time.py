"""A sender whose timestamps run ahead of time makes no long call: arrival bounds it."""

from __future__ import annotations

from unittest import TestCase

from streams.timeline.timeline import Timeline
from streams.timeline.waiting import LOOK_AHEAD_US

PACKETS = 3_000
START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000


def length_seconds(
    step_us: int, *, ordinary: int = 0, arrival_us: int = 20_000, voices: int = 1
) -> float:
    """Returns the length of a call of 3,000 packets, one each `arrival_us`. Those after the first
    `ordinary` ones, each of the next voice, have timestamps `step_us` apart.
    """
    timeline, stamp_us, packets, arrivals = Timeline(), START_US, [], []
    for number in range(PACKETS):
        pcm = bytes([number % 251, number % 7]) * 320
        packets.append((f"voice {number % voices}", stamp_us, pcm))
        arrivals.append(START_US + number * arrival_us + 5_000)
        stamp_us += 20_000 if number < ordinary else step_us
    for begin in range(0, PACKETS, 50):
        part = slice(begin, begin + 50)
        timeline.push_all(packets[part], 16_000, START_US, arrivals[part])
    timeline.finish(next_gap="")
    runs = [run for track in timeline.take().tracks.values() for run in track.runs]
    end = max(run.start_sample + run.sample_count for run in runs)
    return (end - min(run.start_sample for run in runs)) / 16_000


class StretchedTime(TestCase):
    def test_steps_below_the_limit_of_a_jump_are_no_pauses(self) -> None:
        for step_us in (LOOK_AHEAD_US + 100_000, 59 * SECOND_US, 3_599 * SECOND_US):
            for ordinary in (0, 100):
                with self.subTest(step_us=step_us, ordinary=ordinary):
                    self.assertEqual(length_seconds(step_us, ordinary=ordinary), 60.0)

    def test_a_burst_has_pauses_of_an_hour_all_together(self) -> None:
        """3,000 packets, each nearly an hour after the one before it, were a call of 125 days."""
        for ordinary in (0, 100):
            with self.subTest(ordinary=ordinary):
                seconds = length_seconds(3_599 * SECOND_US, ordinary=ordinary, arrival_us=100)
                self.assertLess(seconds, 5 * 3_600)
                seconds = length_seconds(59 * SECOND_US, ordinary=ordinary, arrival_us=100)
                self.assertLess(seconds, 1.1 * 3_600)

    def test_voices_share_the_hour(self) -> None:
        """A packet of each of 500 voices made a call of 20 days."""
        for step_us in (59 * SECOND_US, 3_599 * SECOND_US):
            seconds = length_seconds(step_us, arrival_us=20_000, voices=500)
            self.assertLess(seconds, 2 * 3_600)

    def test_a_single_pause_in_a_burst_is_a_pause(self) -> None:
        for number in (100, 2_000):
            timeline = Timeline()
            for packet in range(PACKETS):
                stamp_us = START_US + packet * 20_000 + (packet >= number) * 3_500 * SECOND_US
                timeline.push("caller", stamp_us, bytes(640), 16_000, START_US, START_US)
            timeline.finish(next_gap="")
            [first, *_, last] = timeline.take().tracks["caller"].runs
            end = last.start_sample + last.sample_count
            self.assertEqual((end - first.start_sample) / 16_000, 3_560.0)

    def test_smaller_steps_stretch_a_call_that_was_on_time_by_less_than_a_second_each(self) -> None:
        self.assertLess(length_seconds(2_400_000, ordinary=100), 62.0)
        self.assertLess(length_seconds(1_000_000, ordinary=100), PACKETS * 1.0)

    def test_a_packet_adds_no_more_than_the_look_ahead(self) -> None:
        """Before arrival proves anything, such a call may be a replay at high speed."""
        self.assertLess(length_seconds(LOOK_AHEAD_US - 100_000), PACKETS * 2.5)
