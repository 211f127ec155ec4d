"""Alarms of several processes, merged for one dashboard: messages and expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import TestCase

from calls.live.alarms import Changes, LiveAlarms
from calls.live.messages import HELD_FOR, AlarmNews, BrowserMessage
from tests.calls.live.examples import a_call, an_alarm

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
CALL = a_call(1)
STALLED, LATER = (
    an_alarm("stalled", CALL),
    an_alarm("stalled", CALL, since="2026-11-23T10:00:06.5Z"),
)
DISK = an_alarm("disk_low", since="2026-11-23T09:00:00Z")


def raised(*alarms: AlarmNews) -> Changes:
    return Changes([], [{"type": "alarm", **alarm} for alarm in alarms])


def cleared(*alarms: AlarmNews) -> Changes:
    messages: list[BrowserMessage] = [{"type": "alarm.cleared", **alarm} for alarm in alarms]
    return Changes(messages, [])


class Alarms(TestCase):
    def setUp(self) -> None:
        self.alarms = LiveAlarms()

    def test_are_sent_once_with_the_documented_members(self) -> None:
        (message,) = self.alarms.update("one", [STALLED], NOW).raised
        self.assertEqual(list(message), ["type", "call", "participant", "alarm", "since"])
        self.assertEqual(self.alarms.update("one", [STALLED], SOON), raised())

    def test_are_cleared_when_the_process_no_longer_reports_them(self) -> None:
        self.alarms.update("one", [STALLED, DISK], NOW)
        self.assertEqual(self.alarms.update("one", [DISK], SOON), cleared(STALLED))
        self.assertEqual(self.alarms.as_list(), [DISK])

    def test_of_two_processes_are_one_since_the_earlier_moment_until_both_clear_it(self) -> None:
        self.assertEqual(self.alarms.update("one", [LATER], NOW), raised(LATER))
        self.assertEqual(self.alarms.update("two", [STALLED], NOW), raised(STALLED))
        self.assertEqual(self.alarms.as_list(), [STALLED])
        self.assertEqual(self.alarms.update("one", [], SOON), raised())
        self.assertEqual(self.alarms.update("two", [], SOON), cleared(STALLED))

    def test_of_two_participants_are_two(self) -> None:
        both = [
            an_alarm("too_low", CALL, participant="p"),
            an_alarm("too_low", CALL, participant="q"),
        ]
        self.assertEqual(self.alarms.update("one", both, NOW), raised(*both))

    def test_of_a_process_that_stops_publishing_expire(self) -> None:
        self.alarms.update("one", [STALLED], NOW)
        self.alarms.update("two", [DISK], SOON)
        self.assertEqual(self.alarms.expire(NOW + HELD_FOR), raised())
        self.assertEqual(self.alarms.expire(SOON + HELD_FOR), cleared(STALLED))

    def test_are_listed_oldest_first(self) -> None:
        self.alarms.update("one", [STALLED, DISK], NOW)
        self.assertEqual(self.alarms.as_list(), [DISK, STALLED])
