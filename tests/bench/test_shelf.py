"""The evaluation of query plans, and the calls that the export benchmark plays."""

from __future__ import annotations

from unittest import TestCase

from django.test import TestCase as RowTestCase

from bench import recordings, shelf
from calls.export.export import Export
from calls.export.plan import ExportRequest, plan_of
from calls.export.queries import recording_of
from calls.models import Call
from tests.calls.admin.recordings import ALICE, BOB

ENDS_EARLY = """Aggregate  (cost=389.04..389.05 rows=1 width=8) (actual rows=1.00 loops=1)
  ->  Limit  (cost=0.00..264.03 rows=10001 width=16) (actual rows=10001.00 loops=1)
        ->  Seq Scan on calls_call  (cost=0.0..2640.0 rows=100000) (actual rows=10001.00 loops=1)"""
WHOLE = """Gather  (cost=1000.00..9.00 rows=33 width=16) (actual rows=80.00 loops=1)
  ->  Parallel Seq Scan on calls_participant u1  (cost=0.1..4534.1) (actual rows=26.67 loops=3)
        Filter: (call_id = ANY ('{}'::uuid[]))
        Rows Removed by Filter: 66640"""
SMALL = "Seq Scan on auth_user  (cost=0.00..1.0 rows=1 width=16) (actual rows=99999.00 loops=1)"


class PlanTests(TestCase):
    def test_a_scan_counts_with_the_rows_it_has_read_and_discarded(self) -> None:
        self.assertEqual(shelf.most_read(ENDS_EARLY), 10_001)
        self.assertAlmostEqual(shelf.most_read(WHOLE), 3 * (66_640 + 26.67))
        self.assertEqual(shelf.most_read(SMALL), 0)


class RecordingTests(RowTestCase):
    def test_a_call_has_the_requested_length_and_can_be_exported(self) -> None:
        call_id = recordings.make_call(150, (ALICE, BOB))
        plan = plan_of(recording_of(Call.objects.get(pk=call_id)), ExportRequest())
        self.assertEqual(plan.sample_count, 150 * recordings.RATE)
        self.assertEqual(sum(map(len, Export.of(plan).chunks())), 44 + 150 * 32_000)
