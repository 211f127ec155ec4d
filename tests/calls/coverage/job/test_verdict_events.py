"""Events for other systems about verdicts, and the totals of missing seconds."""

from __future__ import annotations

from datetime import timedelta

from django.test import TestCase

from calls.models import (
    CallCoverage,
    LedgerEntry,
    MissingTotal,
    OutgoingEvent,
)
from tests.calls.coverage.rows import (
    CONNECTION,
    NOW,
    connected,
    judged,
    mark,
    record,
)
from tests.calls.rows import make_failed, make_gap


class Told(TestCase):
    def told(self) -> list[tuple[str, str]]:
        rows = OutgoingEvent.objects.order_by("occurred_at", "type")
        return [(row.type, row.data["call_connection_id"]) for row in rows]

    def test_a_complete_recording_is_ready(self) -> None:
        call = record()
        judged()
        (row,) = OutgoingEvent.objects.all()
        self.assertEqual((row.type, row.occurred_at), ("recording.ready", NOW))
        self.assertEqual(row.data["links"]["audio"], f"/api/v1/calls/{call.id}/audio")
        self.assertEqual(row.data["verdict"], "complete")

    def test_each_new_verdict_is_told_once(self) -> None:
        connected()
        judged()
        record()
        judged(now=NOW + timedelta(minutes=1))
        mark()
        judged(now=NOW + timedelta(minutes=2))
        self.assertEqual(
            self.told(), [("recording.missing", CONNECTION), ("recording.ready", CONNECTION)]
        )

    def test_a_recording_with_gaps_is_incomplete(self) -> None:
        call = record()
        make_gap(call.participants.get(), at=10, seconds=5)
        judged()
        (row,) = OutgoingEvent.objects.all()
        self.assertEqual(row.type, "recording.incomplete")
        self.assertEqual(row.data["missing_seconds"], {"not_received": 5.0})

    def test_a_recording_is_not_ready_before_all_of_it_is_sealed(self) -> None:
        call = record(end=60)
        failed = make_failed(name=f"{call.subscriptions.get().stream_id}.000003.unreadable")
        self.assertEqual(judged().verdict, "complete")
        self.assertEqual(self.told(), [])
        failed.delete()
        judged(now=NOW + timedelta(minutes=1))
        self.assertEqual(self.told(), [("recording.ready", CONNECTION)])

    def test_a_call_too_short_to_be_streamed_is_not_told(self) -> None:
        connected(0, 2)
        self.assertEqual(judged().verdict, "complete")
        self.assertEqual(self.told(), [])

    def test_calls_older_than_the_coverage_are_not_told(self) -> None:
        record()
        CallCoverage.objects.update(notify=False)
        self.assertEqual(judged().verdict, "complete")
        self.assertEqual(self.told(), [])


class Totals(TestCase):
    def total(self, reason: str = "not_received") -> float:
        return MissingTotal.objects.get(reason=reason).seconds

    def test_missing_seconds_are_added_once_and_never_subtracted(self) -> None:
        call = record()
        make_gap(call.participants.get(), at=10, seconds=5)
        judged()
        mark()
        judged()
        self.assertEqual(self.total(), 5.0)
        LedgerEntry.objects.all().delete()
        mark()
        self.assertEqual(judged().verdict, "complete")
        self.assertEqual(self.total(), 5.0)
        make_gap(call.participants.get(), at=20, seconds=8)
        mark()
        judged()
        self.assertEqual(self.total(), 8.0)
