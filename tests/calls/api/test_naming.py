"""Naming participants in REST and in the admin, and on open dashboards."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client, TestCase
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase
from rest_framework.authtoken.models import Token

from calls.models import Participant
from tests.calls.rows import ALICE, make_call, make_gap, make_participant, url_of
from tests.people import person


class NamingTestCase(TestCase):
    def setUp(self) -> None:
        self.user = person("ada", "view_call", "change_participant", is_staff=True)
        self.client.force_login(self.user)
        self.alice = make_participant(make_call(), ALICE)
        self.address = url_of(self.alice.call_id, f"participants/{self.alice.id}/")

    def patch(self, body: Any, client: Client | None = None) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        client = client or self.client
        return client.patch(self.address, text, content_type="application/json")

    def name(self) -> tuple[str, str]:
        self.alice.refresh_from_db()
        return self.alice.display_name, self.alice.name_source


class InRest(NamingTestCase):
    def test_a_person_names_a_participant(self) -> None:
        answer = self.patch({"display_name": " Alice Ångström "})
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.json()["display_name"], "Alice Ångström")
        self.assertEqual(answer.json()["label"], "Alice Ångström")
        self.assertEqual(answer.json()["raw_id"], ALICE)
        self.assertEqual(self.name(), ("Alice Ångström", "person"))

    def test_a_token_is_enough(self) -> None:
        client = Client(headers={"Authorization": f"Token {Token.objects.create(user=self.user)}"})
        self.assertEqual(self.patch({"display_name": "Alice"}, client).status_code, 200)

    def test_a_session_needs_the_csrf_token(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.user)
        self.assertEqual(self.patch({"display_name": "Alice"}, client).status_code, 403)
        self.assertEqual(self.name(), ("", ""))

    def test_its_own_permission_is_needed(self) -> None:
        self.client.force_login(person("bob", "view_call"))
        answer = self.patch({"display_name": "Alice"})
        self.assertEqual(answer.status_code, 403)
        self.assertIn("calls.change_participant", answer.json()["detail"])
        self.client.force_login(person("eve", "change_participant"))
        self.assertEqual(self.patch({"display_name": "Alice"}).status_code, 403)

    def test_wrong_bodies_are_errors_that_name_the_field(self) -> None:
        for body, field in (
            ({}, "display_name"),
            ({"display_name": None}, "display_name"),
            ({"display_name": ["Alice"]}, "display_name"),
            ({"display_name": "x" * 257}, "display_name"),
            ({"display_name": "a\x00b"}, "display_name"),
            ({"display_name": "a\nb"}, "display_name"),
            ('{"display_name": "\\ud800"}', "display_name"),
            ({"display_name": "Alice", "raw_id": "4:+1"}, "raw_id"),
            ("[]", "detail"),
            ("null", "detail"),
            ('"Alice"', "detail"),
            ("{", "detail"),
            (b"\xff", "detail"),
            ("[" * 200_000, "detail"),
            ('{"display_name":' * 100_000, "detail"),
        ):
            with self.subTest(str(body)[:40]):
                answer = self.patch(body)
                self.assertEqual(answer.status_code, 400)
                self.assertEqual(list(answer.json()), [field])
        self.assertEqual(self.name(), ("", ""))

    def test_a_participant_of_another_call_is_not_found(self) -> None:
        self.address = url_of(make_call(), f"participants/{self.alice.id}/")
        self.assertEqual(self.patch({"display_name": "Alice"}).status_code, 404)

    def test_nothing_else_is_possible_there(self) -> None:
        for method in (self.client.get, self.client.put, self.client.delete, self.client.post):
            self.assertEqual(method(self.address).status_code, 405)

    def test_who_has_named_is_noted_without_name_and_number(self) -> None:
        self.patch({"display_name": "Alice"})
        self.patch({"display_name": "Alice"})  # changes nothing
        entry = LogEntry.objects.get()
        self.assertEqual((entry.user_id, entry.object_id), (self.user.pk, str(self.alice.id)))
        self.assertEqual(entry.get_change_message(), "Changed Display name.")
        for value in vars(entry).values():
            self.assertNotIn("Alice", str(value))
            self.assertNotIn("1555", str(value))


class ByEvents(NamingTestCase):
    def test_an_event_names_whom_nobody_has_named(self) -> None:
        named = Participant.objects.name_by_events(
            self.alice.call_id, {ALICE: "Alice (event)", "4:+1999": "Nobody"}
        )
        self.assertEqual((named, self.name()), (1, ("Alice (event)", "event")))
        self.assertEqual(
            Participant.objects.name_by_events(self.alice.call_id, {ALICE: "Alice (event)"}), 0
        )
        Participant.objects.name_by_events(self.alice.call_id, {ALICE: "Alice B."})
        self.assertEqual(self.name(), ("Alice B.", "event"))
        Participant.objects.name_by_events(self.alice.call_id, {ALICE: ""})
        self.assertEqual(self.name(), ("Alice B.", "event"))

    def test_an_event_never_replaces_the_name_that_a_person_gave(self) -> None:
        self.patch({"display_name": "Alice"})
        Participant.objects.name_by_events(self.alice.call_id, {ALICE: "Alice (event)"})
        self.assertEqual(self.name(), ("Alice", "person"))
        self.patch({"display_name": ""})
        self.assertEqual(self.name(), ("", ""))
        Participant.objects.name_by_events(self.alice.call_id, {ALICE: "Alice (event)"})
        self.assertEqual(self.name(), ("Alice (event)", "event"))

    def test_a_person_confirms_the_name_of_an_event(self) -> None:
        Participant.objects.name_by_events(self.alice.call_id, {ALICE: "Alice"})
        self.patch({"display_name": "Alice"})
        self.assertEqual(self.name(), ("Alice", "person"))


class InTheAdmin(NamingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = reverse("admin:calls_participant_change", args=[self.alice.pk])

    def test_only_the_name_can_be_changed(self) -> None:
        form = self.client.get(self.page).context["adminform"].form
        self.assertEqual(list(form.fields), ["display_name"])
        values = {"display_name": "Alice", "raw_id": "4:+1999", "kind": "bot"}
        self.assertEqual(self.client.post(self.page, values).status_code, 302)
        self.assertEqual(self.name(), ("Alice", "person"))
        self.assertEqual((self.alice.raw_id, self.alice.kind), (ALICE, "phone"))
        entry = LogEntry.objects.get()
        self.assertNotIn("Alice", entry.object_repr + entry.change_message)

    def test_administrators_who_see_the_events_can_change_it(self) -> None:
        make_gap(self.alice, at=1, seconds=1)
        self.client.force_login(User.objects.create_superuser("boss"))
        self.assertContains(self.client.get(self.page), "not_received")
        self.assertEqual(self.client.post(self.page, {"display_name": "Alice"}).status_code, 302)
        self.assertEqual(self.name(), ("Alice", "person"))

    def test_control_characters_are_refused(self) -> None:
        page = self.client.post(self.page, {"display_name": "a\x07b"})
        self.assertContains(page, "Control characters are not allowed.")
        self.assertEqual(self.name(), ("", ""))

    def test_viewers_see_the_page_and_change_nothing(self) -> None:
        self.client.force_login(
            person("bob", "view_call", "view_participant", "view_ledgerentry", is_staff=True)
        )
        self.assertEqual(self.client.get(self.page).status_code, 200)
        self.assertEqual(self.client.post(self.page, {"display_name": "x"}).status_code, 403)
        self.assertEqual(self.name(), ("", ""))


class AnyName(HypothesisTestCase):
    @given(st.text(max_size=300))
    def test_is_stored_or_refused_and_never_a_fault(self, name: str) -> None:
        test = NamingTestCase("setUp")
        client = Client()
        user = person(
            f"u{Participant.objects.count()}-{hash(name)}", "view_call", "change_participant"
        )
        client.force_login(user)
        alice = make_participant(make_call(), ALICE)
        test.alice, test.address = alice, url_of(alice.call_id, f"participants/{alice.id}/")
        answer = test.patch({"display_name": name}, client)
        self.assertIn(answer.status_code, {200, 400})
        if answer.status_code == 200:
            alice.refresh_from_db()
            self.assertEqual(alice.display_name, name.strip())
