"""Marks of calls to be judged: which, and when."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

from django.test import TestCase
from django.utils import timezone

from calls.coverage import due
from calls.coverage.job import runner
from calls.models import CallCoverage, CallEvent, ExpectedCall, coverage_id_of
from tests.calls.coverage.rows import CONNECTION, NOW, at, connected, event, judged, mark, record
from tests.calls.rows import START


class Marks(TestCase):
    def test_a_witness_marks_its_call_for_later(self) -> None:
        before = timezone.now()
        mark()
        due_at = CallCoverage.objects.get().due_at
        assert due_at, "it is marked"
        self.assertGreaterEqual(due_at, before + timedelta(seconds=120))
        self.assertLessEqual(due_at, timezone.now() + timedelta(seconds=120))

    def test_something_late_marks_it_for_at_once(self) -> None:
        record()
        judged()
        mark()
        due_at = CallCoverage.objects.get().due_at
        assert due_at, "it is marked"
        self.assertLessEqual(due_at, timezone.now() + timedelta(seconds=5))

    def test_an_earlier_time_stays(self) -> None:
        mark()
        CallCoverage.objects.update(due_at=START)
        mark()
        self.assertEqual(CallCoverage.objects.get().due_at, START)

    def test_a_witness_with_both_ids_has_its_call_joined_soon(self) -> None:
        """Otherwise the page counts it twice for two minutes, as not judged yet."""
        mark("", "correlation-1")
        mark("", "of another call")
        before = timezone.now()
        event("CallConnected", 0, "connection-2", correlation_id="correlation-1")
        rows = {row.id: row.due_at for row in CallCoverage.objects.all()}
        soon = rows[coverage_id_of("", "correlation-1")]
        assert soon, "it is marked"
        self.assertLessEqual(soon, timezone.now() + timedelta(seconds=5))
        for other in (coverage_id_of("", "of another call"), coverage_id_of("connection-2", "")):
            self.assertGreaterEqual(rows[other] or START, before + timedelta(seconds=60))
        CallCoverage.objects.filter(id=coverage_id_of("", "correlation-1")).update(due_at=START)
        runner.run(Event())
        self.assertEqual(
            sorted(CallCoverage.objects.values_list("call_connection_id", flat=True)),
            ["", "connection-2"],
        )

    def test_so_does_a_witness_with_one_id_if_the_other_is_known(self) -> None:
        """`CallStarted` of Event Grid may come after the first callback, or after the socket."""
        event("CallConnected", 0, "connection-1", correlation_id="correlation-1")
        record("connection-2", correlation_id="correlation-2")
        for number in (1, 2, 3):
            mark("", f"correlation-{number}")
        soon = CallCoverage.objects.filter(due_at__lte=timezone.now() + timedelta(seconds=5))
        self.assertEqual(
            sorted(soon.values_list("correlation_id", flat=True)),
            ["correlation-1", "correlation-2"],
        )

    def test_a_call_with_both_ids_costs_one_statement_more_if_nothing_is_joined(self) -> None:
        with self.assertNumQueries(3):
            due.mark([due.CallKey(CONNECTION, "correlation-1", START)])

    def test_the_sealer_marks_again_only_what_was_judged(self) -> None:
        record()
        key = due.CallKey(CONNECTION, "", START)
        CallCoverage.objects.update(due_at=None)
        due.mark(judged=[key])
        self.assertIsNone(CallCoverage.objects.get().due_at)
        CallCoverage.objects.update(judged_at=NOW)
        due.mark(judged=[key])
        self.assertIsNotNone(CallCoverage.objects.get().due_at)

    def test_a_range_marks_its_judged_calls(self) -> None:
        for name, seconds in (("first", 0), ("second", 100), ("third", 200)):
            record(name, seconds, seconds + 60)
            judged(name)
        due.mark_range(at(50), at(150))
        marked = CallCoverage.objects.filter(due_at__isnull=False)
        self.assertEqual([row.call_connection_id for row in marked], ["second"])

    def test_a_range_marks_only_calls_that_no_other_witness_knew(self) -> None:
        for name in ("alone", "with events", "unexpected"):
            record(name)
        connected(connection="with events")
        CallCoverage.objects.filter(call_connection_id="unexpected").update(due_at=START)
        judged("with events")
        judged("unexpected")
        CallEvent.objects.update(received_at=at(-90_000))
        judged("alone")
        due.mark_range(at(-10), at(10))
        marked = CallCoverage.objects.filter(due_at__isnull=False)
        self.assertEqual([row.call_connection_id for row in marked], ["alone"])

    def test_many_calls_take_two_statements(self) -> None:
        keys = [due.CallKey(f"connection-{n}", "", START) for n in range(50)]
        with self.assertNumQueries(2):
            due.mark(keys)
        self.assertEqual(CallCoverage.objects.count(), 50)
        self.assertFalse(ExpectedCall.objects.exists())
