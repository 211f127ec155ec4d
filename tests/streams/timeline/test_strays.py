"""Law 6 and 7: wrong timestamps among the first packets, beside one another and after pauses, and
packets without timestamp beside them.
"""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from streams.timeline.timeline import Timeline
from tests.streams.packets import (
    RATE,
    START,
    START_US,
    Sent,
    arrived,
    audio_of,
    errors_ms,
    pcm_of,
    places_of,
    play,
    reloaded,
    speech,
)
from tests.streams.timeline.clocks import (
    HOUR,
    MINUTE,
    SECOND,
    WITHIN_MS,
    later,
    stamped,
    together,
    voices,
    worst_ms,
)


def wrong_at(packets: list[Sent], strays: dict[int, int]) -> list[Sent]:
    """Returns the packets with wrong timestamps, by their index."""
    return [
        replace(one, timestamp_us=(one.timestamp_us or 0) + strays.get(index, 0))
        for index, one in enumerate(packets)
    ]


def untimed_at(packets: list[Sent], indexes: range) -> list[Sent]:
    return [
        replace(one, timestamp_us=None) if index in indexes else one
        for index, one in enumerate(packets)
    ]


class FirstPackets(TestCase):
    """The first packets of a call do not decide alone what time it is."""

    def test_a_first_packet_in_the_near_future_stays_beside_the_next(self) -> None:
        for wrong_us in (200_000, 2 * SECOND, 2_490_000):
            spoken = arrived(speech(300))
            with self.subTest(wrong_us=wrong_us):
                taken = play(wrong_at(spoken, {0: wrong_us}))
                self.assertLessEqual(max(map(abs, errors_ms(taken, spoken))), 20)
                self.assertEqual((audio_of(taken), taken.late), (pcm_of(spoken), 1))

    def test_a_wrong_packet_after_a_wrong_first_one_keeps_its_place(self) -> None:
        for first_us, number, far_us in ((2 * SECOND, 2, HOUR // 2), (300_000, 9, 2 * HOUR)):
            spoken = arrived(speech(16))
            with self.subTest(first_us=first_us):
                taken = play(wrong_at(spoken, {0: first_us, number: far_us}))
                self.assertEqual(audio_of(taken), pcm_of(spoken))
                self.assertLessEqual(max(map(abs, errors_ms(taken, spoken))), WITHIN_MS)

    def test_the_only_packet_of_a_voice_in_the_near_future_is_kept_where_it_arrived(self) -> None:
        left, right = voices(100)
        wrong = wrong_at(right[:1], {0: 2 * SECOND})
        taken = play([*wrong, *left])
        self.assertLessEqual(max(map(abs, errors_ms(taken, left, "a"))), 20)
        self.assertLessEqual(max(map(abs, errors_ms(taken, right, "b"))), 20)

    def test_a_first_packet_at_the_unix_epoch_is_kept_before_the_next(self) -> None:
        """Its timestamp is that of a packet without one, while it waits."""
        spoken = [replace(one, arrived_us=None) for one in together(*voices(100))]
        taken = play([replace(spoken[0], timestamp_us=0), *spoken[1:]])
        self.assertEqual([run.sample_count for run in taken.tracks["a"].runs], [100 * 320])
        self.assertLessEqual(worst_ms(taken, *voices(100)), WITHIN_MS)

    def test_a_step_is_found_after_a_wrong_first_packet(self) -> None:
        for first_us, step_us in ((-2 * SECOND, 2 * SECOND), (2 * SECOND, 1_200_000)):
            spoken = arrived(speech(200))
            stepped = wrong_at(spoken, dict.fromkeys(range(66, 200), step_us))
            with self.subTest(first_us=first_us):
                taken = play(wrong_at(stepped, {0: first_us}))
                self.assertLessEqual(max(map(abs, errors_ms(taken, spoken)[1:])), WITHIN_MS)
                self.assertEqual(len(taken.jumps), 1)

    def test_two_packets_that_agree_by_arrival_outweigh_a_first_one_ahead_of_them(self) -> None:
        for pause_us in (2_558_000, 5_630_000):
            spoken = [*arrived(speech(2)), *later(arrived(speech(4)), pause_us)]
            with self.subTest(pause_us=pause_us):
                taken = play(wrong_at(spoken, {0: 2_600_000}))
                self.assertEqual((audio_of(taken), taken.late), (pcm_of(spoken), 1))
                self.assertLessEqual(max(map(abs, errors_ms(taken, spoken))), 20)

    def test_two_packets_that_disagree_do_not_outweigh_the_first_one(self) -> None:
        spoken = [*arrived(speech(2)), *later(arrived(speech(4)), 3 * SECOND)]
        taken = play(wrong_at(spoken, {0: 2_600_000, 1: -10 * MINUTE}))
        self.assertEqual(len(audio_of(taken)), len(pcm_of(spoken)))
        self.assertEqual(audio_of(taken)[-len(pcm_of(spoken[4:])) :], pcm_of(spoken[4:]))

    def test_a_burst_does_not_outweigh_the_packet_before_it(self) -> None:
        first, *held_up = arrived(speech(3, start_us=START_US + 3 * SECOND))
        burst = [
            replace(one, timestamp_us=START_US + 20_000 * at, arrived_us=first.arrived_us)
            for at, one in enumerate(held_up)
        ]
        taken = play([first, *burst])
        self.assertEqual(places_of(taken)[0][0], START + 3 * RATE)

    def test_the_first_packets_of_two_voices_are_tried_again_without_the_wrong_one(self) -> None:
        left, right = voices(10)
        taken = play(together(wrong_at(left, {0: 2_531_000}), right[:6]))
        for name, packets in (("a", left), ("b", right[:6])):
            self.assertLessEqual(max(map(abs, errors_ms(taken, packets, name))), 20)
            self.assertEqual(audio_of(taken, name), pcm_of(packets))

    def test_a_first_packet_before_a_stall_of_the_network_is_right(self) -> None:
        spoken = arrived(speech(300))
        burst_us = spoken[120].arrived_us or 0
        late = [
            replace(one, arrived_us=max(one.arrived_us or 0, burst_us)) if one.number else one
            for one in spoken
        ]
        taken = play(late)
        self.assertEqual((set(errors_ms(taken, spoken)), taken.late), ({0.0}, 0))

    def test_untimed_packets_do_not_make_a_wrong_first_packet_right(self) -> None:
        spoken = arrived(speech(40))
        taken = play(untimed_at(wrong_at(spoken, {0: HOUR // 2}), range(1, 6)))
        self.assertEqual(set(errors_ms(taken, spoken)), {0.0})
        self.assertEqual(audio_of(taken), pcm_of(spoken))

    def test_many_untimed_packets_after_a_pause_do_not_make_a_wrong_first_one_right(self) -> None:
        for count in (9, 11, 30):
            spoken = [*arrived(speech(1)), *later(arrived(speech(60)), 4 * SECOND)]
            wrong = untimed_at(wrong_at(spoken, {0: HOUR // 2}), range(1, count + 1))
            with self.subTest(count=count):
                taken = play(wrong)
                self.assertEqual((audio_of(taken), taken.jumps), (pcm_of(spoken), []))
                self.assertLessEqual(
                    max(map(abs, errors_ms(taken, spoken[1:] + spoken[:1])[1:])), 20
                )

    def test_an_untimed_packet_after_a_wrong_first_one_keeps_its_place(self) -> None:
        spoken = arrived(speech(12))
        taken = play(untimed_at(wrong_at(spoken, {0: -10 * MINUTE}), range(3, 4)))
        self.assertEqual(audio_of(taken), pcm_of(spoken))

    def test_a_first_packet_of_a_new_socket_that_is_wrong_is_no_step(self) -> None:
        before, timeline = arrived(speech(1)), Timeline()
        play(before, timeline)
        after = later(arrived(speech(60)), 2 * HOUR)
        taken = play(wrong_at(after, {0: -30 * SECOND}), reloaded(timeline))
        self.assertEqual(taken.jumps, [])
        self.assertLessEqual(max(map(abs, errors_ms(taken, after)[1:])), WITHIN_MS)


class LaterStrays(TestCase):
    def test_a_stray_in_the_near_future_moves_no_stray_after_it(self) -> None:
        spoken = arrived(speech(300))
        taken = play(wrong_at(spoken, {100: 300_000, 101: HOUR}))
        places = {pcm: place for place, pcm in places_of(taken)}
        self.assertAlmostEqual(places[spoken[101].pcm], START + 101 * 320, delta=320)

    def test_one_stray_does_not_let_the_clock_step_unseen(self) -> None:
        spoken = arrived(speech(400))
        stepped = stamped(spoken, lambda one: 900_000 * (one.number >= 200))
        taken = play(wrong_at(stepped, {100: 450_000}))
        self.assertEqual(len(taken.jumps), 1)
        errors = [abs(one) for one in errors_ms(taken, spoken)]
        self.assertLessEqual(sorted(errors)[-2], WITHIN_MS)

    def test_without_arrivals_a_stray_after_a_pause_stays_with_the_audio_that_follows(self) -> None:
        before, after = speech(50), later(speech(50), 2 * SECOND)
        taken = play([*before, *wrong_at(after, {0: 2 * HOUR})])
        self.assertEqual(set(errors_ms(taken, [*before, *after])), {0.0})

    def test_strays_on_both_sides_of_a_pause_stay_where_they_arrived(self) -> None:
        before = arrived(speech(4))
        after = later(arrived(speech(50)), 3 * SECOND)
        taken = play([*wrong_at(before, {3: -3 * SECOND}), *wrong_at(after, {0: HOUR})])
        self.assertEqual(set(errors_ms(taken, [*before, *after])), {0.0})

    def test_a_stray_back_into_a_pause_stays_with_the_audio_that_follows(self) -> None:
        for pause_us, wrong_us in ((HOUR, -30 * SECOND), (MINUTE, -6 * SECOND)):
            before = arrived(speech(20))
            after = later(arrived(speech(100)), pause_us)
            with self.subTest(wrong_us=wrong_us):
                taken = play([*before, *wrong_at(after, {0: wrong_us})])
                self.assertLessEqual(max(map(abs, errors_ms(taken, [*before, *after]))), 20)
                self.assertEqual(len(taken.tracks["p"].gaps), 1)

    def test_a_late_packet_is_right_if_the_network_may_have_stood_still(self) -> None:
        before = arrived(speech(20))
        after = later(arrived(speech(100)), MINUTE)
        burst_us = (after[0].arrived_us or 0) + 4 * SECOND
        late = [replace(one, arrived_us=burst_us) for one in after[:1]]
        rest = later(after[1:], 4 * SECOND)
        taken = play([*before, *late, *rest])
        self.assertEqual(set(errors_ms(taken, [*before, *late, *rest])), {0.0})

    def test_a_late_burst_after_a_pause_of_one_voice_is_right(self) -> None:
        left, right = voices(1000)
        right = right[:50] + right[500:]
        burst_us = right[200].arrived_us or 0
        late = [
            replace(one, arrived_us=burst_us) if 50 <= index < 200 else one
            for index, one in enumerate(right)
        ]
        spoken = [*left, *late]
        spoken.sort(key=lambda one: one.arrived_us or 0)
        taken = play(spoken)
        self.assertEqual(taken.jumps, [])
        self.assertLessEqual(max(map(abs, errors_ms(taken, right, "b"))), WITHIN_MS)

    def test_a_long_step_back_into_a_pause_is_found(self) -> None:
        before = arrived(speech(20))
        after = later(arrived(speech(100)), HOUR)
        taken = play([*before, *stamped(after, lambda one: -50 * MINUTE)])
        self.assertLessEqual(max(map(abs, errors_ms(taken, [*before, *after]))), WITHIN_MS)
        self.assertEqual(len(taken.jumps), 1)


class Untimed(TestCase):
    """Packets without timestamp, where the audio before them does not show their place."""

    def test_the_first_ones_are_placed_directly_before_the_first_timestamp(self) -> None:
        for count in (1, 5, 30):
            spoken = later(arrived(speech(60)), 3 * HOUR)
            with self.subTest(count=count):
                taken = play(untimed_at(spoken, range(count)))
                self.assertEqual(set(errors_ms(taken, spoken)), {0.0})
                self.assertEqual((taken.jumps, taken.tracks["p"].gaps), ([], []))

    def test_the_first_ones_follow_the_envelope_of_a_burst(self) -> None:
        spoken = arrived(speech(60))
        burst = stamped(spoken, lambda one: max(0, (6 - one.number) * 20_000))
        taken = play(untimed_at(burst, range(2)))
        self.assertEqual(set(errors_ms(taken, spoken)), {0.0})

    def test_two_voices_that_begin_without_timestamps_are_aligned_by_them(self) -> None:
        left, right = voices(60)
        taken = play(together(untimed_at(left, range(3)), untimed_at(right, range(9))))
        self.assertEqual(set(errors_ms(taken, left, "a")), {0.0})
        self.assertEqual(set(errors_ms(taken, right, "b")), {0.0})

    def test_one_after_a_pause_stays_with_the_audio_that_follows(self) -> None:
        before = arrived(speech(50))
        after = later(arrived(speech(50)), 10 * SECOND)
        taken = play([*before, *untimed_at(after, range(2))])
        self.assertEqual(set(errors_ms(taken, [*before, *after])), {0.0})

    def test_many_after_a_pause_are_placed_by_arrival(self) -> None:
        before = arrived(speech(50))
        after = later(arrived(speech(50)), 10 * SECOND)
        taken = play([*before, *untimed_at(after, range(30))])
        self.assertLessEqual(max(map(abs, errors_ms(taken, [*before, *after]))), WITHIN_MS)
        self.assertEqual(audio_of(taken), pcm_of([*before, *after]))

    def test_one_beside_strays_keeps_its_place(self) -> None:
        spoken = arrived(speech(200))
        taken = play(untimed_at(wrong_at(spoken, {100: HOUR, 102: -HOUR}), range(101, 102)))
        self.assertEqual((audio_of(taken), taken.late), (pcm_of(spoken), 2))

    def test_one_after_a_stray_in_the_near_future_keeps_its_place(self) -> None:
        spoken = arrived(speech(60))
        taken = play(untimed_at(wrong_at(spoken, {2: 2 * SECOND}), range(30, 31)))
        self.assertEqual((audio_of(taken), taken.late), (pcm_of(spoken), 1))
        self.assertEqual(set(errors_ms(taken, spoken)), {0.0})

    def test_one_after_the_last_stray_is_kept(self) -> None:
        spoken = arrived(speech(200))
        taken = play(untimed_at(wrong_at(spoken, {198: 10 * MINUTE}), range(199, 200)))
        self.assertEqual((audio_of(taken), taken.late), (pcm_of(spoken), 1))

    def test_without_arrivals_they_follow_the_audio_before_them(self) -> None:
        spoken = speech(50)
        after = [replace(one, timestamp_us=None) for one in later(speech(5), 10 * SECOND)]
        taken = play([*spoken, *after])
        self.assertEqual(places_of(taken)[-1][0], START + 54 * 320)

    def test_the_start_is_that_of_the_socket_if_no_packet_has_a_timestamp(self) -> None:
        taken = play([replace(one, timestamp_us=None) for one in speech(20)])
        self.assertEqual(places_of(taken)[0][0] * 1_000_000 // 16_000, START_US)
