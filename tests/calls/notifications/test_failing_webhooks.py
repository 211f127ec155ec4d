"""The alarm about endpoints that do not answer: raised once, and not sent to them."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from calls.models import OutgoingEvent, RaisedAlarm, WebhookDelivery, WebhookEndpoint
from calls.notifications import care
from calls.notifications.failing_webhooks import FAILS_FOR, report_alarm
from calls.worker.jobs import JOBS
from tests.calls.notifications.webhooks.receiver import Handler, Receiver, Request, status
from tests.calls.notifications.webhooks.test_delivery import (
    DeliveryTests,
    add,
    make_endpoint,
    pass_time,
)


def fail_for(length: timedelta) -> None:
    """Lets time pass for endpoints that fail."""
    WebhookEndpoint.objects.update(failing_since=F("failing_since") - length)
    pass_time(hours=1)


@override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True, PUBLIC_URL="https://calls.example.com")
class FailingEndpoints(DeliveryTests):
    def active(self) -> list[str]:
        report_alarm(Event())
        return [one["alarm"] for one in care.active()]

    def told(self, endpoint: WebhookEndpoint) -> list[str]:
        """Returns the types of the events about alarms that an endpoint gets."""
        deliveries = WebhookDelivery.objects.filter(
            endpoint=endpoint, event__type__contains="alarm"
        )
        return list(deliveries.order_by("id").values_list("event__type", flat=True))

    def test_raise_an_alarm_after_a_while_that_their_next_answer_clears(self) -> None:
        with Receiver() as receiver:
            endpoint = make_endpoint(receiver.url)
            receiver.reply(status(503))
            add()
            self.deliver()
            self.assertEqual(self.active(), [], "not at once")
            fail_for(FAILS_FOR)
            self.assertEqual(self.active(), ["webhook_failing"])
            row = RaisedAlarm.objects.get()
            self.assertEqual(row.detail["endpoints"], [endpoint.pk])
            self.assertEqual(
                row.detail["list"], "https://calls.example.com/admin/calls/webhookendpoint/"
            )
            self.deliver()
            self.assertEqual(self.active(), ["webhook_failing"], "it has failed again")
            pass_time(hours=1)
            receiver.reply(status(200))
            self.deliver()
            self.assertEqual(self.active(), [])
            self.assertEqual(RaisedAlarm.objects.count(), 1)
        self.assertIn(report_alarm, [job.run for job in JOBS])

    def test_that_refuse_every_event_raise_it_too_and_one_refused_event_does_not(self) -> None:
        with Receiver() as receiver:
            make_endpoint(receiver.url)
            for code in (400, 500):
                receiver.reply(status(code))
                add(str(code))
                self.deliver()
            fail_for(FAILS_FOR)
            self.assertEqual(self.active(), ["webhook_failing"])
            old = set(map(str, OutgoingEvent.objects.values_list("pk", flat=True)))
            add("new")

            def refuse_old(handler: Handler, request: Request) -> None:
                handler.answer(400 if request.headers["webhook-id"] in old else 200)

            receiver.reply(refuse_old)
            self.deliver()
            waiting = WebhookDelivery.objects.filter(status="waiting")
            self.assertEqual(waiting.count(), 2)
            self.assertEqual(self.active(), [])

    def test_are_not_told_of_their_own_failure_and_others_are(self) -> None:
        long_ago = timezone.now() - timedelta(hours=1)
        failing = make_endpoint("https://failing.example/", failing_since=long_ago, failures=9)
        other = make_endpoint("https://other.example/")
        for _repetition in range(3):
            self.active()
        self.assertEqual((self.told(failing), self.told(other)), ([], ["alarm.raised"]))
        WebhookEndpoint.objects.update(failing_since=None)
        self.active()
        self.assertEqual(self.told(failing), [])
        self.assertEqual(self.told(other), ["alarm.raised", "alarm.cleared"])
        self.assertEqual(OutgoingEvent.objects.count(), 2)

    def test_raise_one_alarm_together(self) -> None:
        now = timezone.now()
        first, second = (
            make_endpoint(f"https://{name}.example/", failing_since=now - timedelta(hours=hours))
            for name, hours in (("first", 2), ("second", 1))
        )
        self.assertEqual(self.active(), ["webhook_failing"])
        self.assertEqual(RaisedAlarm.objects.get().raised_at, first.failing_since)
        WebhookEndpoint.objects.filter(pk=first.pk).update(failing_since=None)
        self.assertEqual(self.active(), ["webhook_failing"])
        self.assertEqual(RaisedAlarm.objects.get().detail["endpoints"], [second.pk])

    def test_that_are_disabled_or_deleted_raise_none(self) -> None:
        endpoint = make_endpoint("https://a.example/", failing_since=timezone.now() - timedelta(1))
        self.assertEqual(self.active(), ["webhook_failing"])
        WebhookEndpoint.objects.update(is_enabled=False)
        self.assertEqual(self.active(), [])
        WebhookEndpoint.objects.update(is_enabled=True)
        self.assertEqual(self.active(), ["webhook_failing"])
        endpoint.delete()
        self.assertEqual(self.active(), [])
