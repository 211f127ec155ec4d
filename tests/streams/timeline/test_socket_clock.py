"""The clocks of a call as one socket knew them."""

from __future__ import annotations

from unittest import TestCase

from streams.timeline.arrival import DRIFT, STALL_US
from streams.timeline.socket_clock import SocketClock

SECOND = 1_000_000
HOUR = 3600 * SECOND


class Behind(TestCase):
    """How much one clock is behind that of another process."""

    before = SocketClock("a", lead_us=0)

    def test_a_clock_is_behind_by_the_difference_of_the_leads(self) -> None:
        one = SocketClock("b", lead_us=3 * SECOND)
        self.assertEqual(one.behind_us(self.before), 3 * SECOND)
        self.assertEqual(self.before.behind_us(one), 0, "its lead may be that of another socket")

    def test_a_shorter_difference_than_that_of_two_delays_is_none(self) -> None:
        self.assertEqual(SocketClock("b", lead_us=STALL_US).behind_us(self.before), 0)

    def test_two_clocks_may_drift_apart(self) -> None:
        drifted_us = 2 * HOUR // DRIFT  # a lead grows by it, if the clocks do not drift
        for lead_us in (drifted_us, drifted_us + SECOND):
            one = SocketClock("b", lead_us=lead_us, arrived_us=2 * HOUR)
            self.assertEqual(one.behind_us(self.before), 0)
        one = SocketClock("b", lead_us=drifted_us + 4 * SECOND, arrived_us=2 * HOUR)
        self.assertEqual(one.behind_us(self.before), 4 * SECOND)

    def test_of_one_process_there_is_one_clock(self) -> None:
        self.assertEqual(SocketClock("a", lead_us=3 * SECOND).behind_us(self.before), 0)

    def test_without_a_lead_nothing_is_known(self) -> None:
        self.assertEqual(SocketClock("b").behind_us(self.before), 0)
        self.assertEqual(self.before.behind_us(SocketClock("b")), 0)
