"""Verdicts from the rows of each kind of witness."""

from __future__ import annotations

from uuid import uuid4

from django.test import TestCase

from calls.coverage.job import runner
from calls.models import (
    Call,
    CallCoverage,
    OutgoingEvent,
    Subscription,
    coverage_id_of,
)
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
from tests.calls.rows import BOB, START, make_gap, make_participant, make_refusal


class Verdicts(TestCase):
    def test_a_recorded_call_with_events_is_complete(self) -> None:
        call = record()
        connected()
        row = judged()
        self.assertEqual((row.verdict, row.call_id, row.due_at), ("complete", call.id, None))
        self.assertEqual((row.expected_seconds, row.recorded_seconds), (60.0, 60.0))
        self.assertEqual((row.started_at, row.ended_at), (at(0), at(60)))
        self.assertEqual(row.judged_at, NOW)

    def test_gaps_of_the_ledger_are_missing_time(self) -> None:
        call = record()
        make_gap(call.participants.get(), at=10, seconds=5, reason="not_written")
        row = judged()
        self.assertEqual((row.verdict, row.missing_seconds), ("partial", 5.0))
        self.assertEqual(missing(row), [(10, 15, "not_written")])

    def test_a_call_with_events_only_is_missing_with_the_code_of_the_failure(self) -> None:
        connected()
        failed = {"resultInformation": {"code": 500, "subCode": 8603}}
        event("MediaStreamingFailed", 1, data=failed)
        row = judged()
        self.assertEqual((row.verdict, row.call_id), ("missing", None))
        self.assertEqual(missing(row), [(0, 60, "8603")])

    def test_a_call_with_a_statement_only_is_missing(self) -> None:
        state(participants=3)
        row = judged()
        self.assertEqual((row.verdict, missing(row)), ("missing", [(0, 60, "never_streamed")]))
        self.assertEqual(row.participants_expected, 3)
        (statement,) = row.facts["witnesses"]["statements"]
        self.assertEqual((statement["source"], statement["participants"]), ("pbx", 3))

    def test_a_refused_call_says_why(self) -> None:
        connected()
        make_refusal(call_connection_id=CONNECTION, first_at=at(1), last_at=at(2), reason="no_keys")
        row = judged()
        self.assertEqual(missing(row), [(0, 60, "refused_no_keys")])
        self.assertTrue(row.is_refused)

    def test_only_a_token_that_microsoft_signed_proves_a_call_by_its_refusal(self) -> None:
        refusal = make_refusal(call_connection_id=CONNECTION, reason="wrong_stream_token")
        mark()
        judged_at_all = CallCoverage.objects.filter(id=coverage_id_of(CONNECTION, ""))
        judged_at_all.update(due_at=START)
        runner.judge(coverage_id_of(CONNECTION, ""), NOW)
        self.assertFalse(judged_at_all.exists())
        refusal.reason = "wrong_audience"
        refusal.save()
        mark()
        self.assertEqual(judged().verdict, "missing")

    def test_a_call_that_only_rang_leaves_no_row(self) -> None:
        event("IncomingCall", 0)
        CallCoverage.objects.update(due_at=START)
        runner.judge(coverage_id_of(CONNECTION, ""), NOW)
        self.assertFalse(CallCoverage.objects.exists())

    def test_a_recording_is_unexpected_where_other_calls_have_witnesses(self) -> None:
        record()
        self.assertEqual(judged().verdict, "complete")
        connected(connection="another")
        mark()
        row = judged()
        self.assertEqual((row.verdict, row.expected_seconds), ("unexpected", 0.0))
        self.assertEqual([one.verdict for one in row.former.all()], ["complete"])

    def test_a_call_that_only_rang_makes_no_other_unexpected(self) -> None:
        event("IncomingCall", 0, "rings")
        event("RecordingFileStatusUpdated", 0, "recorded elsewhere")
        record()
        self.assertEqual(judged().verdict, "complete")

    def test_a_call_that_any_event_names_is_not_unexpected(self) -> None:
        connected(connection="another")
        record()
        event("IncomingCall", 0)
        self.assertEqual(judged().verdict, "complete")

    def test_witnesses_of_another_day_make_no_call_unexpected(self) -> None:
        record()
        connected(90_000, 90_060, connection="another")
        self.assertEqual(judged().verdict, "complete")

    def test_participants_muted_by_events_excuse_their_gaps(self) -> None:
        call = record()
        make_participant(call, BOB, heard_at=at(0), heard_until=at(60))
        make_gap(call.participants.get(raw_id=BOB), at=20, seconds=10)
        connected()
        for number, (second, is_muted) in enumerate([(1, False), (20, True), (30, False)]):
            people = [
                {"identifier": {"rawId": raw_id}, "isMuted": is_muted and raw_id == BOB}
                for raw_id in (BOB, call.participants.exclude(raw_id=BOB).get().raw_id)
            ]
            event(
                "ParticipantsUpdated", second, sequence_number=number, data={"participants": people}
            )
        row = judged()
        self.assertEqual((row.verdict, missing(row)), ("complete", []))
        self.assertEqual((row.participants_expected, row.participants_recorded), (2, 2))

    def test_a_chain_of_recordings_is_one_call(self) -> None:
        first = record(start=0, end=20)
        second = Call.objects.create(
            id=uuid4(), call_connection_id=CONNECTION, started_at=at(40), continuation=1
        )
        Subscription.objects.create(
            id=uuid4(),
            call=second,
            stream_id=uuid4(),
            connected_at=at(40),
            seen_at=at(60),
            disconnected_at=at(60),
            close_code=1000,
        )
        make_participant(second, heard_at=at(40), heard_until=at(60))
        connected()
        row = judged()
        self.assertEqual((row.call_id, row.facts["recordings"]), (first.id, 2))
        self.assertEqual(missing(row), [(20, 40, "not_connected")])

    def test_a_recording_without_ids_is_a_call_by_itself(self) -> None:
        call = record(connection="x")
        Call.objects.update(call_connection_id="", correlation_id="")
        CallCoverage.objects.all().delete()
        mark("", "", call=call)
        coverage_id = coverage_id_of("", "", call.id)
        CallCoverage.objects.update(due_at=START)
        runner.judge(coverage_id, NOW)
        self.assertEqual(CallCoverage.objects.get().verdict, "complete")

    def test_canary_calls_have_no_coverage(self) -> None:
        record(connection="canary-1")
        connected(connection="canary-1")
        self.assertFalse(CallCoverage.objects.exists())

    def test_facts_hold_no_personal_data(self) -> None:
        call = record()
        connected()
        data = {"participants": [{"identifier": {"rawId": "4:+15557654321"}, "displayName": "Ada"}]}
        event("ParticipantsUpdated", 1, sequence_number=1, data=data)
        row = judged()
        self.assertEqual(row.facts["witnesses"]["events"]["participants"], 1)
        text = f"{row.facts} {list(OutgoingEvent.objects.values_list('data', flat=True))}"
        self.assertNotIn("+1555", text)
        self.assertNotIn("Ada", text)
        self.assertTrue(call.participants.filter(raw_id__contains="+1555").exists())
