"""Arrival times as evidence: the limit of places, drift, and when they prove nothing."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.timeline.arrival import (
    RELIABLE_US,
    STALL_US,
    ArrivalClock,
    greatest_lead,
    lead_of,
    reliable_us,
    seeming_us,
    start_by,
    start_of,
)
from streams.timeline.waiting import LOOK_AHEAD_US, Timed
from tests.streams.packets import HOST_US, START_US

SECOND = 1_000_000
DAY = 86_400 * SECOND


def clock_after(seconds: int, *, ppm: int = 0, delay_us: int = 30_000) -> ArrivalClock:
    """Returns the clock after a packet per second; the recorder's clock is `ppm` fast."""
    clock = ArrivalClock()
    for second in range(seconds):
        place_us = START_US + second * SECOND
        at_us = place_us + HOST_US + delay_us + second * ppm
        clock.add(place_us, at_us, lead_of(place_us, at_us))
    return clock


class AfterTheYoungestPacket(TestCase):
    def test_the_time_since_it_is_known_once_the_socket_has_brought_one(self) -> None:
        clock = ArrivalClock()
        self.assertEqual(clock.passed_us(START_US), 0)
        clock.add(START_US, START_US, lead_of(START_US, START_US))
        passed = [clock.passed_us(at_us) for at_us in (None, START_US - 1, START_US + SECOND)]
        self.assertEqual(passed, [0, 0, SECOND])

    def test_the_place_of_a_packet_held_up_like_it_is_known_then_too(self) -> None:
        clock = ArrivalClock()
        self.assertIsNone(clock.following_us(START_US))
        clock.add(START_US, START_US + SECOND, lead_of(START_US, START_US + SECOND))
        places = [clock.following_us(at_us) for at_us in (None, START_US, START_US + 3 * SECOND)]
        self.assertEqual(places, [None, START_US - SECOND, START_US + 2 * SECOND])

    def test_a_long_pause_is_expected_to_be_as_long_as_arrival_shows(self) -> None:
        clock = ArrivalClock()
        self.assertIsNone(clock.expected_us(START_US))
        clock.add(START_US, START_US, lead_of(START_US, START_US))
        hour_us = START_US + 3600 * SECOND
        self.assertLess(abs((clock.expected_us(hour_us) or 0) - hour_us), 5_000)


class Limits(TestCase):
    def test_nothing_is_known_before_the_first_packet(self) -> None:
        clock = ArrivalClock()
        self.assertIsNone(clock.limit_us(START_US))
        self.assertFalse(clock.may_refute(START_US + DAY, START_US))

    def test_a_packet_without_a_time_of_arrival_is_not_refuted(self) -> None:
        self.assertFalse(clock_after(5).may_refute(START_US + DAY, None))

    def test_the_shortest_delay_sets_the_limit(self) -> None:
        clock = ArrivalClock()
        for delay_us in (90_000, 20_000, 400_000):
            clock.add(START_US, START_US + delay_us, lead_of(START_US, START_US + delay_us))
        limit_us = clock.limit_us(START_US + SECOND) or 0
        self.assertAlmostEqual(limit_us, START_US + SECOND - 20_000, delta=2_000)

    def test_a_timestamp_in_the_future_is_refuted_and_the_present_is_not(self) -> None:
        clock = clock_after(60)
        place_us = START_US + 3600 * SECOND
        at_us = place_us + HOST_US + 30_000
        self.assertFalse(clock.may_refute(place_us, at_us))
        self.assertTrue(clock.may_refute(place_us + RELIABLE_US + 5 * SECOND, at_us))

    def test_a_day_of_drift_refutes_nothing(self) -> None:
        for ppm in (-500, 0, 500):
            with self.subTest(ppm=ppm):
                clock = clock_after(1000, ppm=ppm)
                place_us = START_US + DAY
                self.assertFalse(
                    clock.may_refute(place_us, place_us + HOST_US + DAY // 1_000_000 * ppm)
                )

    def test_the_limit_follows_a_sender_whose_clock_is_slow(self) -> None:
        clock = clock_after(86_400, ppm=400)
        at_us = clock.latest_arrived_us + SECOND
        limit_us = clock.limit_us(at_us) or 0
        self.assertLess(limit_us - (clock.latest_place_us + SECOND), 50_000)

    def test_a_packet_lies_at_the_limit_or_in_a_burst_behind_the_one_before(self) -> None:
        self.assertIsNone(ArrivalClock().place_us(START_US))
        clock = clock_after(60)
        last_us, at_us = clock.latest_place_us, clock.latest_arrived_us
        self.assertAlmostEqual(clock.place_us(at_us + SECOND) or 0, last_us + SECOND, delta=40_000)
        clock.add(last_us + SECOND, at_us + 5 * SECOND, 0)  # the network stood still
        self.assertEqual(clock.place_us(at_us + 5 * SECOND), last_us + SECOND)
        self.assertEqual(clock.place_us(at_us + 6 * SECOND), last_us + 2 * SECOND)
        clock.end_socket()
        self.assertEqual(clock.place_us(at_us), clock.limit_us(at_us))

    def test_a_step_of_the_host_extends_the_limit_until_the_next_packet(self) -> None:
        clock = clock_after(60)
        at_us = clock.latest_arrived_us + SECOND
        before_us = clock.limit_us(at_us) or 0
        clock.host_step_us = 4200 * SECOND
        self.assertEqual(clock.limit_us(at_us), before_us + 4200 * SECOND)
        clock.host_step_us = -4200 * SECOND
        self.assertEqual(clock.limit_us(at_us), before_us)
        clock.add(START_US, at_us, 0)
        self.assertEqual(clock.host_step_us, 0)

    @given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), min_size=1))
    def test_the_greatest_lead_of_many_is_that_of_one(self, pairs: list[tuple[int, int]]) -> None:
        places, arrivals = zip(*pairs, strict=True)
        self.assertEqual(greatest_lead(places, arrivals), max(lead_of(*pair) for pair in pairs))


