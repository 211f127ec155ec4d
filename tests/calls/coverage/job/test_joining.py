"""Calls that are known by their correlation id, and then by their connection."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.test import TestCase
from django.utils import timezone

from calls.coverage.job import runner
from calls.models import (
    Call,
    CallCoverage,
    FormerVerdict,
    MissingTotal,
    OutgoingEvent,
    coverage_id_of,
)
from calls.storage.deletion import delete_call
from tests.calls.coverage.rows import NOW, event, judged, mark, missing, record, state
from tests.calls.rows import START

CORRELATION = "correlation-1"
ALONE = coverage_id_of("", CORRELATION)


def judge(coverage_id: UUID) -> None:
    CallCoverage.objects.update(due_at=START)
    runner.judge(coverage_id, NOW)


def record_without_connection() -> Call:
    call = record(correlation_id=CORRELATION)
    Call.objects.update(call_connection_id="")
    call.refresh_from_db()
    CallCoverage.objects.all().delete()
    mark("", CORRELATION)
    return call


class Joined(TestCase):
    def test_a_call_named_by_correlation_id_is_joined_to_its_connection(self) -> None:
        state("", correlation_id="correlation-1")
        alone = judged("", "correlation-1")
        self.assertEqual(alone.verdict, "missing")
        record(correlation_id="correlation-1")
        mark("", "correlation-1")
        CallCoverage.objects.update(due_at=START)
        runner.judge(alone.id, NOW)
        self.assertFalse(CallCoverage.objects.filter(id=alone.id).exists())
        row = judged()
        self.assertEqual((row.verdict, row.facts["basis"]), ("complete", "statements"))
        self.assertEqual([one.verdict for one in row.former.all()], ["missing"])
        self.assertEqual(CallCoverage.objects.count(), 1)

    def test_a_verdict_goes_with_the_call(self) -> None:
        state("", correlation_id=CORRELATION)
        judged("", CORRELATION)
        event("IncomingCall", 0, correlation_id=CORRELATION)
        mark("", CORRELATION)
        judge(ALONE)
        row = CallCoverage.objects.get()
        self.assertEqual((row.verdict, row.judged_at), ("missing", NOW))
        self.assertEqual(missing(row), [(0, 60, "never_streamed")])
        self.assertEqual(row.facts["told"], "recording.missing")

    def test_its_missing_seconds_are_counted_and_told_once(self) -> None:
        state("", correlation_id=CORRELATION)
        judged("", CORRELATION)
        event("IncomingCall", 0, correlation_id=CORRELATION)
        mark("", CORRELATION)
        judge(ALONE)
        judged()
        self.assertEqual(MissingTotal.objects.get().seconds, 60.0)
        self.assertEqual(OutgoingEvent.objects.count(), 1)
        self.assertFalse(FormerVerdict.objects.exists())

    def test_verdicts_of_both_are_kept(self) -> None:
        state("", correlation_id=CORRELATION)
        judged("", CORRELATION)
        state(correlation_id="")
        judged()
        event("IncomingCall", 0, correlation_id=CORRELATION)
        mark("", CORRELATION)
        judge(ALONE)
        row = CallCoverage.objects.get()
        self.assertEqual(row.facts["counted"], {"never_streamed": 120.0})
        self.assertEqual([one.verdict for one in row.former.all()], ["missing"])

    def test_a_recording_without_a_connection_id_belongs_to_the_call(self) -> None:
        call = record_without_connection()
        event("CallConnected", 0, correlation_id=CORRELATION)
        event("CallDisconnected", 60, correlation_id=CORRELATION)
        judge(ALONE)
        row = judged()
        self.assertEqual((row.verdict, row.call_id), ("complete", call.id))

    def test_a_call_whose_recording_was_deleted_is_not_missing(self) -> None:
        call = record_without_connection()
        judged("", CORRELATION)
        delete_call(call.id, timezone.now())
        event("CallConnected", 0, correlation_id=CORRELATION)
        event("CallDisconnected", 60, correlation_id=CORRELATION)
        mark("", CORRELATION)
        judge(ALONE)
        self.assertEqual(judged(now=NOW + timedelta(hours=1)).verdict, "complete")

    def test_a_call_without_a_connection_stays_alone(self) -> None:
        state("", correlation_id=CORRELATION)
        state("canary-1", correlation_id=CORRELATION)
        self.assertEqual(judged("", CORRELATION).verdict, "missing")
        self.assertEqual(CallCoverage.objects.count(), 1)
