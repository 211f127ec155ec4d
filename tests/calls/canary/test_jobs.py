"""Periodic jobs of canary calls: the alarm, and the deletion after a day."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

from django.test import TestCase
from django.utils import timezone

from calls.canary import jobs
from calls.models import Call, CanaryRun, RaisedAlarm, Segment
from calls.worker.jobs import JOBS
from tests.calls.canary.rows import make_canary
from tests.calls.rows import make_call, make_subscription

DAY = timedelta(days=1)


class DeletionTests(TestCase):
    def setUp(self) -> None:
        self.now = timezone.now()
        self.real = make_call("411f0b00-1")
        self.old, self.young = make_canary(), make_canary()
        runs = CanaryRun.objects.all()
        ids = {"call_connection_id": self.old.call_connection_id}
        runs.filter(**ids).update(started_at=self.now - DAY - timedelta(minutes=1))
        runs.exclude(**ids).update(started_at=self.now - DAY + timedelta(minutes=1))

    def left(self) -> set[Call]:
        return set(Call.objects.all())

    def test_canary_calls_are_deleted_after_a_day_with_their_audio(self) -> None:
        jobs.delete_old(Event())
        self.assertEqual(self.left(), {self.real, self.young})
        self.assertFalse(Segment.objects.filter(participant__call=self.old.pk).exists())
        self.assertEqual(CanaryRun.objects.with_calls().count(), 1)
        self.assertEqual(CanaryRun.objects.count(), 2, "the results stay")

    def test_a_call_that_is_still_being_written_is_deleted_later(self) -> None:
        socket = make_subscription(self.old, seen_at=self.now, disconnected_at=None)
        jobs.delete_old(Event())
        self.assertEqual(self.left(), {self.real, self.old, self.young})
        self.assertEqual(CanaryRun.objects.with_calls().count(), 2)
        socket.disconnected_at, socket.close_code = self.now - timedelta(minutes=9), 1000
        socket.save()
        jobs.delete_old(Event())
        self.assertEqual(self.left(), {self.real, self.young})

    def test_results_are_deleted_after_a_month(self) -> None:
        jobs.delete_old(Event())
        CanaryRun.objects.update(started_at=self.now - 31 * DAY)
        jobs.delete_old(Event())
        self.assertEqual(self.left(), {self.real})
        self.assertEqual(CanaryRun.objects.count(), 0)

    def test_it_stops_with_its_process(self) -> None:
        stopping = Event()
        stopping.set()
        jobs.delete_old(stopping)
        self.assertEqual(self.left(), {self.real, self.old, self.young})


class AlarmTests(TestCase):
    def test_the_worker_reports_the_alarm_of_canaries_that_stay_away(self) -> None:
        CanaryRun.objects.create(
            call_connection_id="canary-1",
            started_at=timezone.now() - DAY,
            finished_at=timezone.now() - DAY,
            every_seconds=300.0,
            outcome="passed",
        )
        [job] = [job for job in JOBS if job.name == "report_canary_alarm"]
        job.run(Event())
        [alarm] = RaisedAlarm.objects.all()
        self.assertEqual((alarm.name, alarm.detail["reason"]), ("canary_failed", "stopped"))
