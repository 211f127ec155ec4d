"""`/coverage/<id>/`, and the witnesses of a call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.test import TestCase
from django.utils.html import strip_tags

from calls.coverage.history import history
from calls.models import (
    Call,
    CallCoverage,
    CallEvent,
    ExpectedCall,
    FormerVerdict,
    RefusedHandshake,
)
from calls.pages.coverage.witnesses import coverage_of, differences, witnesses_of
from tests.calls.pages.coverage.examples import make_coverage, make_recorded
from tests.calls.rows import START, make_call, make_participant, make_subscription
from tests.people import person


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def make_event(connection: str, kind: str, at: float, **data: Any) -> CallEvent:
    moment = START + seconds(at)
    return CallEvent.objects.create(
        id=uuid4(),
        source="callback",
        event_id=str(uuid4()),
        type=kind,
        call_connection_id=connection,
        occurred_at=moment,
        received_at=moment,
        data=data,
    )


def refuse(connection: str, count: int = 1) -> None:
    RefusedHandshake.objects.create(
        id=uuid4(),
        process=uuid4(),
        first_at=START,
        last_at=START + seconds(2),
        reason="expired",
        from_acs=True,
        call_connection_id=connection,
        count=count,
    )


class NeverRecorded(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("operator"))
        self.row = make_coverage(START, "missing", ("refused_expired", 0.0, 100.0))
        self.connection = self.row.call_connection_id

    def words(self) -> str:
        response = self.client.get(f"/coverage/{self.row.pk}/")
        self.assertEqual(response.status_code, 200)
        return " ".join(strip_tags(response.content.decode()).split())

    def test_it_has_the_verdict_and_what_the_witnesses_say(self) -> None:
        failed = {"mediaStreamingStatusDetails": "initialWebSocketConnectionFailed"}
        make_event(self.connection, "CallConnected", 0)
        make_event(self.connection, "MediaStreamingFailed", 2, mediaStreamingUpdate=failed)
        make_event(self.connection, "CallTransferAccepted", 50)
        make_event(self.connection, "CallDisconnected", 100)
        refuse(self.connection, 3)
        ExpectedCall.objects.create(
            id=uuid4(),
            source="pbx",
            call_connection_id=self.connection,
            started_at=START,
            received_at=START,
            participants=2,
        )
        words = self.words()
        for text in (
            "Not recorded 0 s of 1 min 40 s recorded",
            "1 min 40 s missing : refused: token expired: check the clock of this host",
            "ACS could not open the media socket (8581)",
            "The call, by pbx",
            "Refused 3 times: token expired",
            "Call transferred",
            self.connection,
        ):
            with self.subTest(text):
                self.assertIn(text.replace(" :", ":"), words)

    def test_former_verdicts_are_kept(self) -> None:
        FormerVerdict.objects.create(
            coverage=self.row,
            verdict="unknown",
            expected_seconds=0,
            recorded_seconds=0,
            missing_seconds=0,
            judged_at=START,
            replaced_at=START + seconds(60),
        )
        self.assertIn("1 former verdict Not judged yet from 2026-03-02 09:30:00", self.words())

    def test_without_witnesses_it_says_so(self) -> None:
        self.assertIn("The events and statements about this call have been deleted", self.words())

    def test_a_recorded_call_has_its_own_page(self) -> None:
        row = make_recorded(START)
        self.assertRedirects(
            self.client.get(f"/coverage/{row.pk}/"), f"/calls/{row.call_id}/#coverage-title"
        )

    def test_a_call_that_is_not_judged_yet_is_found_by_its_connection(self) -> None:
        row = make_recorded(START, "unknown")
        call_id = row.call_id
        CallCoverage.objects.filter(pk=row.pk).update(call_id=None)
        self.assertRedirects(
            self.client.get(f"/coverage/{row.pk}/"), f"/calls/{call_id}/#coverage-title"
        )
        page = self.client.get("/coverage/?since=2026-03-02&until=2026-03-02").content.decode()
        self.assertIn(f'href="/calls/{call_id}/"', page)
        self.assertIn(f'href="/coverage/{self.row.pk}/"', page)
        CallCoverage.objects.filter(pk=self.row.pk).update(verdict="unknown")
        self.assertIn("There is no recording yet.", self.words())

    def test_a_call_that_was_deleted_is_still_here(self) -> None:
        CallCoverage.objects.filter(pk=self.row.pk).update(call_id=uuid4())
        self.assertIn("Its recording has been deleted.", self.words())

    def test_canary_calls_have_no_verdict(self) -> None:
        call = make_call(call_connection_id=f"canary-{uuid4()}")
        make_subscription(call)
        row = make_coverage(START, "partial", ("not_received", 0.0, 5.0), call=call)
        page = self.client.get(f"/calls/{call.pk}/").content.decode()
        self.assertNotIn("data-verdict", page)
        self.assertNotIn("coverage-title", page)
        self.assertEqual(self.client.get(f"/coverage/{row.pk}/").status_code, 404)

    def test_another_id_is_not_found(self) -> None:
        self.assertEqual(self.client.get(f"/coverage/{uuid4()}/").status_code, 404)


class Witnesses(TestCase):
    def test_are_events_statements_and_sockets(self) -> None:
        call = make_call()
        make_subscription(call)
        make_participant(call)
        connection, correlation = call.call_connection_id, call.correlation_id
        make_event(connection, "CallConnected", -2)
        make_event(connection, "CallDisconnected", 70)
        ExpectedCall.objects.create(
            id=uuid4(),
            source="cdr",
            correlation_id=correlation,
            started_at=START,
            ended_at=START + seconds(65),
            received_at=START,
            participants=2,
        )
        told = history(connection, correlation)
        found = witnesses_of(connection, correlation, told, call)
        self.assertEqual([each.kind for each in found], ["events", "statement", "sockets"])
        events, statement, sockets = found
        self.assertEqual(events.started_at, START - seconds(2))
        self.assertEqual(events.ended_at, START + seconds(70))
        self.assertEqual((statement.name, statement.participants), ("Statement: cdr", 2))
        self.assertEqual(sockets.ended_at, START + seconds(60))
        self.assertEqual(sockets.participants, 1)

    def test_an_open_socket_states_no_end(self) -> None:
        call = make_call()
        make_subscription(call, disconnected_at=None, close_code=None)
        (sockets,) = witnesses_of(call.call_connection_id, "", history("", ""), call)
        self.assertIsNone(sockets.ended_at)

    def test_a_call_without_ids_has_no_witnesses_of_other_calls(self) -> None:
        ExpectedCall.objects.create(
            id=uuid4(), source="cdr", correlation_id="a", started_at=START, received_at=START
        )
        refuse("")
        self.assertEqual(witnesses_of("", "", history("", "")), [])

    def test_coverage_is_found_by_the_call_and_for_its_continuations(self) -> None:
        row = make_recorded(START)
        assert row.call_id
        first = Call.objects.get(pk=row.call_id)
        later = Call.objects.create(
            id=uuid4(), call_connection_id=first.call_connection_id, started_at=START
        )
        for call in (first, later):
            self.assertEqual(coverage_of(call).get(), row)
        self.assertFalse(coverage_of(make_call(call_connection_id="", correlation_id="")).exists())


class Differences(TestCase):
    def of(self, **facts: float) -> list[str]:
        return differences(CallCoverage(facts=facts))

    def test_are_said_in_words(self) -> None:
        self.assertEqual(self.of(), [])
        for facts, text in (
            ({"longer_seconds": 12.0}, "The recording is 12 s longer than the call"),
            ({"longer_seconds": -12.0}, "The recording is 12 s shorter than the call"),
            ({"clock_ahead_seconds": 5.0}, "The clock of the recorder was 5 s ahead of ACS"),
            ({"clock_ahead_seconds": -5.0}, "The clock of the recorder was 5 s behind ACS"),
            (
                {"moved_seconds": 60.0},
                "By its own clock, the best witness had it 1 min 00 s earlier",
            ),
        ):
            with self.subTest(text):
                self.assertEqual(self.of(**facts), [text])
