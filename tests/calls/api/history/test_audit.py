"""The audit in REST."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from calls.audit.actors import Actor
from calls.audit.chain import GENESIS
from calls.audit.trail import record
from calls.models import Action, AuditEntry
from tests.calls.rows import make_call
from tests.people import person

LIST = "/api/v1/audit/"
ANN, BOB = Actor("user", "ann", "3", "::1"), Actor("key", "bob", "4", "::1")


class Audit(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ida", "view_auditentry"))
        self.call = make_call("aa")
        record(Action.HEARD, actor=ANN, call=self.call, reason="r", detail={"from": 0, "to": 2})
        record(Action.EXPORTED, actor=BOB, call=uuid4())
        record(Action.HEARD, actor=BOB)

    def found(self, **query: str) -> list[int]:
        answer = self.client.get(LIST, query)
        self.assertEqual(answer.status_code, 200, answer.content)
        return [row["number"] for row in answer.json()["results"]]

    def test_entries_are_listed_newest_first_with_all_columns(self) -> None:
        rows: list[dict[str, Any]] = self.client.get(LIST).json()["results"]
        self.assertEqual([row["number"] for row in rows], [3, 2, 1])
        entry = AuditEntry.objects.get(number=1)
        self.assertEqual(rows[2].pop("at"), entry.at.isoformat().replace("+00:00", "Z"))
        self.assertEqual(
            rows[2],
            {
                "number": 1,
                "actor_kind": "user",
                "actor_name": "ann",
                "actor_id": "3",
                "address": "::1",
                "action": "heard",
                "call": str(self.call.pk),
                "call_connection_id": self.call.call_connection_id,
                "reason": "r",
                "detail": {"from": 0, "to": 2},
                "previous_hash": GENESIS,
                "hash": entry.hash,
            },
        )

    def test_filters(self) -> None:
        second = AuditEntry.objects.get(number=2).at.isoformat()
        self.assertEqual(self.found(call=str(self.call.pk)), [1])
        self.assertEqual(self.found(actor="bob"), [3, 2])
        self.assertEqual(self.found(action="heard"), [3, 1])
        self.assertEqual(self.found(action="heard", actor="bob"), [3])
        self.assertEqual(self.found(**{"from": second}), [3, 2])
        self.assertEqual(self.found(to=second), [1])

    def test_pages_follow_each_other(self) -> None:
        first = self.client.get(LIST, {"page_size": "2"}).json()
        record(Action.HEARD, actor=ANN)
        second = self.client.get(first["next"]).json()
        self.assertEqual([row["number"] for row in second["results"]], [1])
        self.assertIsNone(second["next"])

    def test_bad_values_are_named(self) -> None:
        for name, value in (
            *(("call", "x"), ("actor", "\0"), ("action", "sang"), ("from", "x"), ("to", "x")),
            *((name, "") for name in ("call", "actor", "action", "from", "to")),
            *(("page_size", "0"), ("page_size", "1001"), ("cursor", "x"), ("person", "ann")),
        ):
            with self.subTest(name=name, value=value):
                answer = self.client.get(LIST, {name: value})
                self.assertEqual((answer.status_code, list(answer.json())), (400, [name]))

    def test_the_permission_is_that_of_the_audit_alone(self) -> None:
        self.client.force_login(person("vic", "view_call", "hear_recording"))
        answer = self.client.get(LIST)
        self.assertEqual(answer.status_code, 403)
        self.assertIn("calls.view_auditentry", answer.json()["detail"])

    def test_the_number_of_queries_does_not_grow(self) -> None:
        self.client.get(LIST)
        with CaptureQueriesContext(connection) as few:
            self.client.get(LIST)
        for _ in range(20):
            record(Action.HEARD, actor=ANN, call=self.call)
        with self.assertNumQueries(len(few)):
            self.client.get(LIST)

    def test_filters_use_indexes(self) -> None:
        if connection.vendor != "sqlite":
            self.skipTest("Postgres reads a table of three rows without its indexes")
        for column, value, index in (
            ("call", self.call.pk, "audit_of_call"),
            ("actor_name", "ann", "audit_of_actor"),
            ("action", "heard", "audit_of_action"),
        ):
            plan = AuditEntry.objects.filter(**{column: value}).order_by("-number").explain()
            self.assertIn(index, plan)
            self.assertNotIn("TEMP B-TREE", plan)
