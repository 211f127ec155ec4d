"""The job that judges calls: when, again, once, and what it tells others."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from unittest.mock import patch
from uuid import uuid4

from django.db import OperationalError
from django.test import TestCase
from django.utils import timezone

from calls.coverage.job import runner
from calls.coverage.job.runner import LIVE_CHECK, PATIENCE, UNSEALED_CHECK
from calls.models import (
    Call,
    CallCoverage,
    CallEvent,
    FormerVerdict,
    LedgerEntry,
    MissingTotal,
    OutgoingEvent,
    Participant,
    RefusedHandshake,
    Subscription,
    coverage_id_of,
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
from tests.calls.rows import BOB, START, make_failed, make_gap, make_participant, make_refusal
from tests.streams.spools import Clock


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
