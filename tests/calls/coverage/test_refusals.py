"""Rows of refused handshakes: written again without harm, removed after a month."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls.coverage import refusals
from calls.coverage.refusals import CALLS_PER_MINUTE, remove_old, store
from calls.models import CallCoverage, RefusedHandshake
from calls.worker.jobs import JOBS
from tests.calls.coverage.rows import state


def refused(*, days_ago: float = 0.0, **values: Any) -> RefusedHandshake:
    at = timezone.now() - timedelta(days=days_ago)
    defaults = {"reason": "expired", "from_acs": True, "process": uuid4(), "count": 1}
    return RefusedHandshake(id=uuid4(), first_at=at, last_at=at, **{**defaults, **values})


class Stored(TestCase):
    def test_a_row_that_is_written_again_has_its_new_count(self) -> None:
        row = refused(address="20.51.10.7", call_connection_id="c1", count=2)
        store([row, refused()])
        first_at = row.first_at
        row.count, row.last_at = 5, row.last_at + timedelta(seconds=30)
        store([row])
        store([row])
        self.assertEqual(RefusedHandshake.objects.count(), 2)
        found = RefusedHandshake.objects.get(id=row.id)
        self.assertEqual((found.count, found.first_at, found.last_at), (5, first_at, row.last_at))

    def test_thousands_take_few_statements(self) -> None:
        rows = [refused() for _ in range(5_000)]
        with CaptureQueriesContext(connection) as queries:
            store(rows)
        self.assertLessEqual(len(queries), 60)


class ProvenCalls(TestCase):
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=5)

    def refused(self, number: int, seconds: float = 0, **values: Any) -> RefusedHandshake:
        at = self.at + timedelta(seconds=seconds)
        row = refused(call_connection_id=f"c-{number}", reason="wrong_audience", **values)
        row.first_at = row.last_at = at
        return row

    def test_a_flood_proves_the_first_calls_of_each_minute(self) -> None:
        store([self.refused(number, number / 10) for number in range(100)])
        self.assertEqual(
            set(CallCoverage.objects.values_list("call_connection_id", flat=True)),
            {f"c-{number}" for number in range(CALLS_PER_MINUTE)},
        )
        store([self.refused(number, 30) for number in range(100, 200)])  # of another process
        self.assertEqual(CallCoverage.objects.count(), CALLS_PER_MINUTE)
        self.assertEqual(RefusedHandshake.objects.count(), 200)
        store([self.refused(number, 90) for number in range(200, 210)])
        self.assertEqual(CallCoverage.objects.count(), CALLS_PER_MINUTE + 10)

    def test_a_call_that_another_witness_names_is_marked_in_a_flood_too(self) -> None:
        state("c-99")
        CallCoverage.objects.update(due_at=None, judged_at=self.at)
        store([self.refused(number, number / 10) for number in range(100)])
        self.assertIsNotNone(CallCoverage.objects.get(call_connection_id="c-99").due_at)

    def test_after_a_long_outage_the_last_hours_prove_calls(self) -> None:
        with patch.object(refusals, "MOST_MINUTES", 2):
            store([self.refused(number, -60 * number) for number in range(5)])
        self.assertEqual(
            set(CallCoverage.objects.values_list("call_connection_id", flat=True)), {"c-0", "c-1"}
        )


class Removal(TestCase):
    def test_rows_older_than_a_month_are_removed(self) -> None:
        store([refused(days_ago=31), refused(days_ago=29), refused()])
        with patch.object(refusals, "REMOVED_AT_ONCE", 1):
            remove_old(Event())
        self.assertEqual(RefusedHandshake.objects.count(), 2)

    def test_a_flood_does_not_fill_the_disk(self) -> None:
        store([refused(days_ago=number / 100) for number in range(20)])
        with patch.object(refusals, "MOST_ROWS", 7):
            remove_old(Event())
        self.assertEqual(RefusedHandshake.objects.count(), 7)
        youngest = timezone.now() - timedelta(days=0.065)
        self.assertFalse(RefusedHandshake.objects.filter(last_at__lt=youngest).exists())

    def test_it_stops_with_its_process(self) -> None:
        store([refused(days_ago=31)])
        stopping = Event()
        stopping.set()
        remove_old(stopping)
        self.assertEqual(RefusedHandshake.objects.count(), 1)

    def test_it_is_a_job(self) -> None:
        self.assertIn(remove_old, [job.run for job in JOBS])
