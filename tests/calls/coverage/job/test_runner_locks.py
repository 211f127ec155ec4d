"""The job that judges calls, in two processes, and beside witnesses that come meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep
from unittest.mock import patch

from django.db import connection, connections, transaction
from django.test import TransactionTestCase, skipUnlessDBFeature

from calls.coverage.job import loading, runner
from calls.coverage.job.loading import Loaded
from calls.models import CallCoverage, coverage_id_of
from tests.calls.coverage.rows import NOW, event, mark, record
from tests.calls.rows import START


@skipUnlessDBFeature("has_select_for_update_skip_locked")
class TwoProcesses(TransactionTestCase):
    late: Future[object]

    def other(self, work: Callable[[], object]) -> object:
        """Does something in another connection while this one holds its locks."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self.closing, work).result(timeout=20)

    @staticmethod
    def closing(work: Callable[[], object]) -> object:
        try:
            return work()
        finally:
            connections.close_all()

    @staticmethod
    def wait_for_a_lock() -> None:
        """Waits until another connection waits for a lock."""
        until = monotonic() + 10
        with connection.cursor() as cursor:
            while monotonic() < until:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[0]:
                    return
                sleep(0.01)

    def setUp(self) -> None:
        record()
        CallCoverage.objects.update(due_at=START)
        self.row = CallCoverage.objects.get()

    def test_a_call_that_another_process_judges_is_skipped(self) -> None:
        with transaction.atomic():
            CallCoverage.objects.select_for_update().get()
            self.assertFalse(self.other(lambda: runner.judge(self.row.id, NOW)))
        self.assertTrue(runner.judge(self.row.id, NOW))

    def test_a_witness_is_not_lost_if_the_row_of_its_call_is_deleted_meanwhile(self) -> None:
        event("IncomingCall", 0, "rings")
        ringing = CallCoverage.objects.filter(id=coverage_id_of("rings", ""))
        ringing.update(due_at=START)
        waiting = ThreadPoolExecutor(1)
        self.addCleanup(waiting.shutdown)
        load = loading.load

        def loaded_before(row: CallCoverage) -> Loaded:
            found = load(row)
            self.late = waiting.submit(self.closing, lambda: mark("rings"))
            self.wait_for_a_lock()
            return found

        with patch.object(runner, "load", loaded_before):
            runner.judge(ringing.get().id, NOW)
        self.late.result(timeout=20)
        self.assertEqual(ringing.get().verdict, "unknown")

    def test_a_witness_that_is_committed_while_a_call_is_judged_is_not_lost(self) -> None:
        waiting = ThreadPoolExecutor(1)
        self.addCleanup(waiting.shutdown)
        load = loading.load

        def loaded_before(row: CallCoverage) -> Loaded:
            found = load(row)
            self.late = waiting.submit(self.closing, mark)
            return found

        with patch.object(runner, "load", loaded_before):
            runner.judge(self.row.id, NOW)
        self.late.result(timeout=20)
        row = CallCoverage.objects.get()
        self.assertEqual((row.verdict, row.due_at is None), ("complete", False))
