"""Deliveries to a real receiver: down, slow, gone; signed, repeated, in order; several endpoints.

Time passes by moving the moments in the rows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from django.db import OperationalError
from django.db.models import F
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from calls.models import (
    DeliveryAttempt,
    OutgoingEvent,
    RaisedAlarm,
    WebhookDelivery,
    WebhookEndpoint,
)
from calls.notifications import outbox
from calls.notifications.webhooks import delivery, signing, threads
from calls.notifications.webhooks.threads import Deliverer
from tests.calls.notifications.webhooks.receiver import (
    SECRET,
    Handler,
    Receiver,
    Request,
    free_port,
    slow,
    status,
)
from tests.calls.rows import make_alarm
from tests.waiting import wait_until

AT = datetime(2026, 11, 30, 12, 0, 0, 125_000, tzinfo=UTC)


def make_endpoint(url: str, **values: Any) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(**{"url": url, "secret": SECRET, **values})


def add(key: str = "1", event_type: str = outbox.CALL_ENDED) -> None:
    outbox.add(event_type, AT, {"id": key, "name": "Zoë"}, key=key)


@contextmanager
def held(receiver: Receiver) -> Iterator[None]:
    """Lets a receiver accept requests, and answer them at the end only."""
    released = threading.Event()
    receiver.reply(lambda handler, _request: handler.answer(200) if released.wait(14) else None)
    try:
        yield
    finally:
        released.set()


def pass_time(**length: float) -> None:
    """Lets time pass for deliveries and pauses."""
    past = timedelta(**length)
    WebhookDelivery.objects.update(
        next_attempt_at=F("next_attempt_at") - past, give_up_at=F("give_up_at") - past
    )
    WebhookEndpoint.objects.update(paused_until=F("paused_until") - past)


@override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
class DeliveryTests(TransactionTestCase):
    """Transactions are real: threads deliver."""

    def setUp(self) -> None:
        self.deliverer = Deliverer()
        self.stopping = threading.Event()
        self.addCleanup(self.deliverer.wait, 10)
        self.addCleanup(self.stopping.set)

    def deliver(self) -> None:
        """Runs the job once, and waits for its threads."""
        self.deliverer.run(self.stopping)
        self.assertTrue(self.deliverer.wait(20))

    def statuses(self) -> list[str]:
        return list(WebhookDelivery.objects.order_by("id").values_list("status", flat=True))


class Deliveries(DeliveryTests):
    def test_are_signed_and_contain_the_event(self) -> None:
        with Receiver() as receiver:
            make_endpoint(receiver.url)
            add()
            self.deliver()
            (request,) = receiver.requests
        data = {"id": "1", "name": "Zoë"}
        timestamp = "2026-11-30T12:00:00.125000Z"
        expected = {"type": "call.ended", "timestamp": timestamp, "data": data}
        self.assertEqual(request.event, expected)
        self.assertEqual(request.headers["webhook-id"], str(OutgoingEvent.objects.get().id))
        self.assertEqual(request.headers["content-type"], "application/json")
        row = WebhookDelivery.objects.get()
        self.assertEqual((row.status, row.attempts), ("delivered", 1))
        self.assertIsNone(row.next_attempt_at)
        attempt = DeliveryAttempt.objects.get()
        self.assertEqual((attempt.status_code, attempt.error), (200, ""))

    def test_are_signed_with_the_previous_secret_too(self) -> None:
        with Receiver() as receiver:
            make_endpoint(receiver.url, secret=signing.new_secret(), previous_secret=SECRET)
            add()
            self.deliver()
            self.assertEqual(receiver.requests[0].event["type"], "call.ended")
            self.assertEqual(len(receiver.requests[0].headers["webhook-signature"].split()), 2)

    def test_are_in_order_of_time(self) -> None:
        with Receiver() as receiver:
            make_endpoint(receiver.url)
            for key in "12345":
                add(key)
            self.deliver()
            self.assertEqual([one.event["data"]["id"] for one in receiver.requests], list("12345"))

    def test_wait_while_an_endpoint_is_disabled(self) -> None:
        with Receiver() as receiver:
            make_endpoint(receiver.url)
            add()
            WebhookEndpoint.objects.update(is_enabled=False)
            self.deliver()
            self.assertEqual(receiver.requests, [])
            WebhookEndpoint.objects.update(is_enabled=True)
            self.deliver()
            self.assertEqual(receiver.types, ["call.ended"])

    def test_are_not_made_twice_by_two_processes(self) -> None:
        with Receiver() as receiver:
            receiver.reply(slow(0.3, 200))
            make_endpoint(receiver.url)
            add()
            other = Deliverer()
            self.deliverer.run(self.stopping)
            other.run(self.stopping)
            self.assertTrue(other.wait(10) and self.deliverer.wait(10))
            self.assertEqual(len(receiver.requests), 1)

    def test_of_a_process_that_died_are_repeated_with_the_same_id_once_its_claim_is_over(
        self,
    ) -> None:
        with Receiver() as receiver:
            endpoint = make_endpoint(receiver.url)
            add()
            self.assertTrue(delivery.claim(endpoint.pk))
            event = OutgoingEvent.objects.get()
            delivery.send(endpoint, event)  # and it dies, before it writes the outcome
            self.deliver()
            self.assertEqual(len(receiver.requests), 1)
            WebhookEndpoint.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
            self.deliver()
            ids = [request.headers["webhook-id"] for request in receiver.requests]
            self.assertEqual(ids, [str(event.id)] * 2)


class Failures(DeliveryTests):
    def test_down_for_an_hour_then_slow_then_gone(self) -> None:
        with Receiver() as receiver:
            endpoint = make_endpoint(f"http://localhost:{free_port()}/")
            add("1")
            add("2")
            for _minute in range(60):
                self.deliver()
                pass_time(minutes=1)
            tried = DeliveryAttempt.objects.count()
            self.assertTrue(5 <= tried <= 9, tried)
            self.assertEqual(self.statuses(), ["waiting", "waiting"])
            endpoint.refresh_from_db()
            self.assertEqual(endpoint.failures, tried)
            self.assertIsNotNone(endpoint.failing_since)

            receiver.reply(slow(0.2, 204))
            WebhookEndpoint.objects.update(url=receiver.url)
            pass_time(minutes=36)
            self.deliver()
            self.assertEqual(self.statuses(), ["delivered", "delivered"])
            self.assertEqual({one.event["data"]["id"] for one in receiver.requests}, {"1", "2"})
            endpoint.refresh_from_db()
            self.assertEqual((endpoint.failures, endpoint.failing_since), (0, None))

            receiver.reply(status(410))
            add("3")
            add("4")
            self.deliver()
            endpoint.refresh_from_db()
            self.assertFalse(endpoint.is_enabled)
            self.assertIn("410", endpoint.disabled_reason)
            self.assertEqual(self.statuses(), ["delivered"] * 2 + ["given_up"] * 2)
            self.assertEqual(len(receiver.requests), 3)

    def test_without_an_answer_pause_the_endpoint_as_a_whole(self) -> None:
        endpoint = make_endpoint(f"http://localhost:{free_port()}/")
        for key in "123":
            add(key)
        self.deliver()
        self.deliver()
        self.assertEqual(DeliveryAttempt.objects.count(), 1)
        self.assertIn("refused", DeliveryAttempt.objects.get().error)
        endpoint.refresh_from_db()
        assert endpoint.paused_until, "it pauses"
        pause = (endpoint.paused_until - timezone.now()).total_seconds()
        self.assertTrue(5 < pause <= 12, pause)

    def test_of_one_event_do_not_delay_the_others(self) -> None:
        with Receiver() as receiver:
            receiver.reply(
                lambda handler, request: handler.answer(
                    500 if request.event["data"]["id"] == "1" else 200
                )
            )
            make_endpoint(receiver.url)
            for key in "123":
                add(key)
            self.deliver()
            self.assertEqual(self.statuses(), ["waiting", "delivered", "delivered"])
            self.deliver()
            self.assertEqual(len(receiver.requests), 3)
            pass_time(seconds=13)
            receiver.reply(status(200))
            self.deliver()
            self.assertEqual(self.statuses(), ["delivered"] * 3)

    def test_by_a_redirect_are_not_followed_and_say_so(self) -> None:
        with Receiver() as receiver, Receiver() as other:
            receiver.reply(status(307, Location=other.url))
            make_endpoint(receiver.url)
            add()
            self.deliver()
            self.assertEqual(other.requests, [])
            attempt = DeliveryAttempt.objects.get()
            self.assertEqual(attempt.status_code, 307)
            self.assertEqual(attempt.error, "Redirects are not followed.")
            self.assertEqual(self.statuses(), ["waiting"])

    def test_with_retry_after_pause_for_that_long(self) -> None:
        with Receiver() as receiver:
            receiver.reply(status(503, Retry_After="1000"))
            endpoint = make_endpoint(receiver.url)
            add()
            self.deliver()
            endpoint.refresh_from_db()
            assert endpoint.paused_until, "it pauses"
            pause = (endpoint.paused_until - timezone.now()).total_seconds()
            self.assertAlmostEqual(pause, 1000, delta=30)

    def test_with_a_huge_answer_read_little_of_it(self) -> None:
        with Receiver() as receiver:
            receiver.reply(status(200, b"x" * 20_000_000))
            make_endpoint(receiver.url)
            add()
            began = time.monotonic()
            self.deliver()
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual(self.statuses(), ["delivered"])

    @override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=False)
    def test_to_a_private_address_send_nothing_and_say_why(self) -> None:
        with Receiver() as receiver:
            make_endpoint(f"https://127.0.0.1:{receiver.port}/")
            add()
            self.deliver()
            self.assertEqual(receiver.requests, [])
            self.assertIn("not public", DeliveryAttempt.objects.get().error)
            self.assertEqual(self.statuses(), ["waiting"])

    def test_keep_the_newest_attempts_only(self) -> None:
        with Receiver() as receiver, patch.object(delivery, "MAX_ATTEMPTS_KEPT", 3):
            receiver.reply(status(400))
            make_endpoint(receiver.url)
            add()
            for _attempt in range(5):
                self.deliver()
                pass_time(hours=1)
            self.assertEqual(len(receiver.requests), 5)
            self.assertEqual(DeliveryAttempt.objects.count(), 3)
            self.assertEqual(WebhookDelivery.objects.get().attempts, 5)

    def test_for_three_days_are_given_up_and_can_be_sent_again(self) -> None:
        with Receiver() as receiver:
            receiver.reply(status(500))
            make_endpoint(receiver.url)
            add()
            for _attempt in range(13):
                self.assertEqual(self.statuses(), ["waiting"])
                self.deliver()
                pass_time(hours=6, minutes=5)
            self.assertEqual(self.statuses(), ["given_up"])
            self.assertEqual(len(receiver.requests), 13)
            receiver.reply(status(200))
            self.deliver()
            self.assertEqual(self.statuses(), ["given_up"])
            ids = list(WebhookDelivery.objects.values_list("pk", flat=True))
            self.assertEqual(delivery.send_again(ids), 1)
            self.deliver()
            self.assertEqual(self.statuses(), ["delivered"])
            self.assertEqual(delivery.send_again(ids), 0)


class SeveralEndpoints(DeliveryTests):
    def test_one_that_hangs_does_not_delay_another(self) -> None:
        with Receiver() as hanging, Receiver() as healthy, held(hanging):
            make_endpoint(hanging.url)
            make_endpoint(healthy.url)
            for count in (1, 2):
                add(str(count))
                self.run_until(healthy, count)
            self.assertFalse(self.deliverer.wait(0), "the other still waits for its answer")
            self.assertEqual(len(hanging.requests), 1, "one at a time")

    def run_until(self, receiver: Receiver, count: int) -> None:
        """Runs the job again and again, until the receiver has got `count` requests."""

        def has_come() -> bool:
            self.deliverer.run(self.stopping)
            return len(receiver.requests) == count

        wait_until(has_come, what=lambda: str(receiver.types))

    def test_the_job_starts_few_threads_and_does_not_wait_for_them(self) -> None:
        limit = patch.object(threads, "MAX_THREADS", 2)
        with Receiver() as receiver, held(receiver), limit:
            for _endpoint in range(4):
                make_endpoint(receiver.url)
            add()
            self.run_until(receiver, 2)
            self.deliverer.run(self.stopping)
            self.assertFalse(self.deliverer.wait(0.2))
            self.assertEqual(len(receiver.requests), 2)

    def test_a_stopping_process_ends_after_the_present_attempt(self) -> None:
        def answer(handler: Handler, _request: Request) -> None:
            self.stopping.set()
            handler.answer(200)

        with Receiver() as receiver:
            receiver.reply(answer)
            make_endpoint(receiver.url)
            add("1")
            add("2")
            self.deliver()
            self.assertEqual(len(receiver.requests), 1)
            self.assertIsNone(WebhookEndpoint.objects.get().claimed_until)

    def test_an_error_of_the_database_ends_the_thread_and_nothing_else(self) -> None:
        with Receiver() as receiver:
            make_endpoint(receiver.url)
            add()
            away = patch.object(delivery, "deliver_next", side_effect=OperationalError("away"))
            with away, self.assertLogs(threads.__name__, "WARNING") as logged:
                self.deliver()
            self.assertIn("webhook delayed", logged.output[0])
            self.deliver()
            self.assertEqual(self.statuses(), ["delivered"])


class Tests(DeliveryTests):
    def test_send_an_event_and_return_the_answer(self) -> None:
        with Receiver() as receiver:
            receiver.reply(status(418, b"short and stout"))
            endpoint = make_endpoint(receiver.url, is_enabled=False)
            attempt = delivery.send_test(endpoint)
            self.assertEqual(receiver.requests[0].event["type"], "test")
            assert attempt.answer, "there is one"
            self.assertEqual((attempt.status, attempt.answer.body), (418, b"short and stout"))
        self.assertFalse(OutgoingEvent.objects.exists())


class OldRows(DeliveryTests):
    def test_are_removed_and_waiting_ones_given_up(self) -> None:
        make_endpoint("https://receiver.example/", is_enabled=True)
        add("1")
        add("2")
        cleared = timezone.now() - timedelta(days=31)
        make_alarm(cleared_at=cleared)
        kept = make_alarm()
        WebhookDelivery.objects.update(give_up_at=timezone.now() - timedelta(seconds=1))
        delivery.remove_old(self.stopping)
        self.assertEqual(self.statuses(), ["given_up", "given_up"])
        self.assertEqual(RaisedAlarm.objects.get(), kept)
        old = OutgoingEvent.objects.first()
        assert old, "there are two"
        OutgoingEvent.objects.filter(pk=old.pk).update(created_at=cleared)
        delivery.remove_old(self.stopping)
        self.assertEqual(OutgoingEvent.objects.count(), 1)
        self.assertEqual(len(self.statuses()), 1)
