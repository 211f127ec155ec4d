"""Incoming calls from events to answers: each once, also in two processes, with retries."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import wraps
from threading import Barrier, Event, Lock, current_thread
from typing import Any
from unittest import mock
from uuid import uuid4

from channels.db import database_sync_to_async
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.test import AsyncClient, TransactionTestCase, override_settings
from django.utils import timezone

from calls.models import AnsweredCall, CallEvent
from streams.acs.answering import answerer as module
from streams.acs.answering import claims
from streams.acs.answering.answerer import Answerer, wanted
from streams.acs.answering.call_automation import TryAgain, Unanswerable
from streams.acs.answering.claims import CLAIM, RINGS_FOR, Incoming
from streams.acs.answering.counts import AnswerCounts
from streams.acs.webhooks import views
from streams.acs.webhooks.authentication import GridAuth
from streams.acs.webhooks.views import grid_webhook
from tests.streams.acs.webhooks.samples import body_of, incoming_call

ACCOUNT = "28:orgid:cd7b1f8e-f5f8-4f2c-8a2b-5a1f6e4b9f10"
ANSWERING = {
    "ACS_CONNECTION_STRING": "endpoint=https://x/;accesskey=eA==",
    "ACS_ANSWER": ["28:orgid:*"],
}
SECRET = "a secret of 16+/= characters"
EVENTS = "/webhooks/acs/events?token=a%20secret%20of%2016%2B%2F%3D%20characters"


def in_another_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives the connection of the database back at the end, as a request does."""

    @wraps(function)
    def run(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        finally:
            connections.close_all()

    return run


class FakeAnswers:
    """Answers calls; `failures` are raised first, in this order."""

    def __init__(self, *failures: Exception, before: Callable[[], Any] = lambda: None) -> None:
        self.failures, self.before = [*failures], before
        self.contexts: list[str] = []
        self._lock = Lock()

    def answer(self, context: str) -> str:
        self.before()
        with self._lock:
            self.contexts.append(context)
            if self.failures:
                raise self.failures.pop(0)
            return f"connection of {context}"


class AnswererTestCase(TransactionTestCase):
    def answerer(self, answers: FakeAnswers, at_once: int = 4) -> Answerer:
        """Returns an answerer as another process would have it."""
        self.counts = AnswerCounts()
        self.slept: list[float] = []
        return Answerer(
            lambda: answers, counts=self.counts, sleep=self.slept.append, at_once=at_once
        )

    def call(self, context: str = "context", seconds_ago: float = 1) -> Incoming:
        began = timezone.now() - timedelta(seconds=seconds_ago)
        return Incoming(uuid4(), context, "correlation", began)

    def counted(self) -> dict[str, int]:
        return {name: count for name, count in self.counts.outcomes.items() if count}


@in_another_thread
def rings_no_more() -> None:
    AnsweredCall.objects.update(began_at=timezone.now() - RINGS_FOR)


class AnswererTests(AnswererTestCase):
    def test_a_call_is_answered_and_its_connection_is_known(self) -> None:
        answers = FakeAnswers()
        call = self.call()
        self.assertTrue(self.answerer(answers).answer_all([call]))
        row = AnsweredCall.objects.get()
        self.assertEqual((row.pk, row.event_id), (call.id, call.event_id))
        self.assertEqual((row.state, row.reason), ("answered", ""))
        self.assertEqual(row.call_connection_id, "connection of context")
        self.assertEqual(self.counted(), {"answered": 1})

    def test_a_repeated_event_answers_once(self) -> None:
        answers = FakeAnswers()
        answerer = self.answerer(answers)
        for _ in range(3):
            self.assertTrue(answerer.answer_all([self.call()]))
        self.assertTrue(self.answerer(answers).answer_all([self.call()]), "by another process")
        self.assertEqual(answers.contexts, ["context"])

    def test_two_processes_at_once_answer_once(self) -> None:
        answers = FakeAnswers()
        together = Barrier(4)
        answerers = [self.answerer(answers) for _ in range(4)]

        @in_another_thread
        def answer(one: Answerer) -> bool:
            together.wait(10)
            return one.answer_all([self.call()])

        with ThreadPoolExecutor(4) as threads:
            decided = [*threads.map(answer, answerers)]
        self.assertEqual(answers.contexts, ["context"])
        self.assertIn(True, decided)

    def test_a_call_that_another_process_attempts_is_not_decided(self) -> None:
        @in_another_thread
        def meanwhile() -> None:
            self.assertFalse(other.answer_all([self.call()]))

        other_answers = FakeAnswers()
        other = self.answerer(other_answers)
        self.assertTrue(self.answerer(FakeAnswers(before=meanwhile)).answer_all([self.call()]))
        self.assertEqual(other_answers.contexts, [])
        self.assertTrue(other.answer_all([self.call()]), "it has been answered")

    def test_a_process_that_died_is_followed_by_another(self) -> None:
        class Died(BaseException):
            pass

        with self.assertRaises(Died):
            self.answerer(FakeAnswers(Died())).answer_all([self.call()])  # type: ignore[arg-type]
        answers = FakeAnswers()
        self.assertFalse(self.answerer(answers).answer_all([self.call()]))
        AnsweredCall.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
        self.assertTrue(self.answerer(answers).answer_all([self.call()]))
        self.assertEqual(answers.contexts, ["context"])
        self.assertGreater(CLAIM, timedelta(seconds=20))

    def test_temporary_failures_are_tried_again_soon(self) -> None:
        again = TryAgain("service_error", "HTTP 503")
        answers = FakeAnswers(again, again)
        self.assertTrue(self.answerer(answers).answer_all([self.call()]))
        self.assertEqual((len(answers.contexts), self.slept), (3, [0.0, 0.5, 1.5]))
        self.assertEqual(self.counted(), {"answered": 1})

    def test_after_that_the_event_is_to_be_sent_again_while_the_call_rings(self) -> None:
        answers = FakeAnswers(*[TryAgain("unreachable", "ServiceRequestError")] * 6)
        answerer = self.answerer(answers)
        self.assertFalse(answerer.answer_all([self.call()]))
        self.assertEqual(AnsweredCall.objects.get().state, "waiting")
        answers.before = rings_no_more
        with self.assertLogs("streams.acs.answering.answerer", "ERROR"):
            self.assertTrue(answerer.answer_all([self.call()]))
        row = AnsweredCall.objects.get()
        self.assertEqual((row.state, row.reason), ("failed", "unreachable"))
        self.assertEqual(self.counted(), {"unreachable": 1})

    def test_a_refusal_is_final_and_logged_without_names(self) -> None:
        answers = FakeAnswers(Unanswerable("rejected", "HTTP 404"))
        with self.assertLogs("streams.acs.answering.answerer", "ERROR") as logged:
            self.assertTrue(self.answerer(answers).answer_all([self.call("secret-context")]))
        self.assertEqual(len(answers.contexts), 1)
        self.assertEqual(AnsweredCall.objects.get().reason, "rejected")
        self.assertNotIn("secret-context", logged.output[0])

    def test_several_calls_are_answered_side_by_side(self) -> None:
        together = Barrier(3)
        answers = FakeAnswers(before=lambda: together.wait(10))
        calls = [self.call(f"context {number}") for number in range(3)]
        self.assertTrue(self.answerer(answers).answer_all(calls))
        self.assertCountEqual(answers.contexts, [call.context for call in calls])


class ClaimTests(AnswererTestCase):
    """Rows change hands when a claim has run out: then only the new owner writes."""

    def lose(self) -> None:
        AnsweredCall.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))

    def test_a_call_that_began_to_ring_long_ago_is_not_answered(self) -> None:
        answers = FakeAnswers()
        answerer = self.answerer(answers)
        call = self.call(seconds_ago=RINGS_FOR.total_seconds() + 1)
        with self.assertLogs("streams.acs.answering.answerer", "ERROR") as logged:
            self.assertTrue(answerer.answer_all([call]))
        self.assertTrue(answerer.answer_all([call]))
        row = AnsweredCall.objects.get()
        self.assertEqual((row.state, row.reason), ("failed", "too_late"))
        self.assertEqual((answers.contexts, len(logged.output)), ([], 1))
        self.assertEqual(self.counted(), {"too_late": 1})

    def test_a_time_in_the_future_does_not_let_a_call_ring_for_longer(self) -> None:
        self.answerer(FakeAnswers()).answer_all([self.call(seconds_ago=-3600)])
        self.assertLess(AnsweredCall.objects.get().began_at, timezone.now() + timedelta(seconds=9))

    def test_the_outcome_of_a_lost_claim_changes_nothing(self) -> None:
        for outcome in (TryAgain("unreachable", ""), Unanswerable("rejected", "HTTP 404")):
            with self.subTest(outcome.reason):
                call = self.call(outcome.reason)
                owner: list[claims.Claim | None] = []

                @in_another_thread
                def take_over(call: Incoming = call, owner: list[Any] = owner) -> None:
                    self.lose()
                    owner.append(claims.take(call))

                answers = FakeAnswers(*[outcome] * 3, before=take_over)
                self.assertFalse(self.answerer(answers).answer_all([call]))
                row = AnsweredCall.objects.get(pk=call.id)
                self.assertEqual(row.state, "waiting")
                last = owner[-1]
                assert last
                self.assertEqual(row.claim_id, last.id)
                self.assertGreater(row.claimed_until, timezone.now(), "not given back")
                self.assertEqual(self.counted(), {})
                self.assertTrue(claims.finish(last, AnsweredCall.State.ANSWERED))

    def test_a_decided_call_is_not_decided_again(self) -> None:
        claim = claims.take(self.call())
        assert claim
        self.assertTrue(claims.finish(claim, AnsweredCall.State.ANSWERED, connection_id="C"))
        self.assertFalse(claims.finish(claim, AnsweredCall.State.FAILED, reason="rejected"))
        self.assertFalse(claims.release(claim))
        row = AnsweredCall.objects.get()
        self.assertEqual((row.state, row.call_connection_id, row.reason), ("answered", "C", ""))