class Pace(TestCase):
    def test_arrival_times_count_once_a_second_has_passed_like_the_audio(self) -> None:
        self.assertFalse(ArrivalClock().is_paced or ArrivalClock().has_begun)
        self.assertFalse(clock_after(1).is_paced)
        self.assertTrue(clock_after(2).is_paced)

    def test_a_call_that_arrives_at_once_proves_nothing(self) -> None:
        clock = ArrivalClock()
        for second in range(60):
            clock.add(START_US + second * SECOND, START_US + second, 0)
        self.assertFalse(clock.is_paced)

    def test_the_next_socket_has_a_pace_of_its_own(self) -> None:
        clock = clock_after(60)
        self.assertTrue(clock.has_begun)
        clock.end_socket()
        self.assertFalse(clock.is_paced or clock.has_begun)
        self.assertIsNotNone(clock.limit_us(START_US))


class Doubts(TestCase):
    """One wrong timestamp does not move the limit for good."""

    def added(self, clock: ArrivalClock, leads_us: list[int], step_us: int = 20_000) -> list[bool]:
        """Adds a packet every 20 ms with these leads over the ordinary one."""
        first_us = clock.latest_arrived_us or START_US
        recalled = []
        for number, lead_us in enumerate(leads_us, 1):
            at_us = first_us + number * step_us
            place_us = at_us + lead_us
            recalled.append(clock.add(place_us, at_us, lead_of(place_us, at_us)))
        return recalled

    def limit_us(self, clock: ArrivalClock) -> int:
        """Returns how far the limit lies ahead of the time of arrival."""
        at_us = clock.latest_arrived_us
        return round(((clock.limit_us(at_us) or 0) - at_us) / 10_000) * 10_000

    def test_five_packets_ahead_move_the_limit_and_fewer_are_recalled(self) -> None:
        for count, limit_us in ((1, 0), (4, 0), (5, 300_000)):
            clock = ArrivalClock()
            with self.subTest(count=count):
                recalled = self.added(clock, [0] * 20 + [300_000] * count + [-20_000])
                self.assertEqual((self.limit_us(clock), any(recalled)), (limit_us, count < 5))

    def test_the_first_packet_ahead_of_all_is_recalled(self) -> None:
        clock = ArrivalClock()
        self.assertEqual(self.added(clock, [2_000_000] + [0] * 5), [False] * 5 + [True])
        self.assertEqual(self.limit_us(clock), 0)

    def test_a_burst_does_not_refute_the_first_packet(self) -> None:
        clock = ArrivalClock()
        at_us = START_US + 3 * SECOND
        self.added(clock, [0])
        for number in range(100):
            place_us = START_US + 20_000 * number
            self.assertFalse(clock.add(place_us, at_us, lead_of(place_us, at_us)))
        self.assertEqual(clock.limit_us(START_US + 20_000), START_US + 20_000)

    def test_a_first_packet_behind_all_does_not_count_for_the_pace(self) -> None:
        clock = ArrivalClock()
        self.added(clock, [-2_000_000] + [0] * 30)
        self.assertTrue(clock.is_paced)

    def test_packets_on_both_sides_are_doubted_apart(self) -> None:
        clock = ArrivalClock()
        self.added(clock, [0] + [500_000, -500_000] * 4 + [500_000] * 4)
        self.assertEqual((clock.shown, clock.doubt.count, clock.doubt.is_ahead), (1, 4, True))

    def test_a_lead_may_grow_by_the_drift_of_a_pause_or_a_step_of_the_host(self) -> None:
        clock = ArrivalClock()
        self.added(clock, [0] * 5)
        place_us = clock.latest_place_us + 3600 * SECOND
        clock.add(place_us, place_us - 1_500_000, lead_of(place_us, place_us - 1_500_000))
        self.assertEqual(clock.doubt.count, 0)
        clock.host_step_us = SECOND
        place_us += 2 * SECOND
        clock.add(place_us, place_us - 3 * SECOND, lead_of(place_us, place_us - 3 * SECOND))
        self.assertEqual(clock.doubt.count, 0)

    def test_only_a_lead_that_is_shown_leaves_no_doubt(self) -> None:
        clock = ArrivalClock()
        self.assertTrue(clock.is_sure_of(0))
        self.added(clock, [0] * 4)
        lead_us = clock.lead_us or 0
        self.assertFalse(clock.is_sure_of(lead_us))
        self.added(clock, [0])
        lead_us = clock.lead_us or 0
        self.assertTrue(clock.is_sure_of(lead_us + 100_000))
        self.assertFalse(clock.is_sure_of(lead_us + 100_001))
        clock.end_socket()
        self.assertFalse(clock.is_shown)

    def test_lateness_is_the_delay_beyond_the_shortest(self) -> None:
        clock = ArrivalClock()
        self.assertEqual(clock.lateness_us(START_US, START_US), 0)
        self.added(clock, [0] * 5)
        late_us = clock.lateness_us(START_US + SECOND, START_US + 4 * SECOND)
        self.assertAlmostEqual(late_us, 3 * SECOND, delta=2_000)

    def test_a_packet_is_too_late_for_disorder_by_its_arrival_and_by_younger_audio(self) -> None:
        clock = clock_after(10)
        now_us = START_US + HOST_US + 9 * SECOND
        self.assertTrue(clock.is_too_late(START_US + 6 * SECOND, now_us))
        self.assertFalse(clock.is_too_late(START_US + 6 * SECOND, None))
        self.assertFalse(clock.is_too_late(START_US + 7 * SECOND, now_us))
        # the audio of 9 s was stamped too early: its arrival does not show that it is so young
        self.assertFalse(clock.is_too_late(START_US + 6 * SECOND, now_us - 2 * SECOND))

    def test_a_replay_at_a_third_of_the_speed_is_slow(self) -> None:
        clock = ArrivalClock()
        self.assertFalse(clock.is_slow)
        for number in range(100):
            clock.add(START_US + number * 20_000, START_US + number * 60_000, -number * 40_000)
        self.assertTrue(clock.is_slow)
        self.assertFalse(clock_after(30).is_slow)

    def test_the_clock_of_an_earlier_process_is_the_greatest_lead(self) -> None:
        clock = ArrivalClock()
        for delay_us in (3 * SECOND, SECOND, 2 * SECOND):
            clock.assume(START_US, START_US + delay_us)
        self.assertEqual(clock.limit_us(START_US + 3 * SECOND), START_US + 2 * SECOND)
        self.assertFalse(clock.is_shown or clock.has_begun)


