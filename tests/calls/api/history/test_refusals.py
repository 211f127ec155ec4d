"""Refused handshakes in REST."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import TestCase

from calls.models import RefusedHandshake
from tests.calls.coverage.test_refusals import refused
from tests.people import person

LIST = "/api/v1/refusals/"
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(minutes: float, **values: Any) -> RefusedHandshake:
    row = refused(**values)
    row.first_at = NINE + timedelta(minutes=minutes)
    row.last_at = row.first_at + timedelta(seconds=30)
    return row


class Refusals(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_call", "view_refusedhandshake"))
        self.rows = [
            at(0, address="20.51.10.7", call_connection_id="c1", correlation_id="k1", count=2),
            at(1, reason="no_header", from_acs=False, count=9_000),
            at(2, reason="wrong_audience", call_connection_id="c2"),
        ]
        RefusedHandshake.objects.bulk_create(self.rows)

    def found(self, **query: str) -> list[str]:
        answer = self.client.get(LIST, query)
        self.assertEqual(answer.status_code, 200, answer.content)
        return [row["reason"] for row in answer.json()["results"]]

    def test_are_listed_newest_first_with_their_reason_in_words(self) -> None:
        rows = self.client.get(LIST).json()["results"]
        self.assertEqual(
            rows[2],
            {
                "id": str(self.rows[0].id),
                "reason": "expired",
                "text": "token expired: check the clock of this host",
                "count": 2,
                "first_at": "2026-03-02T09:00:00Z",
                "last_at": "2026-03-02T09:00:30Z",
                "from_acs": True,
                "address": "20.51.10.7",
                "call_connection_id": "c1",
                "correlation_id": "k1",
                "process": str(self.rows[0].process),
            },
        )
        self.assertEqual(rows[1]["address"], None)
        self.assertEqual(self.found(), ["wrong_audience", "no_header", "expired"])

    def test_are_filtered(self) -> None:
        self.assertEqual(self.found(reason="no_header"), ["no_header"])
        self.assertEqual(self.found(from_acs="false"), ["no_header"])
        self.assertEqual(self.found(from_acs="true"), ["wrong_audience", "expired"])
        self.assertEqual(self.found(call_connection_id="c2"), ["wrong_audience"])
        moments = {"from": "2026-03-02T09:01:00Z", "to": "2026-03-02T09:02:00Z"}
        self.assertEqual(self.found(**moments), ["no_header"], "from inclusive, to exclusive")

    def test_wrong_filters_are_errors_that_name_them(self) -> None:
        for name, value in (
            ("reason", "nonsense"),
            ("reason", ""),
            ("from_acs", "2"),
            ("from", "yesterday"),
            ("to", ""),
            ("form", "2026-03-02T09:01:00Z"),
            ("call_connection_id", "a\x00b"),
            ("cursor", "x"),
            ("page_size", "1001"),
        ):
            with self.subTest(name, value=value):
                answer = self.client.get(LIST, {name: value})
                self.assertEqual(answer.status_code, 400)
                self.assertEqual(list(answer.json()), [name])

    def test_pages_repeat_and_skip_nothing_while_rows_are_added(self) -> None:
        first = self.client.get(LIST, {"page_size": 2}).json()
        RefusedHandshake.objects.bulk_create([at(3, reason="wrong_issuer")])
        second = self.client.get(first["next"]).json()
        seen = [row["reason"] for row in first["results"] + second["results"]]
        self.assertEqual(seen, ["wrong_audience", "no_header", "expired"])

    def test_need_their_own_permission(self) -> None:
        self.client.force_login(person("bob", "view_call"))
        answer = self.client.get(LIST)
        self.assertEqual(answer.status_code, 403)
        self.assertIn("calls.view_refusedhandshake", answer.json()["detail"])