class ThreadTests(AnswererTestCase):
    def test_a_call_is_claimed_when_it_has_a_thread(self) -> None:
        """Otherwise its claim could run out while it waits, and another process answer it too."""
        claimed: list[int] = []

        @in_another_thread
        def count() -> None:
            claimed.append(AnsweredCall.objects.filter(claimed_until__gt=timezone.now()).count())

        answers = FakeAnswers(before=count)
        calls = [self.call(f"context {number}") for number in range(4)]
        self.assertTrue(self.answerer(answers, at_once=1).answer_all(calls))
        waiting = AnsweredCall.objects.filter(state="waiting").count()
        self.assertEqual((claimed, waiting), ([1, 2, 3, 4], 0))
        self.assertEqual(len(answers.contexts), 4)

    def test_a_call_that_gets_no_thread_is_to_be_sent_again(self) -> None:
        answering, released = Event(), Event()

        def hold() -> None:
            answering.set()
            released.wait(20)

        answerer = self.answerer(FakeAnswers(before=hold), at_once=1)
        with ThreadPoolExecutor(1) as threads, mock.patch.object(module, "WAIT_SECONDS", 0.05):
            first = threads.submit(in_another_thread(answerer.answer_all), [self.call("first")])
            self.assertTrue(answering.wait(10))
            self.assertFalse(answerer.answer_all([self.call("second")]))
            self.assertEqual(AnsweredCall.objects.count(), 1)
            released.set()
            self.assertTrue(first.result(20))
            self.assertTrue(answerer.answer_all([self.call("second")]))

    def test_no_connection_is_kept_while_call_automation_takes_its_time(self) -> None:
        steps: list[str] = []
        closing = mock.patch.object(
            connections, "close_all", side_effect=lambda: steps.append("closed")
        )
        asked = FakeAnswers(before=lambda: steps.append("asked"))
        with closing:
            self.assertTrue(self.answerer(asked).answer_all([self.call()]))
        self.assertEqual(
            steps, ["closed", "closed", "asked"], "before it waits for a thread, and for the answer"
        )

    def test_threads_of_the_pool_do_not_use_the_database(self) -> None:
        users: set[str] = set()
        execute = CursorWrapper.execute

        def note(cursor: Any, *arguments: Any, **names: Any) -> Any:
            users.add(current_thread().name)
            return execute(cursor, *arguments, **names)

        for outcome in ((), [TryAgain("unreachable", "")] * 3):
            answerer = self.answerer(FakeAnswers(*outcome))
            with mock.patch.object(CursorWrapper, "execute", note):
                answerer.answer_all([self.call(str(outcome))])
        self.assertEqual(users, {current_thread().name})


