"""Events of ACS in the admin: found by call and type, and read only."""

from __future__ import annotations

from django.test import TestCase
from django.urls import reverse

from calls.models import CallEvent
from tests.calls.coverage.events import make_event
from tests.people import person

LIST = reverse("admin:calls_callevent_changelist")


class EventPages(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_callevent", is_staff=True))
        make_event("CallConnected", connection_id="CC1", correlation_id="K1")
        make_event("IncomingCall", correlation_id="K1", server="S1", callerName="<b>Ben</b>")
        make_event("<b>Thunder</b>", connection_id="CC2")

    def types(self, query: str) -> set[str]:
        page = self.client.get(f"{LIST}?{query}")
        self.assertEqual(page.status_code, 200)
        return {row.type for row in page.context["cl"].result_list}

    def test_are_filtered_and_found(self) -> None:
        every = {"CallConnected", "IncomingCall", "<b>Thunder</b>"}
        for query, found in (
            ("", every),
            ("q=CC1", {"CallConnected"}),
            ("q=K1", {"CallConnected", "IncomingCall"}),
            ("q=S1", {"IncomingCall"}),
            ("q=nothing", set()),
            ("type=IncomingCall", {"IncomingCall"}),
            ("received_at_until=2020-01-01", set()),
        ):
            with self.subTest(query):
                self.assertEqual(self.types(query), found)

    def test_show_their_data_escaped(self) -> None:
        event = CallEvent.objects.get(type="IncomingCall")
        page = self.client.get(reverse("admin:calls_callevent_change", args=[event.pk]))
        self.assertContains(page, "&lt;b&gt;Ben&lt;/b&gt;")
        self.assertContains(page, "Incoming call")
        self.assertNotContains(page, "<b>Ben</b>")
        self.assertNotContains(self.client.get(LIST), "<b>Thunder</b>")

    def test_cannot_be_added_changed_or_deleted(self) -> None:
        event = CallEvent.objects.get(type="IncomingCall")
        address = reverse("admin:calls_callevent_change", args=[event.pk])
        self.assertEqual(self.client.post(address, {"type": "x"}).status_code, 403)
        self.assertEqual(self.client.get(reverse("admin:calls_callevent_add")).status_code, 403)
        values = {"action": "delete_selected", "_selected_action": [str(event.pk)], "post": "yes"}
        self.client.post(LIST, values)
        self.assertEqual(CallEvent.objects.count(), 3)

    def test_need_their_permission(self) -> None:
        self.client.force_login(person("viewer", "view_call", is_staff=True))
        self.assertEqual(self.client.get(LIST).status_code, 403)

    def test_are_listed_in_a_constant_number_of_queries(self) -> None:
        for more in (0, 30):
            for number in range(more):
                make_event("CallConnected", connection_id=f"more {number}")
            with self.assertNumQueries(6):
                self.client.get(LIST)
