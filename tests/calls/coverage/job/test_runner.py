"""The job that judges calls: when a call is due, and what a run does with faults."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from unittest.mock import patch

from django.db import OperationalError
from django.test import TestCase
from django.utils import timezone

from calls.coverage.job import runner
from calls.coverage.job.runner import LIVE_CHECK, PATIENCE, UNSEALED_CHECK
from calls.models import (
    CallCoverage,
    Participant,
    Subscription,
    coverage_id_of,
)
from tests.calls.coverage.rows import (
    NOW,
    at,
    event,
    judged,
    mark,
    missing,
    record,
    state,
)
from tests.calls.rows import START, make_failed
from tests.streams.spools import Clock


class When(TestCase):
    def row(self) -> CallCoverage:
        return CallCoverage.objects.get()

    def test_a_call_is_judged_a_while_after_its_end(self) -> None:
        record()
        early = judged(now=at(60 + 119))
        self.assertEqual((early.verdict, early.due_at), ("unknown", at(60 + 120)))
        self.assertEqual(judged(now=at(60 + 120)).verdict, "complete")

    def test_a_live_call_waits_for_its_end(self) -> None:
        record(socket={"disconnected_at": None, "seen_at": NOW - timedelta(seconds=5)})
        row = judged()
        self.assertEqual((row.verdict, row.due_at), ("unknown", NOW + LIVE_CHECK))

    def test_a_socket_that_nobody_has_ended_waits_for_its_journal(self) -> None:
        seen_at = NOW - timedelta(minutes=5)
        record(socket={"disconnected_at": None, "seen_at": seen_at})
        row = judged()
        self.assertEqual((row.verdict, row.due_at), ("unknown", NOW + UNSEALED_CHECK))

    def test_a_lost_host_leaves_time_that_is_not_sealed_and_is_looked_for(self) -> None:
        record(end=30, socket={"disconnected_at": None, "seen_at": at(60)})
        row = judged()
        self.assertEqual(missing(row), [(30, 60, "not_sealed")])
        self.assertGreater(row.due_at or NOW, NOW)
        Subscription.objects.update(disconnected_at=at(60))
        Participant.objects.update(heard_until=at(60))
        row = judged(now=NOW + timedelta(minutes=1))
        self.assertEqual((row.verdict, row.due_at), ("complete", None))

    def test_a_host_that_is_lost_for_months_is_given_up(self) -> None:
        record(end=30, socket={"disconnected_at": None, "seen_at": at(60)})
        self.assertIsNone(judged(now=NOW + timedelta(days=61)).due_at)

    def test_a_journal_that_was_set_aside_is_not_sealed(self) -> None:
        call = record(end=60)
        Participant.objects.update(heard_until=at(30))
        make_failed(name=f"{call.subscriptions.get().stream_id}.000003.unreadable")
        self.assertEqual(missing(judged()), [(30, 60, "not_sealed")])

    def test_a_call_without_its_end_is_judged_when_nothing_comes_any_more(self) -> None:
        event("CallConnected", 0)
        record(end=60)
        row = judged(now=at(400))
        self.assertEqual((row.verdict, row.due_at), ("unknown", at(60) + PATIENCE))
        self.assertEqual(judged(now=at(60) + PATIENCE).verdict, "complete")
        event("CallDisconnected", 90)
        row = judged()
        self.assertEqual((row.verdict, missing(row)), ("partial", [(60, 90, "not_connected")]))

    def test_a_call_that_is_announced_waits_for_its_end(self) -> None:
        end = NOW + timedelta(hours=3)
        state(ended_at=end)
        row = judged()
        self.assertEqual((row.verdict, row.due_at), ("unknown", end + timedelta(seconds=120)))

    def test_a_statement_about_the_far_future_is_judged_in_a_day(self) -> None:
        state(ended_at=NOW + timedelta(days=4), received_at=NOW)
        row = judged()
        self.assertEqual(row.due_at, NOW + timedelta(days=1, seconds=120))
        later = judged(now=NOW + timedelta(days=2))
        self.assertEqual((later.verdict, later.ended_at), ("missing", NOW + timedelta(days=1)))

    def test_a_stated_call_lasts_seven_days_at_most(self) -> None:
        state(started_at=at(-(10**7)), ended_at=at(60))
        self.assertEqual(judged().expected_seconds, 7 * 86_400)

    def test_an_event_from_the_future_delays_nothing(self) -> None:
        event("CallConnected", 0)
        event("CallDisconnected", 10**9, delay=60 - 10**9)
        self.assertEqual(judged().verdict, "missing")

    def test_the_job_judges_only_calls_that_are_due(self) -> None:
        record()
        runner.run(Event())
        self.assertEqual(self.row().verdict, "unknown")
        CallCoverage.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        runner.run(Event())
        self.assertEqual(self.row().verdict, "complete")

    def test_calls_of_today_are_judged_before_those_of_an_import(self) -> None:
        for number in range(5):
            state(f"old-{number}")
        state("of-today")
        CallCoverage.objects.update(due_at=START)
        today = CallCoverage.objects.filter(call_connection_id="of-today")
        today.update(started_at=timezone.now() - timedelta(hours=1), due_at=NOW)
        with patch.object(runner, "BATCH", 3):
            first = [pk for pk, _ in runner._due_rows()]
        self.assertEqual((first[0], len(first)), (coverage_id_of("of-today", ""), 3))

    def test_the_job_stops_when_it_is_told(self) -> None:
        record()
        CallCoverage.objects.update(due_at=START)
        stopping = Event()
        stopping.set()
        runner.run(stopping)
        self.assertEqual(self.row().verdict, "unknown")

    def test_a_run_delays_other_jobs_by_a_few_seconds_and_leaves_the_rest(self) -> None:
        clock, judged_ids = Clock(), set()

        def judge(coverage_id: object, _now: object) -> bool:
            judged_ids.add(coverage_id)
            clock.forward(1)
            return True

        for number in range(10):
            mark(f"connection-{number}")
        CallCoverage.objects.update(due_at=START)
        with patch.object(runner, "judge", judge), patch("time.monotonic", clock):
            runner.run(Event())
        self.assertEqual(len(judged_ids), 4)

    def test_a_fault_of_one_call_keeps_no_other_from_being_judged(self) -> None:
        record("first")
        record("second")
        CallCoverage.objects.update(due_at=START)
        healthy = runner.judge
        faulty = coverage_id_of("first", "")

        def judge(coverage_id: object, now: object) -> bool:
            if coverage_id == faulty:
                raise ValueError("a fault of the program")
            return healthy(coverage_id, now)  # type: ignore[arg-type]  # passed through

        with patch.object(runner, "judge", judge), self.assertLogs(level="ERROR"):
            runner.run(Event())
        rows = {row.call_connection_id: row for row in CallCoverage.objects.all()}
        self.assertEqual(rows["second"].verdict, "complete")
        due_at = rows["first"].due_at
        assert due_at, "it is tried again"
        self.assertGreater(due_at, timezone.now() + timedelta(minutes=50))

    def test_a_database_that_fails_ends_the_run(self) -> None:
        record()
        CallCoverage.objects.update(due_at=START)
        with patch.object(runner, "judge", side_effect=OperationalError("away")):
            self.assertRaises(OperationalError, runner.run, Event())
