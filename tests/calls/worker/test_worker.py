"""Periodic jobs: one process at a time, again after an error, taken over from a dead process."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

from django.db import OperationalError
from django.db.models import F
from django.test import TestCase
from django.utils import timezone

from calls.models import JobLease
from calls.worker import worker as module
from calls.worker.jobs import Job
from calls.worker.worker import Worker


class Jobs(TestCase):
    def setUp(self) -> None:
        self.runs: list[str] = []
        self.job = Job("count", 60.0, lambda _stopping: self.runs.append("ran"))
        self.worker = Worker([self.job])

    def lease(self) -> JobLease:
        return JobLease.objects.get(name="count")

    def test_run_once_per_interval(self) -> None:
        self.assertTrue(self.worker.run_if_due(self.job))
        self.assertFalse(self.worker.run_if_due(self.job))
        self.assertEqual(len(self.runs), 1)
        JobLease.objects.update(due_at=F("due_at") - timedelta(seconds=61))
        self.assertTrue(self.worker.run_if_due(self.job))
        self.assertEqual(len(self.runs), 2)

    def test_another_process_does_not_run_meanwhile(self) -> None:
        def run(_stopping: threading.Event) -> None:
            self.runs.append(str(Worker([self.job]).run_if_due(self.job)))

        self.worker.run_if_due(Job("count", 60.0, run))
        self.assertEqual(self.runs, ["False"])

    def test_a_dead_process_is_replaced_when_its_lease_has_run_out(self) -> None:
        self.assertTrue(module.take("count", uuid4()))
        self.assertFalse(self.worker.run_if_due(self.job))
        JobLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        self.assertTrue(self.worker.run_if_due(self.job))

    def test_an_error_is_kept_and_the_job_runs_again(self) -> None:
        def fail(_stopping: threading.Event) -> None:
            raise OSError(111, "Connection refused")

        with self.assertLogs("calls.worker.worker", "WARNING") as logs:
            self.worker.run_if_due(Job("count", 60.0, fail))
        self.assertIn("job failed", logs.output[0])
        self.assertEqual(self.lease().last_error, "Connection refused")
        self.assertIsNone(self.lease().holder)
        self.assertIsNotNone(self.lease().due_at)

    def test_a_fault_of_one_job_does_not_end_the_others(self) -> None:
        def fault(_stopping: threading.Event) -> None:
            raise ZeroDivisionError("division by zero")

        with self.assertLogs("calls.worker.worker", "ERROR"):
            self.worker.run_if_due(Job("faulty", 60.0, fault))
        self.assertTrue(self.worker.run_if_due(self.job))
        self.assertEqual(
            JobLease.objects.get(name="faulty").last_error, "ZeroDivisionError: division by zero"
        )

    def test_a_lost_database_delays_a_job(self) -> None:
        def away(*_arguments: object) -> bool:
            raise OperationalError("the database is away")

        with self.assertLogs("calls.worker.worker", "WARNING") as logs:
            original, module.take = module.take, away  # type: ignore[assignment]
            try:
                self.assertFalse(self.worker.run_if_due(self.job))
            finally:
                module.take = original
        self.assertIn("job delayed", logs.output[0])
        self.assertTrue(self.worker.run_if_due(self.job))

    def test_a_clock_that_was_ahead_delays_no_job_for_long(self) -> None:
        self.worker.run_if_due(self.job)
        JobLease.objects.update(due_at=timezone.now() + timedelta(days=30))
        self.assertTrue(self.worker.run_if_due(self.job))
