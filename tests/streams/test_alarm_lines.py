"""Active alarms as lines of a pipe: short enough for it, complete, and bounded."""

from __future__ import annotations

from unittest import TestCase
from uuid import uuid4

import msgspec
from hypothesis import given
from hypothesis.strategies import integers

from calls.live.messages import AlarmNews
from streams.alarm_lines import MARK, MAX_REPORTED, ReceivedAlarms, lines_of

PIPE_BUF = 4096
PIPE_BYTES = 65_536


def some_alarms(count: int) -> list[AlarmNews]:
    return [
        {
            "call": str(uuid4()),
            "participant": str(uuid4()),
            "alarm": "odd_timestamp",
            "since": f"2026-11-30T12:00:00.{number:06}+00:00",
        }
        for number in range(count)
    ]


def received(lines: list[bytes]) -> ReceivedAlarms:
    received = ReceivedAlarms()
    for line in lines:
        received.receive(line.strip(b"\n"))
    return received


class Lines(TestCase):
    @given(integers(0, 2 * MAX_REPORTED))
    def test_carry_the_oldest_alarms(self, count: int) -> None:
        alarms = some_alarms(count)
        self.assertEqual(received(lines_of(alarms)).alarms, alarms[:MAX_REPORTED])

    def test_fit_into_the_pipe(self) -> None:
        lines = lines_of(some_alarms(1000))
        self.assertLessEqual(max(len(line) for line in lines), PIPE_BUF)
        self.assertLessEqual(sum(len(line) for line in lines), PIPE_BYTES)
        for line in lines:
            self.assertTrue(line.startswith(MARK) and line.endswith(b"\n"))

    def test_of_a_process_without_alarms_say_so(self) -> None:
        self.assertIsNone(ReceivedAlarms().alarms)
        self.assertEqual(received(lines_of([])).alarms, [])

    def test_of_a_report_that_was_cut_off_change_nothing_until_it_is_sent_again(self) -> None:
        before, after = some_alarms(1), some_alarms(50)
        cut = lines_of(after)[:2]
        self.assertEqual(received([*lines_of(before), *cut]).alarms, before)
        self.assertEqual(received([*lines_of(before), *cut, *lines_of(after)]).alarms, after)

    def test_without_their_beginning_change_nothing(self) -> None:
        self.assertIsNone(received(lines_of(some_alarms(50))[1:]).alarms)

    def test_of_another_form_are_errors(self) -> None:
        for line in (b"", b'{"part":0}', b'{"part":0,"parts":1,"alarms":[{}]}'):
            with self.subTest(line), self.assertRaises(msgspec.DecodeError):
                ReceivedAlarms().receive(line)
