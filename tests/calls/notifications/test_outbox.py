"""The outbox: an event once per fact, for the endpoints that want it, in the fact's transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction
from django.test import TestCase

from calls.models import OutgoingEvent, WebhookDelivery, WebhookEndpoint
from calls.notifications import outbox

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def make_endpoint(url: str = "https://receiver.example/hook", **values: object) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(
        url=url, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", **values
    )


class Adding(TestCase):
    def add(self, key: str = "call-1", event_type: str = outbox.CALL_ENDED) -> None:
        outbox.add(event_type, AT, {"id": key}, key=key)

    def test_writes_the_event_and_a_delivery_for_each_endpoint(self) -> None:
        first, second = make_endpoint(), make_endpoint("https://other.example/")
        self.add()
        event = OutgoingEvent.objects.get()
        self.assertEqual((event.type, event.occurred_at), ("call.ended", AT))
        self.assertEqual(event.data, {"id": "call-1"})
        deliveries = WebhookDelivery.objects.order_by("id")
        self.assertEqual([one.endpoint for one in deliveries], [first, second])
        self.assertEqual({one.status for one in deliveries}, {"waiting"})
        self.assertTrue(WebhookDelivery.objects.filter(next_attempt_at__gte=event.created_at))

    def test_leaves_out_disabled_endpoints_and_those_that_want_other_types(self) -> None:
        make_endpoint(is_enabled=False)
        make_endpoint(event_types=["alarm.raised"])
        wanting = make_endpoint(event_types=["call.deleted", "call.ended"])
        self.add()
        self.assertEqual(WebhookDelivery.objects.get().endpoint, wanting)

    def test_repeated_with_its_key_is_one_event_also_for_endpoints_of_later(self) -> None:
        make_endpoint()
        self.add()
        make_endpoint("https://later.example/")
        self.add()
        self.assertEqual(OutgoingEvent.objects.count(), 1)
        self.assertEqual(WebhookDelivery.objects.count(), 1)

    def test_tells_keys_and_types_apart(self) -> None:
        self.add("call-1")
        self.add("call-2")
        self.add("call-1", outbox.CALL_STARTED)
        self.assertEqual(OutgoingEvent.objects.count(), 3)

    def test_is_undone_with_the_fact(self) -> None:
        make_endpoint()
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            self.add()
            raise ZeroDivisionError
        self.assertFalse(OutgoingEvent.objects.exists())
        self.assertFalse(WebhookDelivery.objects.exists())
