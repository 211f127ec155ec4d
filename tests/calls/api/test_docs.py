"""The OpenAPI schema and its page: valid, complete, and allowed by the strict CSP."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.test import Client, TestCase
from drf_spectacular.validation import validate_schema

from tests.people import person

DOCS = "/api/docs/"


class SchemaTests(TestCase):
    def setUp(self) -> None:
        self.user = person("engineer", password="a secret of the tests")
        self.client.force_login(self.user)

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.client.get("/api/schema/", {"format": "json"}).json()
        return schema

    def test_it_is_valid_openapi_3(self) -> None:
        validate_schema(self.schema())  # type: ignore[no-untyped-call]

    def test_it_has_exactly_the_addresses_of_rest(self) -> None:
        call = "/api/v1/calls/{id}"
        below = [
            call + rest for rest in ("/", "/audio", "/manifest", "/peaks", "/segments/", "/events/")
        ]
        below.append(call + "/participants/{participant}/")
        others = ("segments/{id}/audio", "refusals/", "audit/", "coverage/", "coverage/calls/")
        written = ("expected-calls/", "holds/", "holds/{id}/")
        beside = [f"/api/v1/{rest}" for rest in (*others, *written)]
        self.assertCountEqual(self.schema()["paths"], ["/api/v1/calls/", *below, *beside])

    def test_every_parameter_has_a_description(self) -> None:
        for path, operations in self.schema()["paths"].items():
            described = [each.get("parameters", ()) for each in operations.values()]
            for parameter in chain.from_iterable(described):
                with self.subTest(path, parameter=parameter["name"]):
                    self.assertTrue(parameter["in"] == "path" or parameter.get("description"))

    def test_the_default_is_yaml(self) -> None:
        self.assertIn("openapi: 3", self.client.get("/api/schema/").content.decode())

    def test_the_page_loads_nothing_external_and_has_nothing_inline(self) -> None:
        page = self.client.get(DOCS).content.decode()
        self.assertNotIn("http", page.replace("<!DOCTYPE html>", ""))
        self.assertNotRegex(page, r"<style|style=|<script>|\son\w+=")

    def test_without_a_session_the_page_redirects_to_the_login_and_back(self) -> None:
        response = Client().get(DOCS)
        self.assertEqual(
            (response.status_code, response["Location"]), (302, f"/login/?next={DOCS}")
        )
