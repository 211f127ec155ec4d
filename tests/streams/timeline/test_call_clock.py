"""Law 6 where arrival times are known: pauses, and evidence that contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from streams.timeline.timeline import Timeline
from streams.timeline.track import Track
from streams.timeline.waiting import Timed
from tests.streams.packets import (
    RATE,
    START,
    START_US,
    arrived,
    audio_of,
    pcm_of,
    play,
    reloaded,
    speech,
)
from tests.streams.timeline.clocks import (
    HOUR,
    MINUTE,
    SECOND,
    later,
    stamped,
    together,
    voices,
    worst_ms,
)


class Pauses(TestCase):
    """A pause is a pause, however long, where arrival times agree with the timestamps."""

    def test_a_pause_of_hours_is_a_gap(self) -> None:
        for minutes in (50, 61, 70, 180, 600):
            with self.subTest(minutes=minutes):
                before = arrived(speech(250))
                after = later(before, minutes * MINUTE)
                taken = play(before + after)
                (gap,) = taken.tracks["p"].gaps
                self.assertEqual(gap.sample_count, (minutes * 60 - 5) * gap.sample_rate)
                self.assertEqual((worst_ms(taken, before + after), taken.jumps), (0, []))

    def test_a_newcomer_after_the_pause_lies_beside_the_others(self) -> None:
        before = arrived(speech(250, participant="a"))
        after, newcomer = (
            later([replace(one, participant=name) for one in before], 70 * MINUTE) for name in "ab"
        )
        for first, second in ((after, newcomer), (newcomer, after)):
            taken = play(
                [*before, *(one for pair in zip(first, second, strict=True) for one in pair)]
            )
            self.assertEqual(worst_ms(taken, before + after, newcomer), 0)

    def test_a_pause_between_two_sockets_is_a_gap(self) -> None:
        before, timeline = arrived(speech(250)), Timeline()
        play(before, timeline)
        timeline.finish("not_connected")
        after = later(before, 70 * MINUTE)
        taken = play(after, reloaded(timeline))
        (gap,) = taken.tracks["p"].gaps
        self.assertEqual((gap.reason, worst_ms(taken, after)), ("not_connected", 0))

    def test_a_pause_before_a_burst_on_the_next_socket_is_a_gap(self) -> None:
        for behind_us in (0, 10 * SECOND):  # the clock of the next host
            before, timeline = arrived(speech(250)), Timeline()
            play(before, timeline)
            after = later(before, 70 * MINUTE)
            burst_us = after[50].arrived_us or 0
            received = [
                replace(one, arrived_us=max(burst_us, one.arrived_us or 0) - behind_us)
                for one in after
            ]
            taken = play(received, timeline)
            with self.subTest(behind_us=behind_us):
                self.assertEqual((worst_ms(taken, after), taken.jumps), (0, []))

    def test_a_pause_that_the_host_slept_through_is_a_gap(self) -> None:
        before = arrived(speech(250))
        asleep = [
            replace(one, arrived_us=(one.arrived_us or 0) - 70 * MINUTE)
            for one in later(before, 70 * MINUTE)
        ]
        timeline = Timeline()
        for one in before:
            timeline.push("p", one.timestamp_us, one.pcm, one.rate, 0, one.arrived_us)
        timeline.arrival.host_step_us += 70 * MINUTE
        taken = play(asleep, timeline)
        self.assertEqual((worst_ms(taken, before + asleep), len(taken.tracks["p"].gaps)), (0, 1))

    def test_after_a_pause_that_arrival_contradicts_the_audio_continues(self) -> None:
        before = arrived(speech(250))
        jumped = stamped(arrived(speech(500))[250:], lambda one: 10 * MINUTE)
        taken = play(before + jumped)
        self.assertEqual((worst_ms(taken, before + jumped), taken.tracks["p"].gaps), (0, []))
        (jump,) = taken.jumps
        self.assertEqual(jump.timestamp_us - jump.expected_us, 10 * MINUTE)

    def test_a_slow_replay_of_a_call_decides_like_the_call(self) -> None:
        spoken = arrived(speech(250))
        spoken += later(spoken, 70 * MINUTE)
        taken = play([replace(one, arrived_us=3 * (one.arrived_us or 0)) for one in spoken])
        self.assertEqual((worst_ms(taken, spoken), taken.jumps), (0, []))


class Evidence(TestCase):
    """Cases in which timestamps, arrival times and known epochs contradict each other."""

    def test_a_pause_across_two_hosts_may_look_a_little_too_long(self) -> None:
        before, timeline = arrived(speech(250)), Timeline()
        play(before, timeline)
        after = later(before, 70 * MINUTE)
        behind = [replace(one, arrived_us=(one.arrived_us or 0) - 10 * SECOND) for one in after]
        taken = play(behind, timeline)
        self.assertEqual((worst_ms(taken, after), taken.jumps), (0, []))

    def test_a_pause_after_a_step_is_a_pause(self) -> None:
        spoken = [one for one in arrived(speech(900)) if not 500 <= one.number < 560]
        taken = play(stamped(spoken, lambda one: -10 * SECOND * (one.number >= 300)))
        self.assertEqual((worst_ms(taken, spoken), len(taken.jumps)), (0, 1))

    def test_missing_audio_as_long_as_an_earlier_step_is_missing(self) -> None:
        spoken = [one for one in arrived(speech(900)) if not 500 <= one.number < 550]
        taken = play(stamped(spoken, lambda one: -SECOND * (one.number >= 300)))
        self.assertEqual((worst_ms(taken, spoken), len(taken.jumps)), (0, 1))
        self.assertEqual([gap.sample_count for gap in taken.tracks["p"].gaps], [16_000])

    def test_a_new_track_with_a_clock_of_its_own_lies_where_it_arrives(self) -> None:
        for has_arrivals in (True, False):
            left, right = voices(400)
            right = right[200:]
            wrong = stamped(right, lambda one: -3 * HOUR)
            packets = together(left, wrong)
            if not has_arrivals:
                packets = [replace(one, arrived_us=None) for one in packets]
            with self.subTest(has_arrivals=has_arrivals):
                self.assertLessEqual(worst_ms(play(packets), left, right), 100)

    def test_a_track_that_resumes_after_a_jump_continues_at_the_latest_place(self) -> None:
        left, right = voices(800)
        right = [one for one in right if one.number < 1100 or one.number >= 1600]
        wrong = stamped(right, lambda one: -3 * HOUR * (one.number >= 1600))
        packets = [replace(one, arrived_us=None) for one in together(left, wrong)]
        self.assertLessEqual(worst_ms(play(packets), left, right), 100)

    def test_a_pause_during_which_the_clock_steps_keeps_its_length(self) -> None:
        spoken = [one for one in arrived(speech(900)) if not 300 <= one.number < 500]
        taken = play(stamped(spoken, lambda one: -HOUR * (one.number >= 500)))
        self.assertLessEqual(worst_ms(taken, spoken), 5)

    def test_a_small_step_that_returns_leaves_no_gap(self) -> None:
        left, right = voices(600)
        packets = stamped(
            together(left, right), lambda one: -SECOND * (200 <= one.number % 1000 < 300)
        )
        for received in (packets, [replace(one, arrived_us=None) for one in packets]):
            taken = play(received)
            self.assertEqual(worst_ms(taken, left, right), 0)
            self.assertEqual([track.gaps for track in taken.tracks.values()], [[], []])

    def test_a_voice_that_resumes_just_before_a_step_shows_follows_it(self) -> None:
        left, right = voices(600)
        right = [one for one in right if not 1050 <= one.number < 1300]
        packets = stamped(together(left, right), lambda one: -SECOND * (one.number % 1000 >= 300))
        packets.sort(key=lambda one: (one.spoken_us, -one.number))
        taken = play(packets)
        self.assertLessEqual(worst_ms(taken, left, right), 60)
        self.assertEqual({jump.participant for jump in taken.jumps}, {"a", "b"})

    def test_a_jump_on_the_next_socket_continues_the_audio(self) -> None:
        spoken, timeline = speech(400), Timeline()
        play(spoken[:200], timeline)
        taken = play(stamped(spoken[200:], lambda one: -3 * HOUR), timeline)
        self.assertEqual((worst_ms(taken, spoken[200:]), len(taken.jumps)), (0, 1))

    def test_a_jump_after_an_axis_from_the_database_continues_its_audio(self) -> None:
        spoken = speech(200)
        track = Track(RATE, end=START)
        timeline = Timeline(tracks={"p": track}, latest_us=START_US)
        taken = play(stamped(spoken, lambda one: -3 * HOUR), timeline)
        self.assertEqual((worst_ms(taken, spoken), len(taken.jumps)), (0, 1))

    def test_a_first_packet_of_a_track_may_be_wrong_after_a_jump_too(self) -> None:
        left, right = voices(600)
        packets = stamped(
            together(left, right[400:]),
            lambda one: -HOUR * (one.number % 1000 >= 200) + 2 * HOUR * (one.number == 1400),
        )
        self.assertLessEqual(worst_ms(play(packets), left, right[400:]), 20)

    def test_a_known_epoch_that_explains_a_jump_is_entered_again(self) -> None:
        spoken, timeline = speech(205), Timeline()
        for one in spoken[:200]:
            timeline.push("p", one.timestamp_us, one.pcm, one.rate, 0)
        timeline.epochs = [3 * HOUR, 5 * SECOND, 0]
        back = [Timed(one.spoken_us - 3 * HOUR + 30_000, one.pcm) for one in spoken[200:]]
        self.assertEqual(timeline.epoch_after_jump(timeline.tracks["p"], back), 3 * HOUR)

    def test_a_track_without_waiting_packets_is_not_moved(self) -> None:
        self.assertFalse(Track(RATE).move_since(0, SECOND))

    def test_a_track_of_one_packet_with_a_wrong_timestamp_is_kept_at_the_end(self) -> None:
        left, right = voices(200)
        wrong = stamped(right[-1:], lambda one: 30 * MINUTE)
        taken = play([*left, *wrong])
        self.assertLessEqual(worst_ms(taken, left, right[-1:]), 20)
        self.assertEqual(taken.late, 1)

    def test_a_step_of_the_host_ends_the_fast_path_until_the_next_packet(self) -> None:
        timeline, spoken = Timeline(), arrived(speech(300))
        for start in range(0, 300, 50):
            timeline.arrival.host_step_us = HOUR
            part = spoken[start : start + 50]
            timeline.push_all(
                [(one.participant, one.timestamp_us, one.pcm) for one in part],
                RATE,
                START_US,
                [one.arrived_us for one in part],
            )
            self.assertEqual(timeline.arrival.host_step_us, 0)
        timeline.finish()
        self.assertEqual(audio_of(timeline.take()), pcm_of(spoken))

    def test_a_delayed_packet_before_a_step_does_not_part_the_tracks(self) -> None:
        left, right = voices(600)
        packets = stamped(
            together(left, right),
            lambda one: -SECOND * (one.number % 1000 >= 300) + 100_000 * (one.number == 1299),
        )
        self.assertLessEqual(worst_ms(play(packets), left, right), 100)

    def test_a_state_without_arrivals_of_its_strays_is_read(self) -> None:
        left, right = voices(400)
        timeline, strays = Timeline(), (100, 101, 102)
        for one in together(left, right):
            by_us = 10 * MINUTE * (one.number in strays)
            timeline.push(
                one.participant, one.spoken_us + by_us, one.pcm, one.rate, 0, one.arrived_us
            )
            timeline.tracks[one.participant].stray_arrivals = []
        timeline.finish()
        self.assertLessEqual(worst_ms(timeline.take(), left, right), 0)
