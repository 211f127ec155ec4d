"""Canary runs in the admin: found by outcome, with a link to their call, and read only."""

from __future__ import annotations

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from calls.models import CanaryRun
from tests.calls.canary.rows import make_canary, make_run
from tests.people import person

LIST = reverse("admin:calls_canaryrun_changelist")
CALLS = reverse("admin:calls_call_changelist")


class CanaryRunPages(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_call", is_staff=True))
        self.call = make_canary()
        make_run(outcome="failed", reason="shifted", detail="7 <b>samples</b>", delay_seconds=1.25)
        make_run(outcome="running", deleted_at=timezone.now())

    def outcomes(self, query: str) -> list[str]:
        page = self.client.get(f"{LIST}?{query}")
        self.assertEqual(page.status_code, 200)
        return sorted(row.outcome for row in page.context["cl"].result_list)

    def test_are_filtered_and_found(self) -> None:
        for query, found in (
            ("", ["failed", "passed", "running"]),
            ("outcome__exact=failed", ["failed"]),
            (f"q={self.call.call_connection_id}", ["passed"]),
            (f"q={CanaryRun.objects.get(outcome='running').pk}", ["running"]),
            ("started_at_until=2020-01-01", []),
        ):
            with self.subTest(query):
                self.assertEqual(self.outcomes(query), found)

    def test_say_why_in_words_and_lead_to_their_call_while_it_is_there(self) -> None:
        page = self.client.get(LIST)
        self.assertContains(page, "its audio came back at another time")
        self.assertContains(page, "1.2 s")
        address = f"{CALLS}?q={self.call.call_connection_id}&amp;canaries=only"
        self.assertContains(page, f'href="{address}"')
        found = self.client.get(address.replace("&amp;", "&"))
        self.assertEqual([row.pk for row in found.context["cl"].result_list], [self.call.pk])
        gone = CanaryRun.objects.get(outcome="running").call_connection_id
        self.assertContains(page, gone)
        self.assertNotContains(page, f"q={gone}")

    def test_can_be_opened_and_not_be_changed(self) -> None:
        row = CanaryRun.objects.get(outcome="failed")
        address = reverse("admin:calls_canaryrun_change", args=[row.pk])
        self.assertContains(self.client.get(address), "7 &lt;b&gt;samples&lt;/b&gt;")
        self.assertEqual(self.client.post(address, {"outcome": "passed"}).status_code, 403)
        self.assertEqual(self.client.get(reverse("admin:calls_canaryrun_add")).status_code, 403)

    def test_are_shown_to_users_who_may_see_calls(self) -> None:
        self.client.force_login(person("ben", "read_canaries", is_staff=True))
        self.assertEqual(self.client.get(LIST).status_code, 403)
