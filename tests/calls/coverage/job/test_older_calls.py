"""Calls without coverage: added slowly, the newest first, and looked for again once a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from unittest.mock import patch

from django.test import TestCase
from django.utils import timezone

from calls.coverage.job import older_calls
from calls.coverage.job.older_calls import EVERY, JOB, SETTLED, add_older_calls
from calls.models import CallCoverage, JobLease
from tests.calls.rows import make_call


class OlderCalls(TestCase):
    def setUp(self) -> None:
        self.now = timezone.now()
        self.old = [self.call(f"call-{day}", self.now - timedelta(days=day)) for day in range(1, 6)]

    def call(self, connection: str, at: datetime) -> str:
        return make_call(connection, started_at=at).call_connection_id

    def added(self) -> list[str]:
        rows = CallCoverage.objects.order_by("-started_at")
        return list(rows.values_list("call_connection_id", flat=True))

    def later(self, time: timedelta) -> int:
        """Returns how many calls are added after some time."""
        clock = "calls.coverage.job.older_calls.timezone.now"
        with patch(clock, return_value=self.now + time):
            return add_older_calls()

    def test_calls_are_added_to_be_judged_and_not_told(self) -> None:
        self.assertEqual(add_older_calls(), 5)
        self.assertEqual(self.added(), self.old)
        for row in CallCoverage.objects.all():
            self.assertFalse(row.notify)
            assert row.due_at, "it is in the queue"
            self.assertLessEqual(row.due_at, timezone.now())

    def test_they_are_added_in_parts_from_where_the_last_part_ended(self) -> None:
        with patch.object(older_calls, "CALLS", 2):
            counts = [add_older_calls() for _ in range(4)]
        self.assertEqual(counts, [2, 2, 1, 0])
        self.assertEqual(self.added(), self.old)

    def test_calls_that_start_at_the_same_time_are_all_added(self) -> None:
        at = self.now - timedelta(days=9)
        for number in range(5):
            self.call(f"same-{number}", at)
        with patch.object(older_calls, "CALLS", 2):
            added = sum(add_older_calls() for _ in range(7))
        self.assertEqual(added, 10)

    def test_calls_with_coverage_and_canaries_are_left_as_they_are(self) -> None:
        add_older_calls()
        CallCoverage.objects.update(due_at=None, notify=True)
        JobLease.objects.all().delete()
        self.call("canary-1", self.now - timedelta(days=2))
        self.assertEqual(add_older_calls(), 0)
        self.assertFalse(CallCoverage.objects.filter(due_at__isnull=False).exists())

    def test_young_calls_are_left_to_the_sealer(self) -> None:
        self.call("young", self.now - SETTLED / 2)
        add_older_calls()
        self.assertNotIn("young", self.added())

    def test_a_day_later_it_looks_again_at_what_has_been_added_since(self) -> None:
        add_older_calls()
        self.call("sealed-by-the-version-before", self.now - timedelta(hours=1))
        self.call("sealed-late", self.now - timedelta(days=1, hours=1))
        self.assertEqual(self.later(EVERY - timedelta(minutes=1)), 0)
        self.assertEqual(self.later(EVERY + timedelta(minutes=1)), 2)
        position = JobLease.objects.get(name=JOB).position
        self.assertTrue(position["done"])
        self.assertTrue(position["until"])
