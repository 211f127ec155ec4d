"""Events, deliveries and alarms in the admin: read only, except *Send again*."""

from __future__ import annotations

from typing import Any

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from calls.models import DeliveryAttempt, OutgoingEvent, WebhookDelivery, WebhookEndpoint
from calls.notifications import care, outbox
from tests.calls.notifications.webhooks.receiver import SECRET
from tests.calls.rows import make_alarm, make_call
from tests.people import person


def page_of(row: Any) -> str:
    return reverse(f"admin:calls_{row._meta.model_name}_change", args=[row.pk])


def list_of(model: Any) -> str:
    return reverse(f"admin:calls_{model._meta.model_name}_changelist")


class Records(TestCase):
    def setUp(self) -> None:
        self.ada = person("ada", is_staff=True)
        self.client.force_login(self.ada)
        WebhookEndpoint.objects.create(url="https://receiver.example/", secret=SECRET)
        outbox.add(outbox.CALL_ENDED, timezone.now(), {"id": "<b>1</b>"}, key="1")
        self.event, self.row = OutgoingEvent.objects.get(), WebhookDelivery.objects.get()

    def send_again(self) -> Any:
        values = {"action": "send_again", "_selected_action": [self.row.pk]}
        return self.client.post(list_of(WebhookDelivery), values, follow=True)

    def test_events_show_their_data_and_their_deliveries(self) -> None:
        page = self.client.get(page_of(self.event))
        self.assertContains(page, "&quot;id&quot;: &quot;&lt;b&gt;1&lt;/b&gt;&quot;")
        self.assertContains(page, '<pre class="calls-identifier"><bdi>{')
        self.assertContains(page, page_of(self.row))
        self.assertContains(self.client.get(list_of(OutgoingEvent)), "Waiting: https://receiver")

    def test_deliveries_show_their_attempts(self) -> None:
        DeliveryAttempt.objects.create(
            delivery=self.row, started_at=timezone.now(), seconds=15, error="There was no answer."
        )
        self.assertContains(self.client.get(page_of(self.row)), "There was no answer. (15.0 s)")
        listed = self.client.get(f"{list_of(WebhookDelivery)}?q={self.event.pk}")
        self.assertContains(listed, page_of(self.row))

    def test_given_up_deliveries_are_sent_again(self) -> None:
        WebhookDelivery.objects.update(status="given_up", next_attempt_at=None)
        self.assertContains(self.send_again(), "1 given-up deliveries are sent again")
        self.row.refresh_from_db()
        self.assertEqual(self.row.status, "waiting")
        self.assertIsNotNone(self.row.next_attempt_at)
        self.assertContains(self.send_again(), "0 given-up deliveries are sent again")

    def test_sending_again_needs_its_permission(self) -> None:
        WebhookDelivery.objects.update(status="given_up")
        self.client.force_login(person("eve", "view_webhookdelivery", is_staff=True))
        self.assertNotContains(self.client.get(list_of(WebhookDelivery)), "Send again")
        self.send_again()
        self.row.refresh_from_db()
        self.assertEqual(self.row.status, "given_up")

    def test_alarms_show_their_call_and_the_user_in_charge(self) -> None:
        call = make_call()
        alarm = make_alarm(call_id=call.pk)
        care.acknowledge(alarm, self.ada)
        page = self.client.get(page_of(alarm))
        for text in ("Audio stalled", "critical", "ada: acknowledged", page_of(call)):
            self.assertContains(page, text)
        make_alarm("of_a_later_version")
        self.assertContains(self.client.get(list_of(alarm)), "of_a_later_version")

    def test_nothing_can_be_changed(self) -> None:
        for row in (self.event, self.row, make_alarm()):
            with self.subTest(row._meta.model_name):
                self.assertEqual(self.client.post(page_of(row), {}).status_code, 403)
                self.assertNotContains(self.client.get(page_of(row)), 'name="_save"')
