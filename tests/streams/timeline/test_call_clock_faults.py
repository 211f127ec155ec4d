"""Steps of the sender's clock beside other faults: jitter, bursts, reconnects, wrong timestamps."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from streams.timeline.timeline import Timeline
from tests.streams.packets import (
    HOST_US,
    PACKET_US,
    START_US,
    arrived,
    audio_of,
    errors_ms,
    pcm_of,
    places_of,
    play,
    reloaded,
    speech,
    stalled,
)
from tests.streams.timeline.clocks import (
    HOUR,
    MINUTE,
    SECOND,
    WITHIN_MS,
    later,
    stamped,
    stepped,
    together,
    voices,
    worst_ms,
)


class BesideOtherFaults(TestCase):
    """A clock that steps while something else is wrong, too."""

    def test_a_step_in_the_burst_after_a_stall_of_the_network(self) -> None:
        spoken = arrived(speech(200))
        burst_us = spoken[140].arrived_us or 0
        received = [
            replace(one, arrived_us=burst_us) if 45 <= one.number < 140 else one for one in spoken
        ]
        wrong = stamped(received, lambda one: 20 * HOUR * (one.number >= 85))
        self.assertLessEqual(worst_ms(play(wrong), spoken), WITHIN_MS)

    def test_a_step_back_just_after_the_burst_of_a_stall(self) -> None:
        spoken = stalled(speech(400), 100, 1)
        wrong = [
            replace(
                one,
                timestamp_us=(one.timestamp_us or 0) - 300_000 * (one.number >= 180),
                arrived_us=(one.timestamp_us or 0) + HOST_US,
            )
            for one in spoken
        ]
        self.assertLessEqual(worst_ms(play(wrong), spoken), WITHIN_MS)

    def test_a_step_after_lost_packets_does_not_part_the_tracks(self) -> None:
        left, right = voices(600)
        moved = [  # 54 ms are missing after the first packet: too little for a gap
            replace(one, spoken_us=one.spoken_us + 34_000 * (one.number > 1246))
            for one in right
            if one.number != 1246
        ]
        wrong = stamped(
            together(left, moved),
            lambda one: 300 * SECOND * (one.spoken_us > START_US + 252 * PACKET_US + 10_000),
        )
        taken = play(wrong)
        self.assertLessEqual(worst_ms(taken, left, moved), WITHIN_MS)
        self.assertEqual(audio_of(taken, "a"), pcm_of(left))

    def test_a_duplicate_of_a_packet_from_before_a_step_is_dropped(self) -> None:
        for step_us in (MINUTE, HOUR, -HOUR):
            spoken = arrived(speech(400))
            wrong = stepped(spoken, step_us, 20)
            taken = play([*wrong[:150], wrong[10], *wrong[150:]])
            with self.subTest(step_us=step_us):
                self.assertEqual((audio_of(taken), taken.duplicate), (pcm_of(spoken), 1))

    def test_a_duplicate_with_the_timestamp_of_audio_before_a_step_back_is_dropped(self) -> None:
        for step_us in (2 * SECOND, 5 * SECOND):
            spoken = arrived(speech(500))
            spoken = spoken[:100] + spoken[102:]  # 40 ms are missing: too little for a gap
            wrong = stepped(spoken, -step_us, 300)
            taken = play([*wrong[:380], replace(wrong[320]), *wrong[380:]])
            with self.subTest(step_us=step_us):
                self.assertEqual((audio_of(taken), taken.duplicate), (pcm_of(spoken), 1))

    def test_a_packet_out_of_order_does_not_take_part_in_a_step_back(self) -> None:
        for has_arrivals in (True, False):
            spoken = arrived(speech(300)) if has_arrivals else speech(300)
            wrong = stamped(spoken, lambda one: -HOUR * (one.number >= 100))
            late = replace(wrong[20], arrived_us=wrong[99].arrived_us)
            taken = play([*wrong[:20], *wrong[21:100], late, *wrong[100:]])
            with self.subTest(has_arrivals=has_arrivals):
                self.assertLessEqual(worst_ms(taken, spoken), WITHIN_MS)

    def test_packets_out_of_order_from_before_a_step_go_to_their_places(self) -> None:
        for first_us, second_us in ((10 * SECOND, -10 * SECOND), (0, HOUR), (0, -HOUR)):
            spoken = arrived(speech(300))
            wrong = [
                replace(
                    one,
                    timestamp_us=one.spoken_us
                    + first_us * (one.number >= 100)
                    + second_us * (one.number >= 200),
                )
                for one in spoken
            ]
            late = [replace(one, arrived_us=wrong[204].arrived_us) for one in wrong[150:152]]
            taken = play([*wrong[:150], *wrong[152:205], *late, *wrong[205:]])
            with self.subTest(first_us=first_us, second_us=second_us):
                self.assertEqual(audio_of(taken), pcm_of(spoken))

    def test_a_voice_that_resumed_before_a_step_in_the_same_burst_stays(self) -> None:
        for step_us in (3 * SECOND, 10 * SECOND):
            left, right = voices(400)
            right = right[150:155]  # resumed just before the step
            burst_us = left[300].arrived_us
            wrong = [
                replace(one, arrived_us=burst_us) if 100 <= one.number % 1000 < 300 else one
                for one in together(stepped(left, -step_us, 155), right)
            ]
            taken = play(wrong)
            with self.subTest(step_us=step_us):
                self.assertLessEqual(worst_ms(taken, left, right), WITHIN_MS)

    def test_a_step_that_returns_before_it_is_noticed_keeps_the_order(self) -> None:
        spoken = arrived(speech(250))
        wrong = stamped(spoken, lambda one: 300_000 * (200 <= one.number < 210))
        taken = play(wrong)
        self.assertEqual((audio_of(taken), len(taken.jumps)), (pcm_of(spoken), 1))

    def test_audio_after_a_step_never_goes_before_the_packet_before_it(self) -> None:
        spoken = [one for one in arrived(speech(300)) if one.number not in {90, 91}]
        wrong = stamped(spoken, lambda one: 10 * SECOND * (one.number >= 100))
        self.assertEqual(audio_of(play(wrong)), pcm_of(spoken))

    def test_a_clock_of_whole_seconds_may_tick_half_a_second_after_arrival(self) -> None:
        spoken = arrived(speech(8, start_us=START_US + 612_000))
        spoken += later(arrived(speech(27, start_us=START_US + 765_000)), 72 * MINUTE)
        wrong = [replace(one, timestamp_us=one.spoken_us // SECOND * SECOND) for one in spoken]
        taken = play(wrong)
        self.assertEqual(taken.jumps, [])
        self.assertLessEqual(worst_ms(taken, spoken), 1000 + WITHIN_MS)

    def test_two_voices_that_both_begin_with_a_wrong_timestamp(self) -> None:
        left, right = voices(6)
        wrong = together(
            stamped(left[:1], lambda one: 30 * SECOND),
            stamped(right, lambda one: -30 * SECOND * (one.number == 1000)),
        )
        self.assertLessEqual(worst_ms(play(wrong), left[:1], right), WITHIN_MS)

    def test_a_step_to_just_before_a_whole_second_is_found(self) -> None:
        spoken = arrived(speech(100, start_us=START_US + 60_000))
        taken = play(stepped(spoken, SECOND, 46))  # packet 47 then has a timestamp in whole seconds
        self.assertEqual((taken.tracks["p"].gaps, len(taken.jumps)), ([], 1))

    def test_a_step_while_five_packets_have_one_whole_second(self) -> None:
        spoken = arrived(speech(100, start_us=START_US + 6_000))
        coarse = [replace(one, timestamp_us=one.spoken_us // 100_000 * 100_000) for one in spoken]
        wrong = [
            replace(one, timestamp_us=(one.timestamp_us or 0) + SECOND * (one.number >= 50))
            for one in coarse
        ]
        taken = play(wrong)
        self.assertEqual((taken.tracks["p"].gaps, len(taken.jumps)), ([], 1))

    def test_a_step_in_an_hour_between_two_sockets_is_as_long_as_arrival_shows(self) -> None:
        spoken, timeline = arrived(speech(20)), Timeline()
        play(spoken, timeline)
        after = later(arrived(speech(30)), HOUR)
        taken = play(stamped(after, lambda one: 5 * MINUTE), reloaded(timeline))
        self.assertLessEqual(worst_ms(taken, after), WITHIN_MS)

    def test_one_packet_far_too_late_for_disorder_stays_beside_the_next_one(self) -> None:
        first, *rest = arrived(speech(440))
        wrong, *rest = rest[434:]
        late = replace(wrong, timestamp_us=START_US - 234_000)
        taken = play([first, late, *rest])
        self.assertLessEqual(worst_ms(taken, [first, wrong, *rest]), WITHIN_MS)

    def test_a_step_that_two_packets_show_goes_on_with_the_next_socket(self) -> None:
        for step_us in (5 * SECOND, -HOUR):
            for shown in (2, 4):
                spoken, timeline = arrived(speech(200)), Timeline()
                wrong = stepped(spoken, step_us, 50 - shown)
                before = play(wrong[:50], timeline)
                after = play(wrong[50:], reloaded(timeline))
                with self.subTest(step_us=step_us, shown=shown):
                    self.assertLessEqual(worst_ms(before, spoken), WITHIN_MS)
                    self.assertLessEqual(worst_ms(after, spoken), WITHIN_MS)
                    self.assertEqual(after.tracks["p"].gaps, [])

    def test_one_packet_after_a_step_back_that_another_voice_shows_later(self) -> None:
        left, right = voices(30)
        right = right[21:22]
        for until in (30, 27):  # the clock may have returned when the voice speaks again
            resumed = right + (later(right, 400_000) if until < 30 else [])
            stepped_us = range(START_US + 20 * PACKET_US, START_US + until * PACKET_US)
            wrong = [
                replace(one, timestamp_us=one.spoken_us - 24 * HOUR * (one.spoken_us in stepped_us))
                for one in together(left, resumed)
            ]
            with self.subTest(until=until):
                self.assertLessEqual(worst_ms(play(wrong), left, resumed), WITHIN_MS)

    def test_one_stray_before_the_end_of_a_socket_shows_no_epoch(self) -> None:
        spoken = arrived(speech(200))
        for wrong_us in ((0, HOUR), (2 * HOUR, HOUR)):
            timeline = Timeline()
            wrong = dict(enumerate(wrong_us, 48))
            play(
                [
                    replace(one, timestamp_us=one.spoken_us + wrong.get(one.number, 0))
                    for one in spoken[:50]
                ],
                timeline,
            )
            with self.subTest(wrong_us=wrong_us):
                self.assertEqual(timeline.epochs, [0])

    def test_few_first_packets_of_a_voice_after_a_step_are_kept_where_they_arrived(self) -> None:
        left, right = voices(250)
        taken = play(stamped([left[0], *right[200:203]], lambda one: HOUR * 2 * (one.number > 999)))
        self.assertLessEqual(worst_ms(taken, left, right), WITHIN_MS)

    def test_an_untimed_packet_in_the_burst_that_shows_a_step_keeps_its_place(self) -> None:
        spoken = arrived(speech(150))
        burst_us = spoken[74].spoken_us - 5 * SECOND
        wrong = stepped(spoken, -5 * SECOND, 60)
        for number in range(60, 74):
            wrong[number] = replace(spoken[number], timestamp_us=burst_us)
        wrong[63] = replace(spoken[63], timestamp_us=None)
        self.assertEqual(audio_of(play(wrong)), pcm_of(spoken))

    def test_a_packet_of_an_epoch_that_has_ended_goes_to_its_place(self) -> None:
        left, right = voices(60)
        left, right = left[:28], [right[6], right[21], right[50]]
        stepped_us = range(START_US + 20 * PACKET_US, START_US + 30 * PACKET_US)
        wrong = [
            replace(one, timestamp_us=one.spoken_us - 24 * HOUR * (one.spoken_us in stepped_us))
            for one in together(left, right)
        ]
        self.assertLessEqual(worst_ms(play(wrong), left, right), WITHIN_MS)

    def test_a_stray_before_a_step_shows_does_not_look_like_a_stall_of_the_network(self) -> None:
        before, after = arrived(speech(9)), later(arrived(speech(30)), 6 * SECOND)
        wrong = [
            replace(one, timestamp_us=one.spoken_us + SECOND - 2 * SECOND * (number == 0))
            for number, one in enumerate(after)
        ]
        taken = play([*before, *wrong])
        errors = errors_ms(taken, [*before, *after])
        self.assertLessEqual(max(map(abs, errors[10:])), WITHIN_MS)

    def test_a_stray_among_the_packets_that_show_a_step_moves_no_other(self) -> None:
        spoken = arrived(speech(200))
        wrong = stepped(spoken, -MINUTE, 100)
        wrong[101] = replace(wrong[101], timestamp_us=(wrong[101].timestamp_us or 0) + 200_000)
        taken = play(wrong)
        errors = dict(
            zip([pcm for _, pcm in places_of(taken)], errors_ms(taken, spoken), strict=True)
        )
        del errors[spoken[101].pcm]
        self.assertLessEqual(max(map(abs, errors.values())), WITHIN_MS)

    def test_a_stray_before_a_packet_too_late_for_disorder_stays_beside_it(self) -> None:
        left, right = voices(400)
        right = right[80:96] + right[320:328]
        wrong = stamped(together(left, right), lambda one: -5 * SECOND * (one.number % 1000 >= 310))
        wrong = [
            replace(one, timestamp_us=START_US - 10 * MINUTE) if one is first else one
            for first in [next(one for one in wrong if one.number == 1320)]
            for one in wrong
        ]
        self.assertLessEqual(worst_ms(play(wrong), left, right), WITHIN_MS)
