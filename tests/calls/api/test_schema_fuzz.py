"""The schema against the server: what it allows is answered as it says, what it forbids is refused.
By schemathesis.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from django.test import TransactionTestCase
from hypothesis import HealthCheck, Phase, given, settings
from rest_framework.authtoken.models import Token
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from calls.models import Segment
from tests.browser.server import ServerThread
from tests.calls.rows import make_conversation, make_gap
from tests.people import person

EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[
        Phase.generate
    ],  # what fails is read as it came: shrinking would ask the server for minutes
    suppress_health_check=list(HealthCheck),
)
ALWAYS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


class FuzzTests(TransactionTestCase):
    def setUp(self) -> None:
        token = Token.objects.create(user=person("engineer")).key
        self.headers = {"Authorization": f"Token {token}"}
        self.server = ServerThread()
        self.server.start()
        self.addCleanup(self.server.stop)
        self.call, alice, _ = make_conversation()
        make_gap(alice, at=2.0, seconds=1.0)
        self.segment = Segment.objects.filter(participant=alice)[0]
        url = f"{self.server.url}/api/schema/?format=json"
        self.schema = schemathesis.openapi.from_url(url, headers=self.headers)

    def test_what_the_schema_allows_is_answered_as_it_says(self) -> None:
        # Not "positive_data_acceptance": that start lies before the end of a recording no schema
        # can say.
        seen = self.ask_everything(GenerationMode.POSITIVE, ALWAYS)
        self.assertEqual(len(seen), 7)
        for label, statuses in seen.items():
            self.assertTrue(statuses & {200, 206}, f"{label} was never answered: {statuses}")

    def test_what_the_schema_forbids_is_refused(self) -> None:
        seen = self.ask_everything(GenerationMode.NEGATIVE, [*ALWAYS, "negative_data_rejection"])
        self.assertEqual(set().union(*seen.values()) - {400, 404}, set())
        self.assertIn(400, seen["GET /api/v1/calls/{id}/audio"])

    def ask_everything(self, mode: GenerationMode, names: list[str]) -> dict[str, set[int]]:
        """The statuses that were seen, by operation."""
        seen: dict[str, set[int]] = {}
        for result in self.schema.get_all_operations():
            assert isinstance(result, Ok), "the schema is valid"
            operation = result.ok()
            with self.subTest(operation.label):
                seen[operation.label] = self.ask(operation, mode, names)
        return seen

    def ask(self, operation: Any, mode: GenerationMode, names: list[str]) -> set[int]:
        statuses = set()

        @EXAMPLES
        @given(
            operation.as_strategy(
                generation_mode=mode, path_parameters=self.place_of(operation, mode)
            )
        )
        def ask_once(case: Any) -> None:
            response = case.call_and_validate(
                headers=self.headers, checks=CHECKS.get_by_names(names)
            )
            statuses.add(response.status_code)

        ask_once()
        return statuses

    def place_of(self, operation: Any, mode: GenerationMode) -> dict[str, str] | None:
        """An id that exists, so that more than 404 is seen; none where the id is all that can be
        wrong.
        """
        alone = mode is GenerationMode.NEGATIVE and not len(operation.query)
        if alone or "{id}" not in operation.path:
            return None
        return {"id": str(self.segment.id if "segments/{id}" in operation.path else self.call.id)}
