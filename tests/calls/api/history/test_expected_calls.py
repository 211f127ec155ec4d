"""Stating by REST that a call took place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import TestCase
from django.utils import timezone
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from calls.models import CallCoverage, ExpectedCall
from tests.people import person

URL = "/api/v1/expected-calls/"
BODY: dict[str, Any] = {
    "call_connection_id": "connection-1",
    "started_at": "2026-03-02T09:30:00Z",
    "ended_at": "2026-03-02T09:31:00Z",
    "participants": 2,
    "source": "pbx",
}


class Statements(TestCase):
    def setUp(self) -> None:
        self.rest = APIClient()
        token = Token.objects.create(user=person("pbx", "add_expectedcall"))
        self.rest.credentials(HTTP_AUTHORIZATION=f"Token {token.key}")

    def post(self, body: Any, **changes: Any) -> Any:
        given = body | changes if isinstance(body, dict) else body
        return self.rest.post(URL, given, format="json")

    def test_a_statement_is_created_once_and_repeated(self) -> None:
        first, second = self.post(BODY), self.post(BODY)
        self.assertEqual((first.status_code, second.status_code), (201, 200))
        self.assertEqual(first.json(), second.json())
        self.assertEqual(first.json()["ended_at"], "2026-03-02T09:31:00Z")
        row = ExpectedCall.objects.get()
        self.assertEqual((row.source, row.participants), ("pbx", 2))
        self.assertEqual(CallCoverage.objects.get().call_connection_id, "connection-1")

    def test_a_repetition_replaces_the_statement_of_its_source(self) -> None:
        self.post(BODY, ended_at=None)
        self.assertEqual(self.post(BODY, participants=3).status_code, 200)
        row = ExpectedCall.objects.get()
        self.assertEqual(row.participants, 3)
        assert row.ended_at, "the repetition gives it"
        self.assertEqual(self.post(BODY, source="cdr").status_code, 201)
        self.assertEqual(ExpectedCall.objects.count(), 2)

    def test_a_correlation_id_and_a_start_are_enough(self) -> None:
        answer = self.post({"correlation_id": "c-1", "started_at": "2026-03-02T10:30:00+01:00"})
        self.assertEqual(answer.status_code, 201)
        row = ExpectedCall.objects.get()
        self.assertEqual((row.source, row.ended_at, row.participants), ("rest", None, None))
        self.assertEqual(row.started_at.isoformat(), "2026-03-02T09:30:00+00:00")

    def test_wrong_members_are_named(self) -> None:
        future = (timezone.now() + timedelta(days=2)).isoformat()
        for name, changes in (
            ("started_at", {"started_at": "yesterday"}),
            ("started_at", {"started_at": None}),
            ("started_at", {"started_at": future}),
            ("started_at", {"started_at": "0001-01-01T00:00:00+14:00"}),
            ("ended_at", {"ended_at": "2026-03-02T09:29:59Z"}),
            ("ended_at", {"ended_at": "9999-12-31T23:59:59-14:00"}),
            ("ended_at", {"ended_at": "2026-03-09T09:30:01Z"}),
            ("participants", {"participants": -1}),
            ("participants", {"participants": "many"}),
            ("source", {"source": ""}),
            ("source", {"source": "x" * 65}),
            ("call_connection_id", {"call_connection_id": "x" * 257}),
            ("call_connection_id", {"call_connection_id": "a\x00b"}),
            ("call_connection_id", {"call_connection_id": "canary-1"}),
            ("correlation_id", {"correlation_id": ["list"]}),
            ("length", {"length": 60}),
        ):
            with self.subTest(changes):
                answer = self.post(BODY, **changes)
                self.assertEqual((answer.status_code, list(answer.json())), (400, [name]))
        self.assertFalse(ExpectedCall.objects.exists())

    def test_a_call_has_to_be_named(self) -> None:
        answer = self.post({"started_at": "2026-03-02T09:30:00Z"})
        self.assertEqual((answer.status_code, list(answer.json())), (400, ["call_connection_id"]))

    def test_a_body_has_to_be_an_object(self) -> None:
        bodies: tuple[Any, ...] = ([], "text", 7)
        for body in bodies:
            self.assertEqual(self.post(body).status_code, 400)

    def test_it_needs_its_own_permission(self) -> None:
        token = Token.objects.create(user=person("engineer", "view_call"))
        self.rest.credentials(HTTP_AUTHORIZATION=f"Token {token.key}")
        answer = self.post(BODY)
        self.assertEqual(answer.status_code, 403)
        self.assertIn("calls.add_expectedcall", answer.json()["detail"])
