"""Answered calls in the admin: found by call and state, and read only."""

from __future__ import annotations

from django.test import TestCase
from django.urls import reverse

from calls.models import AnsweredCall
from tests.calls.coverage.events import make_answered_call
from tests.people import person

LIST = reverse("admin:calls_answeredcall_changelist")


class AnsweredCallPages(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_call", is_staff=True))
        make_answered_call(state="answered", call_connection_id="<b>C1</b>", correlation_id="K1")
        make_answered_call(state="failed", reason="credentials", correlation_id="K2")
        make_answered_call(state="failed", reason="of_a_later_version", correlation_id="K3")
        make_answered_call(correlation_id="K4")

    def found(self, query: str) -> set[str]:
        page = self.client.get(f"{LIST}?{query}")
        self.assertEqual(page.status_code, 200)
        return {row.correlation_id for row in page.context["cl"].result_list}

    def test_are_filtered_and_found(self) -> None:
        for query, found in (
            ("", {"K1", "K2", "K3", "K4"}),
            ("state__exact=failed", {"K2", "K3"}),
            ("q=K2", {"K2"}),
            ("q=%3Cb%3EC1%3C/b%3E", {"K1"}),
            (f"q={AnsweredCall.objects.get(correlation_id='K4').event_id}", {"K4"}),
            ("began_at_until=2020-01-01", set()),
        ):
            with self.subTest(query):
                self.assertEqual(self.found(query), found)

    def test_say_why_in_words_and_escape_what_the_sender_wrote(self) -> None:
        page = self.client.get(LIST)
        self.assertContains(page, "check ACS_CONNECTION_STRING")
        self.assertContains(page, "of_a_later_version")
        self.assertContains(page, "&lt;b&gt;C1&lt;/b&gt;")
        self.assertNotContains(page, "<b>C1</b>")

    def test_can_be_opened_and_not_be_changed(self) -> None:
        row = AnsweredCall.objects.get(correlation_id="K2")
        address = reverse("admin:calls_answeredcall_change", args=[row.pk])
        self.assertContains(self.client.get(address), str(row.event_id))
        self.assertEqual(self.client.post(address, {"state": "waiting"}).status_code, 403)
        self.assertEqual(self.client.get(reverse("admin:calls_answeredcall_add")).status_code, 403)

    def test_are_shown_to_users_who_may_see_calls(self) -> None:
        self.client.force_login(person("ben", "view_callevent", is_staff=True))
        self.assertEqual(self.client.get(LIST).status_code, 403)
