"""Webhook endpoints in the admin: secret shown once, events, test, state, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from calls.admin.notifications.endpoint import EndpointForm
from calls.models import DeliveryAttempt, WebhookDelivery, WebhookEndpoint
from calls.notifications import outbox
from tests.calls.notifications.webhooks.receiver import SECRET, Receiver, free_port, status
from tests.people import person

LIST = reverse("admin:calls_webhookendpoint_changelist")
ADD = reverse("admin:calls_webhookendpoint_add")
URL = "https://receiver.example/hook"


class EndpointPages(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", is_staff=True))

    def make(self, **values: Any) -> WebhookEndpoint:
        return WebhookEndpoint.objects.create(**{"url": URL, "secret": SECRET, **values})

    def page_of(self, endpoint: WebhookEndpoint) -> str:
        return reverse("admin:calls_webhookendpoint_change", args=[endpoint.pk])

    def save(self, endpoint: WebhookEndpoint, **fields: Any) -> Any:
        values = {"url": endpoint.url, "is_enabled": "on" if endpoint.is_enabled else "", **fields}
        return self.client.post(self.page_of(endpoint), values, follow=True)

    def test_the_server_makes_the_secret_and_shows_it_once(self) -> None:
        values = {"url": URL, "is_enabled": "on", "event_types": ["call.ended", "alarm.raised"]}
        page = self.client.post(ADD, values, follow=True)
        endpoint = WebhookEndpoint.objects.get()
        self.assertContains(page, endpoint.secret)
        self.assertEqual(endpoint.event_types, ["call.ended", "alarm.raised"])
        self.assertTrue(endpoint.secret.startswith("whsec_"))
        Webhook(endpoint.secret)
        for address in (LIST, self.page_of(endpoint)):
            self.assertNotContains(self.client.get(address), endpoint.secret)

    def test_addresses_that_are_never_reached_are_refused(self) -> None:
        for url in ("http://receiver.example/", "https://user:pw@receiver.example/", "ftp://a.b/"):
            with self.subTest(url):
                page = self.client.post(ADD, {"url": url, "is_enabled": "on"})
                self.assertIn("url", page.context["adminform"].form.errors)
        self.assertFalse(WebhookEndpoint.objects.exists())

    def test_a_new_secret_signs_beside_the_former_one_until_that_is_removed(self) -> None:
        endpoint = self.make()
        page = self.save(endpoint, new_secret="on")
        endpoint.refresh_from_db()
        self.assertEqual(endpoint.previous_secret, SECRET)
        self.assertContains(page, endpoint.secret)
        secret = endpoint.secret
        self.save(endpoint, remove_previous="on")
        endpoint.refresh_from_db()
        self.assertEqual((endpoint.secret, endpoint.previous_secret), (secret, ""))

    def test_enabling_it_clears_the_reason_and_the_pause(self) -> None:
        now = timezone.now()
        endpoint = self.make(
            is_enabled=False,
            disabled_reason="It answered 410 (gone).",
            failures=3,
            failing_since=now,
            paused_until=now + timedelta(hours=1),
        )
        self.assertContains(self.client.get(self.page_of(endpoint)), "It answered 410 (gone).")
        self.save(endpoint, is_enabled="on")
        endpoint.refresh_from_db()
        self.assertTrue(endpoint.is_enabled)
        self.assertEqual((endpoint.disabled_reason, endpoint.failures), ("", 0))
        self.assertIsNone(endpoint.paused_until)

    def test_a_new_address_is_tried_at_once_and_another_change_ends_no_pause(self) -> None:
        pause = timezone.now() + timedelta(hours=1)
        endpoint = self.make(failures=3, paused_until=pause)
        self.save(endpoint, description="CRM")
        endpoint.refresh_from_db()
        self.assertEqual((endpoint.failures, endpoint.paused_until), (3, pause))
        self.save(endpoint, url="https://other.example/")
        endpoint.refresh_from_db()
        self.assertEqual((endpoint.failures, endpoint.paused_until), (0, None))

    def test_saving_overwrites_nothing_that_a_delivery_writes_at_the_same_time(self) -> None:
        now = timezone.now()
        state = {"failures": 4, "failing_since": now, "paused_until": now, "claimed_until": now}
        gone = {"is_enabled": False, "disabled_reason": "It answered 410 (gone)."}
        for fields in (
            {"description": "CRM"},
            {"new_secret": "on"},
            {"event_types": ["call.ended"]},
            {},
        ):
            with self.subTest(fields):
                endpoint = self.make()

                def fail(_form: Any, pk: int = endpoint.pk) -> str:
                    WebhookEndpoint.objects.filter(pk=pk).update(**state, **gone)
                    return URL

                with mock.patch.object(EndpointForm, "clean_url", fail):
                    self.save(endpoint, **fields)
                endpoint.refresh_from_db()
                found = {name: getattr(endpoint, name) for name in (*state, *gone)}
                self.assertEqual(found, {**state, **gone})

    def test_its_page_shows_state_waiting_deliveries_and_attempts(self) -> None:
        endpoint = self.make(failures=2, failing_since=timezone.now())
        outbox.add(outbox.CALL_ENDED, timezone.now(), {}, key="1")
        row = WebhookDelivery.objects.get()
        DeliveryAttempt.objects.create(
            delivery=row, started_at=timezone.now(), seconds=1.2, status_code=503
        )
        page = self.client.get(self.page_of(endpoint))
        self.assertContains(page, "Fails since")
        self.assertContains(page, "call.ended: answered 503 (1.2 s)")
        self.assertContains(page, f"endpoint__id__exact={endpoint.pk}")

    def test_the_secret_cannot_be_found_by_filters(self) -> None:
        self.make()
        deliveries = reverse("admin:calls_webhookdelivery_changelist")
        for address in (
            f"{LIST}?secret__startswith=w",
            f"{deliveries}?endpoint__secret__startswith=w",
        ):
            self.assertEqual(self.client.get(address).status_code, 400)

    def test_it_is_deleted_with_its_deliveries(self) -> None:
        endpoint = self.make()
        outbox.add(outbox.CALL_ENDED, timezone.now(), {}, key="1")
        address = reverse("admin:calls_webhookendpoint_delete", args=[endpoint.pk])
        self.assertContains(self.client.get(address), "Webhook deliveries: 1")
        self.client.post(address, {"post": "yes"})
        self.assertFalse(WebhookEndpoint.objects.exists())
        self.assertFalse(WebhookDelivery.objects.exists())

    @override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
    def test_a_test_is_sent_at_once_and_its_answer_shown(self) -> None:
        with Receiver() as receiver:
            endpoint = self.make(url=receiver.url)
            address = f"{self.page_of(endpoint).removesuffix('change/')}test/"
            self.assertContains(self.client.get(self.page_of(endpoint)), f'action="{address}"')
            receiver.reply(status(202, b"<b>thanks</b>"))
            page = self.client.post(address, follow=True)
            self.assertContains(page, "The test was answered 202")
            self.assertContains(page, "&lt;b&gt;thanks&lt;/b&gt;")
            self.assertEqual(receiver.requests[0].event["type"], "test")
            self.assertEqual(self.client.get(address).status_code, 405)
        WebhookEndpoint.objects.update(url=f"http://localhost:{free_port()}/")
        page = self.client.post(address, follow=True)
        self.assertContains(page, "The test was not answered. The connection failed")

    def test_users_without_the_permission_to_change_it_see_no_secret_and_send_no_test(self) -> None:
        endpoint = self.make()
        self.client.force_login(person("eve", "view_webhookendpoint", is_staff=True))
        page = self.client.get(self.page_of(endpoint))
        self.assertNotContains(page, "Send test")
        self.assertNotContains(page, SECRET)
        address = f"{self.page_of(endpoint).removesuffix('change/')}test/"
        self.assertEqual(self.client.post(address).status_code, 403)
