"""Periodic jobs: one process at a time, again after an error, taken over from a dead process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from django.db import OperationalError
from django.db.models import F
from django.test import TestCase

from calls.models import JobLease, database_now
from calls.worker import worker as module
from calls.worker.jobs import JOBS, Job
from calls.worker.worker import LATE_SECONDS, LEASE, Worker
from tests.streams.spools import Clock

MINUTE = 60.0


class WorkerTest(TestCase):
    def setUp(self) -> None:
        self.runs: list[str] = []
        self.job = self.counting("count")
        self.worker = Worker([self.job])

    def counting(self, name: str, has_work: Callable[[], object] = lambda: True) -> Job:
        return Job(name, MINUTE, lambda _stopping: self.runs.append(name), has_work)

    def lease(self, name: str = "count") -> JobLease:
        return JobLease.objects.get(name=name)

    def pass_seconds(self, seconds: float) -> None:
        JobLease.objects.update(
            due_at=F("due_at") - timedelta(seconds=seconds),
            expires_at=F("expires_at") - timedelta(seconds=seconds),
        )

    def assert_runs(self, worker: Worker | None = None) -> None:
        self.assertEqual((worker or self.worker).run_due(), ["count"])

    def assert_waits(self, worker: Worker | None = None) -> None:
        self.assertEqual((worker or self.worker).run_due(), [])


class Turns(WorkerTest):
    def test_run_once_per_interval(self) -> None:
        self.assert_runs()
        self.assert_waits()
        self.pass_seconds(MINUTE + 1)
        self.assert_runs()
        self.assertEqual(self.runs, ["count", "count"])

    def test_another_process_does_not_run_meanwhile(self) -> None:
        def run(_stopping: threading.Event) -> None:
            self.assert_waits(Worker([self.job]))
            self.runs.append("ran")

        self.assert_runs(Worker([Job("count", MINUTE, run)]))
        self.assertEqual(self.runs, ["ran"])

    def test_two_that_find_it_due_run_it_once(self) -> None:
        self.worker.run_due()
        self.pass_seconds(MINUTE + 1)
        self.assertEqual(module.due_among([self.job]), [self.job])
        self.assertTrue(module.take(self.job, uuid4()))
        self.assertFalse(module.take(self.job, uuid4()))

    def test_a_dead_process_is_replaced_when_its_lease_has_run_out(self) -> None:
        self.worker.run_due()
        self.pass_seconds(MINUTE + 1)
        self.assertTrue(module.take(self.job, uuid4()))
        self.assert_waits()
        self.pass_seconds(LEASE.total_seconds() - 5)
        self.assert_waits()
        self.pass_seconds(6)
        self.assert_runs()

    def test_one_that_has_lost_its_lease_does_not_give_back_that_of_another(self) -> None:
        other = uuid4()

        def run(_stopping: threading.Event) -> None:
            JobLease.objects.update(holder=other)

        Worker([Job("count", MINUTE, run)]).run_due()
        self.assertEqual((self.lease().holder, self.lease().due_at), (other, None))
        self.assertIsNotNone(self.lease().expires_at)

    def test_a_worker_that_stops_begins_no_other_job(self) -> None:
        worker = Worker([Job("stop", MINUTE, lambda stopping: stopping.set()), self.job])
        self.assertEqual(worker.run_due(), ["stop"])


class Errors(WorkerTest):
    def test_are_kept_and_the_job_runs_again(self) -> None:
        def fail(_stopping: threading.Event) -> None:
            raise OSError(111, "Connection refused")

        with self.assertLogs("calls.worker.worker", "WARNING") as logs:
            self.assert_runs(Worker([Job("count", MINUTE, fail)]))
        self.assertIn("job failed", logs.output[0])
        self.assertEqual(self.lease().last_error, "Connection refused")
        self.assertIsNone(self.lease().holder)
        self.assertIsNotNone(self.lease().due_at)

    def test_of_one_job_do_not_end_the_others(self) -> None:
        def fault(_stopping: threading.Event) -> None:
            raise ZeroDivisionError("division by zero")

        worker = Worker([Job("faulty", MINUTE, fault), self.job])
        with self.assertLogs("calls.worker.worker", "ERROR"):
            self.assertEqual(worker.run_due(), ["faulty", "count"])
        self.assertEqual(self.lease("faulty").last_error, "ZeroDivisionError: division by zero")

    def test_of_the_question_for_work_do_not_end_the_others(self) -> None:
        def fault() -> bool:
            raise ZeroDivisionError("division by zero")

        worker = Worker([self.counting("faulty", fault), self.job])
        with self.assertLogs("calls.worker.worker", "ERROR"):
            self.assert_runs(worker)

    def test_of_the_database_delay_one_job(self) -> None:
        lost = patch.object(module, "take", side_effect=OperationalError("the database is away"))
        with lost, self.assertLogs("calls.worker.worker", "WARNING") as logs:
            self.assert_waits()
        self.assertIn("job delayed", logs.output[0])
        self.assert_runs()

    def test_of_the_database_delay_all_jobs_with_one_line(self) -> None:
        away = OperationalError("the database is away")
        worker = Worker([self.counting("another"), self.job])
        with (
            patch.object(module, "due_among", side_effect=away),
            self.assertLogs("calls.worker.worker", "WARNING") as logs,
        ):
            self.assert_waits(worker)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("jobs delayed", logs.output[0])
        self.assertEqual(worker.run_due(), ["another", "count"])


class Cost(WorkerTest):
    def test_one_query_while_nothing_is_due(self) -> None:
        worker = Worker([*(self.counting(f"job-{number}") for number in range(9)), self.job])
        worker.run_due()
        with self.assertNumQueries(1):
            self.assert_waits(worker)

    def test_a_job_without_work_writes_no_row(self) -> None:
        work: list[int] = []
        worker = Worker([self.counting("count", lambda: work)])
        self.assert_waits(worker)
        with self.assertNumQueries(1):
            self.assert_waits(worker)
        self.assertEqual((self.lease().ran_at, self.runs), (None, []))
        work.append(1)
        self.assert_runs(worker)

    def test_webhooks_without_due_deliveries_write_no_row(self) -> None:
        [webhooks] = [job for job in JOBS if job.name == "webhooks"]
        worker = Worker([webhooks])
        self.assert_waits(worker)
        with self.assertNumQueries(2):
            self.assert_waits(worker)

    def test_jobs_that_make_others_late_are_logged(self) -> None:
        clock = Clock()
        slow = Job("slow", MINUTE, lambda _stopping: clock.forward(LATE_SECONDS + 1))
        with (
            patch("time.monotonic", clock),
            self.assertLogs("calls.worker.worker", "WARNING") as logs,
        ):
            self.assertEqual(Worker([self.job, slow]).run_due(), ["count", "slow"])
        self.assertIn("jobs delayed", logs.output[0])
        self.assertIn("'slowest': 'slow'", logs.output[0])


class ClocksSetBack(WorkerTest):
    """Moments in rows that are further in the future than they are ever written."""

    def test_a_job_that_would_wait_for_longer_than_its_interval_is_due(self) -> None:
        self.worker.run_due()
        JobLease.objects.update(due_at=database_now() + timedelta(seconds=MINUTE - 5))
        self.assert_waits()
        JobLease.objects.update(due_at=database_now() + timedelta(seconds=MINUTE + 5))
        self.assert_runs()

    def test_a_lease_of_a_dead_process_that_ends_too_late_is_free(self) -> None:
        self.worker.run_due()
        late = LEASE + timedelta(seconds=5)
        JobLease.objects.update(
            holder=uuid4(), due_at=None, expires_at=database_now() + LEASE - timedelta(seconds=5)
        )
        self.assert_waits()
        JobLease.objects.update(expires_at=database_now() + late)
        self.assert_runs()
        self.assertIsNone(self.lease().holder)
