"""Verdicts that are judged again, and those of calls or witnesses that were deleted."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.test import TestCase
from django.utils import timezone

from calls.models import (
    Call,
    CallCoverage,
    CallEvent,
    FormerVerdict,
    OutgoingEvent,
    RefusedHandshake,
)
from calls.storage.deletion import delete_call
from tests.calls.coverage.rows import (
    CONNECTION,
    NOW,
    at,
    connected,
    event,
    judged,
    mark,
    missing,
    record,
    state,
)
from tests.calls.rows import make_gap, make_refusal


class Again(TestCase):
    def test_the_same_witnesses_give_the_same_verdict_once(self) -> None:
        call = record()
        make_gap(call.participants.get(), at=10, seconds=5)
        first = judged()
        mark()
        second = judged(now=NOW + timedelta(hours=1))
        self.assertEqual((second.judged_at, second.due_at), (first.judged_at, None))
        self.assertEqual(FormerVerdict.objects.count(), 0)
        self.assertEqual(OutgoingEvent.objects.count(), 1)

    def test_a_former_verdict_is_kept_with_its_facts(self) -> None:
        record()
        judged()
        state(ended_at=at(100))
        row = judged(now=NOW + timedelta(hours=1))
        self.assertEqual(row.verdict, "partial")
        (former,) = row.former.all()
        self.assertEqual((former.verdict, former.expected_seconds), ("complete", 60.0))
        self.assertEqual((former.judged_at, former.replaced_at), (NOW, NOW + timedelta(hours=1)))
        self.assertEqual(former.facts["basis"], "journal")

    def test_other_seconds_are_another_verdict(self) -> None:
        call = record()
        make_gap(call.participants.get(), at=10, seconds=5)
        judged()
        make_gap(call.participants.get(), at=30, seconds=2)
        mark()
        row = judged()
        self.assertEqual(row.missing_seconds, 7.0)
        self.assertEqual([one.missing_seconds for one in row.former.all()], [5.0])


class Deleted(TestCase):
    def test_figures_of_a_deleted_call_stay_as_they_were(self) -> None:
        call = record()
        make_gap(call.participants.get(), at=10, seconds=5)
        connected()
        before = judged()
        delete_call(call.id, timezone.now())
        mark()
        after = judged()
        self.assertEqual((after.verdict, after.missing_seconds), ("partial", 5.0))
        self.assertEqual((after.due_at, after.judged_at), (None, before.judged_at))

    def test_events_about_a_deleted_call_are_deleted_too(self) -> None:
        call = record()
        connected()
        connected(connection="another")
        delete_call(call.id, timezone.now())
        self.assertEqual(
            set(CallEvent.objects.values_list("call_connection_id", flat=True)), {"another"}
        )

    def test_events_of_a_server_call_stay_while_another_recording_has_it(self) -> None:
        first, second = record("first"), record("second")
        record("third")
        for connection in ("first", "second", "unrecorded"):
            event("CallConnected", 0, connection, server_call_id="shared")
        event("CallConnected", 0, "third", server_call_id="own")
        for server, correlation in (("shared", ""), ("shared", first.correlation_id), ("own", "")):
            event("CallEnded", 60, "", server_call_id=server, correlation_id=correlation)

        def ended() -> list[str]:
            rows = CallEvent.objects.filter(call_connection_id="").order_by("server_call_id")
            return list(rows.values_list("server_call_id", flat=True))

        delete_call(first.id, timezone.now())
        self.assertFalse(CallEvent.objects.filter(call_connection_id="first").exists())
        self.assertEqual(ended(), ["own", "shared", "shared"])
        delete_call(second.id, timezone.now())
        self.assertEqual(ended(), ["own"], "the last recording of it is deleted")

    def test_a_call_deleted_before_it_was_judged_is_not_missing(self) -> None:
        call = record()
        state()
        delete_call(call.id, timezone.now())
        self.assertEqual(judged().verdict, "unknown")

    def test_events_stay_while_another_recording_of_the_call_does(self) -> None:
        call = record()
        Call.objects.create(
            id=uuid4(), call_connection_id=CONNECTION, started_at=at(90), continuation=1
        )
        connected()
        delete_call(call.id, timezone.now())
        self.assertEqual(CallEvent.objects.count(), 2)


class LostWitnesses(TestCase):
    """Rows of witnesses are deleted after a month; verdicts stay."""

    def test_a_verdict_stays_if_events_behind_it_have_been_deleted(self) -> None:
        connected()
        self.assertEqual(missing(judged()), [(0, 60, "never_streamed")])
        CallEvent.objects.all().delete()
        state(ended_at=at(20))
        row = judged(now=NOW + timedelta(days=31))
        self.assertEqual((row.verdict, row.due_at), ("missing", None))
        self.assertEqual(missing(row), [(0, 60, "never_streamed")])
        self.assertFalse(row.former.exists())

    def test_a_verdict_stays_if_refusals_behind_it_have_been_deleted(self) -> None:
        state()
        make_refusal(call_connection_id=CONNECTION, first_at=at(1), last_at=at(2), reason="no_keys")
        judged()
        RefusedHandshake.objects.all().delete()
        mark()
        self.assertEqual(missing(judged()), [(0, 60, "refused_no_keys")])

    def test_a_verdict_is_never_deleted(self) -> None:
        connected()
        judged()
        CallEvent.objects.all().delete()
        CallCoverage.objects.update(facts={})  # as if it had been read again meanwhile
        mark()
        row = judged()
        self.assertEqual((row.verdict, row.due_at), ("missing", None))
