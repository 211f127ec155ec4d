"""The clocks of calls on a host whose clock steps and that is suspended."""

from __future__ import annotations

import time
from unittest import mock

from django.test import SimpleTestCase

from streams.ingest import call_clocks as module
from streams.ingest.call_clocks import KEPT_SECONDS, CallClocks, HostClocks
from tests.streams.host_clocks import HOUR, FakeHost
from tests.streams.streams import START_US

SECOND_US = 1_000_000


class CallClockTests(SimpleTestCase):
    def setUp(self) -> None:
        self.host = FakeHost()
        self.clocks = CallClocks(self.host.clocks)

    def test_a_call_begins_at_the_time_of_the_host(self) -> None:
        self.assertEqual(self.clocks.open("call").now_us(), START_US)
        self.host.step(0.4)  # as small as noise
        self.assertEqual(self.clocks.open("another").now_us(), START_US + 400_000)

    def test_a_step_of_the_host_is_no_step_of_the_call(self) -> None:
        for seconds in (-HOUR, HOUR, 0.6):
            clock = self.clocks.open(f"call {seconds}")
            before = clock.now_us()
            self.host.step(seconds)
            self.host.pass_time(2)
            self.assertEqual(clock.now_us(), before + 2 * SECOND_US)
            self.assertEqual(self.clocks.step_us(), seconds * SECOND_US)
            self.assertEqual(self.clocks.step_us(), 0, "it is reported once")
            self.assertEqual(self.clocks.stepped_us(clock), seconds * SECOND_US)

    def test_small_steps_are_reported_together(self) -> None:
        steps = []
        for _ in range(4):
            self.host.step(0.2)
            steps.append(self.clocks.step_us())
        self.assertEqual(steps, [0, 0, 600_000, 0])

    def test_the_time_while_the_host_was_suspended_passes(self) -> None:
        clock = self.clocks.open("call")
        self.host.suspend(HOUR)
        self.assertEqual(self.clocks.step_us(), 0)
        self.assertEqual(clock.now_us(), START_US + 3600 * SECOND_US)

    def test_later_sockets_of_a_call_have_the_same_clock(self) -> None:
        clock = self.clocks.open("call")
        self.clocks.close("call")
        self.host.step(-HOUR)
        self.host.pass_time(KEPT_SECONDS - 1)
        self.assertIs(self.clocks.open("call"), clock)
        self.assertEqual(self.clocks.open("another").now_us(), self.host.wall_us)

    def test_a_clock_is_forgotten_after_its_last_socket(self) -> None:
        clock = self.clocks.open("call")
        self.host.pass_time(KEPT_SECONDS + 1)
        self.assertIs(self.clocks.open("call", in_use={"call"}), clock)
        self.clocks.close("call")
        self.clocks.close("unknown")
        self.host.pass_time(KEPT_SECONDS + 1)
        self.assertIsNot(self.clocks.open("call"), clock)

    def test_the_number_of_clocks_is_limited(self) -> None:
        with mock.patch.object(module, "MAX_KEPT", 2):
            oldest, *_ = (self.clocks.open(f"call {number}") for number in range(4))
            self.assertIsNot(self.clocks.open("call 0"), oldest)

    def test_a_pause_between_two_readings_is_no_step(self) -> None:
        def paused_ns() -> int:
            if readings:
                self.host.pass_time(readings.pop())
            return self.host.clocks.wall_ns()

        readings = [0.0] * 3
        clocks = CallClocks(self.host.clocks._replace(wall_ns=paused_ns))
        readings[:] = [0.7, 0.0, 5.0]
        self.assertEqual(clocks.step_us(), 0)

    def test_the_clocks_of_this_host_agree(self) -> None:
        clock = CallClocks(HostClocks()).open("call")
        before = time.time_ns() // 1000
        self.assertLess(abs(clock.now_us() - before), 60 * SECOND_US)
        self.assertLessEqual(clock.now_us(), clock.now_us())
