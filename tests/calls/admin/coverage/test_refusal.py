"""Refused handshakes in the admin: found by reason, sender and call, and read only."""

from __future__ import annotations

from django.test import TestCase
from django.urls import reverse

from calls.models import RefusedHandshake
from tests.calls.coverage.test_refusals import refused
from tests.people import person

LIST = reverse("admin:calls_refusedhandshake_changelist")


class RefusalPages(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_call", "view_refusedhandshake", is_staff=True))
        RefusedHandshake.objects.bulk_create(
            [
                refused(address="20.51.10.7", call_connection_id="<b>c1</b>", count=3),
                refused(reason="no_header", from_acs=False, count=9_000),
                refused(reason="of_a_later_version", days_ago=2, correlation_id="k1"),
            ]
        )

    def reasons(self, query: str) -> set[str]:
        page = self.client.get(f"{LIST}?{query}")
        self.assertEqual(page.status_code, 200)
        return {row.reason for row in page.context["cl"].result_list}

    def test_are_filtered_and_found(self) -> None:
        every = {"expired", "no_header", "of_a_later_version"}
        self.assertEqual(self.reasons(""), every)
        self.assertEqual(self.reasons("reason=expired"), {"expired"})
        self.assertEqual(self.reasons("reason=odd"), every)
        self.assertEqual(self.reasons("from_acs__exact=0"), {"no_header"})
        self.assertEqual(self.reasons("q=k1"), {"of_a_later_version"})
        self.assertEqual(self.reasons("q=%3Cb%3Ec1%3C/b%3E"), {"expired"})
        self.assertEqual(self.reasons("q=nothing"), set())

    def test_say_why_in_words_and_escape_what_the_client_sent(self) -> None:
        page = self.client.get(LIST)
        self.assertContains(page, "token expired: check the clock of this host")
        self.assertContains(page, "of_a_later_version")
        self.assertContains(page, "&lt;b&gt;c1&lt;/b&gt;")
        self.assertNotContains(page, "<b>c1</b>")

    def test_are_one_click_from_where_they_are_counted(self) -> None:
        self.assertContains(self.client.get("/"), f'href="{LIST}"')
        self.client.force_login(person("viewer", "view_call", is_staff=True))
        self.assertNotContains(self.client.get("/"), LIST)

    def test_can_be_opened_and_not_be_changed(self) -> None:
        row = RefusedHandshake.objects.get(reason="expired")
        address = reverse("admin:calls_refusedhandshake_change", args=[row.pk])
        self.assertContains(self.client.get(address), "20.51.10.7")
        self.assertEqual(self.client.post(address, {"count": 1}).status_code, 403)
        values = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        self.client.post(LIST, values)
        self.assertEqual(RefusedHandshake.objects.count(), 3)
