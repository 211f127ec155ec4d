"""The threads that deliver: their connections, and their turns."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from django.db import connections
from django.test import override_settings

from calls.models import WebhookDelivery
from calls.notifications.webhooks import delivery, http_post, threads
from calls.notifications.webhooks.http_post import Answer
from tests.calls.notifications.webhooks.receiver import Receiver
from tests.calls.notifications.webhooks.test_delivery import DeliveryTests, add, make_endpoint


class Connections(DeliveryTests):
    def test_are_given_back_while_a_receiver_takes_its_time(self) -> None:
        steps: list[str] = []

        def post(*_arguments: Any) -> Answer:
            steps.append("sent")
            return Answer(200, "", b"")

        make_endpoint("https://receiver.example.com/")
        add("1")
        add("2")
        closing = patch.object(connections, "close_all", lambda: steps.append("closed"))
        with closing, patch.object(http_post, "post", post):
            self.deliver()
        self.assertEqual(steps, ["closed", "sent", "closed", "sent", "closed"])
        self.assertEqual(self.statuses(), ["delivered", "delivered"])


@override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
class Turns(DeliveryTests):
    def test_of_slow_endpoints_do_not_keep_another_one_waiting(self) -> None:
        """A limit of one thread instead of 16, and of one attempt instead of a minute."""
        with Receiver() as slow, Receiver() as other:
            make_endpoint(slow.url)
            for number in range(3):
                add(str(number))
            make_endpoint(other.url)
            add("the newest")
            with (
                patch.object(threads, "MAX_THREADS", 1),
                patch.object(delivery, "deliver_next", one_attempt),
            ):
                self.deliver()
                self.assertEqual((len(slow.requests), len(other.requests)), (1, 0))
                self.deliver()
                self.assertEqual((len(slow.requests), len(other.requests)), (1, 1))
                self.deliver()
                self.assertEqual((len(slow.requests), len(other.requests)), (2, 1))
        self.assertEqual(WebhookDelivery.objects.filter(status="waiting").count(), 2)


deliver_next = delivery.deliver_next


def one_attempt(endpoint_id: int) -> bool:
    """Delivers one event, and says that nothing is left."""
    deliver_next(endpoint_id)
    return False
