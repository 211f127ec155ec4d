"""Alarms as rows: they follow the reports of their origin, and each change is told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import skipUnless
from unittest.mock import patch
from uuid import UUID

from django.db import DatabaseError, connection
from django.db.models import F
from django.test import TestCase
from django.utils import timezone

from calls.models import OutgoingEvent, RaisedAlarm
from calls.notifications import outbox
from calls.notifications.alarms import LOST_AFTER, ActiveAlarm, clear_all, clear_lost, report
from tests.calls.rows import make_call

SINCE = datetime(2026, 11, 30, 12, tzinfo=UTC)
CALL = UUID("11111111-1111-4111-8111-111111111111")
PARTICIPANT = UUID("22222222-2222-4222-8222-222222222222")
STALLED = ActiveAlarm("stalled", CALL, PARTICIPANT, SINCE)
DISK = ActiveAlarm("disk_low", None, None, SINCE, {"free_bytes": 1})


def told() -> list[tuple[str, str]]:
    """Returns type and alarm of all events, sorted."""
    return sorted((event.type, event.data["name"]) for event in OutgoingEvent.objects.all())


class Reports(TestCase):
    def test_a_new_alarm_becomes_a_row_and_an_event(self) -> None:
        report("process-1", [STALLED])
        row = RaisedAlarm.objects.get()
        self.assertEqual(
            (row.name, row.call_id, row.participant_id), ("stalled", CALL, PARTICIPANT)
        )
        self.assertEqual((row.raised_at, row.cleared_at), (SINCE, None))
        event = OutgoingEvent.objects.get()
        self.assertEqual((event.type, event.occurred_at), ("alarm.raised", SINCE))
        expected: dict[str, Any] = {
            "id": str(row.id),
            "name": "stalled",
            "text": "Audio stalled",
            "severity": "critical",
            "call_id": str(CALL),
            "participant_id": str(PARTICIPANT),
            "raised_at": "2026-11-30T12:00:00+00:00",
            "cleared_at": None,
            "detail": {},
        }
        self.assertEqual(event.data, expected)

    def test_repeated_it_stays_one_row_that_has_been_seen_later(self) -> None:
        report("process-1", [STALLED])
        RaisedAlarm.objects.update(seen_at=SINCE)
        report("process-1", [STALLED])
        self.assertGreater(RaisedAlarm.objects.get().seen_at, SINCE)
        self.assertEqual(told(), [("alarm.raised", "stalled")])

    def test_a_changed_detail_is_kept_and_not_told_again(self) -> None:
        report("process-1", [DISK])
        report("process-1", [ActiveAlarm("disk_low", None, None, SINCE, {"free_bytes": 0})])
        self.assertEqual(RaisedAlarm.objects.get().detail, {"free_bytes": 0})
        self.assertEqual(told(), [("alarm.raised", "disk_low")])

    def test_an_alarm_that_is_not_reported_any_more_is_cleared(self) -> None:
        report("process-1", [STALLED, DISK])
        report("process-1", [DISK])
        self.assertIsNotNone(RaisedAlarm.objects.get(name="stalled").cleared_at)
        self.assertIsNone(RaisedAlarm.objects.get(name="disk_low").cleared_at)
        report("process-1", [DISK])
        raised = [("alarm.raised", "disk_low"), ("alarm.raised", "stalled")]
        self.assertEqual(told(), [("alarm.cleared", "stalled"), *raised])
        event = OutgoingEvent.objects.get(type="alarm.cleared")
        self.assertEqual(event.data["cleared_at"], event.occurred_at.isoformat())

    def test_origins_do_not_clear_each_others_alarms(self) -> None:
        report("process-1", [DISK])
        report("process-2", [DISK])
        report("process-1", [])
        self.assertEqual(RaisedAlarm.objects.get(cleared_at=None).origin, "process-2")
        self.assertEqual(RaisedAlarm.objects.count(), 2)

    def test_the_same_alarm_at_another_time_is_another_row(self) -> None:
        report("process-1", [DISK])
        report("process-1", [])
        later = ActiveAlarm("disk_low", None, None, SINCE + timedelta(minutes=1))
        report("process-1", [later])
        self.assertEqual(RaisedAlarm.objects.count(), 2)

    def test_a_cleared_alarm_that_is_reported_again_is_active_and_told_again(self) -> None:
        report("process-1", [DISK])
        report("process-1", [])
        report("process-1", [DISK])
        self.assertIsNone(RaisedAlarm.objects.get().cleared_at)
        report("process-1", [])
        types = [event_type for event_type, _name in told()]
        self.assertEqual(types, ["alarm.cleared"] * 2 + ["alarm.raised"] * 2)

    def test_without_its_event_there_is_no_row(self) -> None:
        failing = patch.object(outbox, "add", side_effect=DatabaseError)
        with failing, self.assertRaises(DatabaseError):
            report("process-1", [DISK])
        self.assertFalse(RaisedAlarm.objects.exists())

    def test_of_canary_calls_are_left_out(self) -> None:
        canary, call = make_call("canary-1"), make_call("connection-1")
        since = SINCE
        report("process-1", [ActiveAlarm("stalled", one.pk, None, since) for one in (canary, call)])
        self.assertEqual(RaisedAlarm.objects.get().call_id, call.pk)
        self.assertEqual(told(), [("alarm.raised", "stalled")])


class Endings(TestCase):
    def test_of_a_process_clear_its_alarms_and_say_why(self) -> None:
        report("process-1", [DISK, STALLED])
        report("process-2", [DISK])
        clear_all("process-1", "process_stopped")
        cleared = RaisedAlarm.objects.filter(origin="process-1").exclude(cleared_at=None)
        self.assertEqual({row.detail["ended"] for row in cleared}, {"process_stopped"})
        self.assertEqual(cleared.get(name="disk_low").detail["free_bytes"], 1)
        self.assertEqual(RaisedAlarm.objects.get(cleared_at=None).origin, "process-2")
        event = OutgoingEvent.objects.filter(type="alarm.cleared").first()
        assert event, "it is told"
        self.assertEqual(event.data["detail"]["ended"], "process_stopped")


class LostProcesses(TestCase):
    LOST, OTHER = (str(UUID(int=number)) for number in (1, 2))

    def active(self) -> set[str]:
        return set(RaisedAlarm.objects.filter(cleared_at=None).values_list("origin", flat=True))

    def pass_time(self, time: timedelta) -> None:
        RaisedAlarm.objects.update(seen_at=F("seen_at") - time)

    def test_leave_no_alarm_and_the_reason_is_told(self) -> None:
        report(self.LOST, [DISK])
        self.pass_time(LOST_AFTER + timedelta(seconds=1))
        report(self.OTHER, [DISK])
        clear_lost()
        self.assertEqual(self.active(), {self.OTHER})
        event = OutgoingEvent.objects.get(type="alarm.cleared")
        self.assertEqual(event.data["detail"], {"free_bytes": 1, "ended": "process_lost"})

    def test_are_those_that_have_not_repeated_their_alarms(self) -> None:
        for origin in (self.LOST, self.OTHER, "coverage"):
            report(origin, [DISK])
        self.pass_time(LOST_AFTER - timedelta(seconds=5))
        clear_lost()
        self.assertEqual(self.active(), {self.LOST, self.OTHER, "coverage"})
        report(self.OTHER, [DISK])
        self.pass_time(timedelta(seconds=6))
        clear_lost()
        self.assertEqual(self.active(), {self.OTHER, "coverage"}, "a job reports when it runs")

    @skipUnless(connection.vendor == "postgresql", "SQLite has the clock of its host")
    def test_are_told_by_the_clock_of_the_database(self) -> None:
        now, hour = timezone.now(), timedelta(hours=1)
        for step in (-hour, hour):
            with self.subTest(step), patch("django.utils.timezone.now", return_value=now + step):
                for alarms in ([DISK], [DISK], [], [DISK]):  # new, repeated, cleared, again
                    report(self.LOST, alarms)
                    if alarms:
                        clear_lost()
                        self.assertEqual(self.active(), {self.LOST})
            clear_lost()
            self.assertEqual(self.active(), {self.LOST})
            self.pass_time(LOST_AFTER + timedelta(seconds=1))
            with patch("django.utils.timezone.now", return_value=now + step):
                clear_lost()
            self.assertEqual(self.active(), set())