class WantedTests(TransactionTestCase):
    def found(self, *, name: str = "IncomingCall", **data: Any) -> int:
        whole = {"incomingCallContext": "context", "to": {"rawId": ACCOUNT}, **data}
        return len(wanted([(uuid4(), name, whole, timezone.now())]))

    def test_only_observed_by_default(self) -> None:
        self.assertEqual(self.found(), 0)
        for name, value in ANSWERING.items():
            with override_settings(**{**ANSWERING, name: type(value)()}):
                self.assertEqual(self.found(), 0)

    @override_settings(**ANSWERING)
    def test_incoming_calls_that_a_rule_names(self) -> None:
        self.assertEqual(self.found(), 1)
        self.assertEqual(self.found(name="CallStarted"), 0)
        self.assertEqual(self.found(to={"rawId": "4:+15551234567"}), 0)
        for context in (None, "", 7):
            self.assertEqual(self.found(incomingCallContext=context), 0)


@override_settings(ACS_EVENTS_TOKEN=SECRET, **ANSWERING)
class WebhookTests(AnswererTestCase):
    """Teams Phone Extensibility: the resource account is called, Event Grid sends nothing more."""

    def setUp(self) -> None:
        grid_webhook.install(GridAuth(token=SECRET))
        self.addCleanup(grid_webhook.install, None)

    async def send(self, answers: FakeAnswers, to: str = ACCOUNT) -> int:
        event = incoming_call()
        event["eventTime"] = timezone.now().isoformat()
        event["data"]["to"] = {"kind": "unknown", "rawId": to}
        with mock.patch.object(views, "answerer", self.answerer(answers)):
            response = await AsyncClient().post(
                EVENTS, body_of(event), content_type="application/json"
            )
        return response.status_code

    async def test_the_call_of_a_resource_account_is_answered_once(self) -> None:
        answers = FakeAnswers()
        for _ in range(2):
            self.assertEqual(await self.send(answers), 200)
        self.assertEqual(answers.contexts, [incoming_call()["data"]["incomingCallContext"]])
        row = await AnsweredCall.objects.aget()
        self.assertEqual(row.event_id, (await CallEvent.objects.aget()).pk)
        self.assertEqual(row.correlation_id, incoming_call()["data"]["correlationId"])

    async def test_other_calls_are_only_observed(self) -> None:
        answers = FakeAnswers()
        self.assertEqual(await self.send(answers, "4:+15551234567"), 200)
        self.assertEqual(answers.contexts, [])
        self.assertEqual(await CallEvent.objects.acount(), 1)

    async def test_a_call_that_was_not_answered_yet_is_asked_for_again(self) -> None:
        answers = FakeAnswers(*[TryAgain("unreachable", "")] * 3)
        self.assertEqual(await self.send(answers), 503)
        self.assertEqual(await CallEvent.objects.acount(), 1, "the event is stored")
        self.assertEqual(await self.send(answers), 200)
        self.assertEqual((await AnsweredCall.objects.aget()).state, "answered")
        self.assertEqual(await database_sync_to_async(AnsweredCall.objects.count)(), 1)