class Starts(TestCase):
    """Where audio begins by the arrival of its packets."""

    def test_no_packet_is_younger_than_its_arrival_shows(self) -> None:
        packets = [Timed(10, b"", 130), Timed(30, b"", 140), Timed(50, b"", 170)]
        self.assertEqual(start_by(lambda at_us: at_us, packets, 10), 120)

    def test_a_timestamp_greater_than_the_next_does_not_count(self) -> None:
        packets = [Timed(10, b"", 130), Timed(90, b"", 150), Timed(50, b"", 170)]
        self.assertEqual(start_by(lambda at_us: at_us, packets, 10), 130)

    def test_audio_begins_where_its_least_delayed_packet_shows(self) -> None:
        packets = [Timed(90, b"1234"), Timed(100, b"1234"), Timed(500, b"1234")]
        self.assertEqual(start_of(packets, 50_000), 60)

    def test_nothing_is_known_without_arrivals(self) -> None:
        self.assertIsNone(start_by(lambda at_us: at_us, [Timed(10, b"")], 10))


class WholeSeconds(TestCase):
    """A clock without fractions shows a second for a second, so its packets seem to be early."""

    def test_a_timestamp_in_whole_seconds_may_lie_a_second_further_in_the_future(self) -> None:
        second_us = START_US // SECOND * SECOND
        fraction, whole = Timed(second_us + 1, b"", None), Timed(second_us, b"", None)
        self.assertEqual(reliable_us(fraction), RELIABLE_US)
        self.assertEqual(reliable_us(whole), RELIABLE_US + SECOND)
        self.assertEqual(seeming_us(fraction), RELIABLE_US + 2 * STALL_US)
        self.assertEqual(seeming_us(whole), LOOK_AHEAD_US)
