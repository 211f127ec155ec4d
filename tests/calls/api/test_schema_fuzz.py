"""The schema against the server, by schemathesis: valid requests get the documented responses,
invalid ones are rejected.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from django.test import TransactionTestCase
from hypothesis import HealthCheck, Phase, assume, given, settings
from rest_framework.authtoken.models import Token
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from calls.audit.actors import system_actor
from calls.models import Segment
from calls.storage.holds import set_hold
from tests.browser.server import ServerThread
from tests.calls.rows import make_conversation, make_gap
from tests.people import person

EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # no shrinking: it would send requests for minutes
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
        actor = system_actor("test")
        self.hold = set_hold(name="Case 7", reason="Court", by=actor, calls=[self.call.id])
        url = f"{self.server.url}/api/schema/?format=json"
        self.schema = schemathesis.openapi.from_url(url, headers=self.headers)

    def test_valid_requests_get_the_documented_responses(self) -> None:
        # Not "positive_data_acceptance": a schema cannot express that start is before the end of
        # the recording.
        seen = self.request_all(GenerationMode.POSITIVE, ALWAYS)
        self.assertEqual(len(seen), 16)
        # No schema can say that a call ends after its start, which calls exist, or that there are
        # no other members: random bodies are all refused. That right ones are taken is tested by
        # tests.calls.api.history.test_expected_calls and tests.calls.retention.test_holds.
        for label in ("POST /api/v1/expected-calls/", "POST /api/v1/holds/"):
            self.assertEqual(seen.pop(label), {400})
        self.assertEqual(seen.pop("DELETE /api/v1/holds/{id}/"), {400})
        for label, statuses in seen.items():
            self.assertTrue(statuses & {200, 201, 206}, f"{label} never succeeded: {statuses}")

    def test_invalid_requests_are_rejected(self) -> None:
        seen = self.request_all(GenerationMode.NEGATIVE, [*ALWAYS, "negative_data_rejection"])
        self.assertEqual(set().union(*seen.values()) - {400, 404}, set())
        self.assertIn(400, seen["GET /api/v1/calls/{id}/audio"])

    def request_all(self, mode: GenerationMode, names: list[str]) -> dict[str, set[int]]:
        """Returns the statuses seen, by operation."""
        seen: dict[str, set[int]] = {}
        for result in self.schema.get_all_operations():
            assert isinstance(result, Ok), "the schema is valid"
            operation = result.ok()
            with self.subTest(operation.label):
                seen[operation.label] = self.request(operation, mode, names)
        return seen

    def request(self, operation: Any, mode: GenerationMode, names: list[str]) -> set[int]:
        statuses = set()

        @EXAMPLES
        @given(
            operation.as_strategy(
                generation_mode=mode, path_parameters=self.path_parameters(operation, mode)
            )
        )
        def request_once(case: Any) -> None:
            # A parameter without values is not sent, so the request would be a valid one.
            assume([] not in (case.query or {}).values())
            response = case.call_and_validate(
                headers=self.headers, checks=CHECKS.get_by_names(names)
            )
            statuses.add(response.status_code)

        request_once()
        return statuses

    def path_parameters(self, operation: Any, mode: GenerationMode) -> dict[str, str] | None:
        """Returns the id of a row, so that more than 404 is seen, unless only the id can be
        invalid.
        """
        only_id = mode is GenerationMode.NEGATIVE and not len(operation.query)
        if only_id or "{id}" not in operation.path:
            return None
        if "{participant}" in operation.path:
            return {"id": str(self.call.id), "participant": str(self.segment.participant_id)}
        if "holds/{id}" in operation.path:
            return {"id": str(self.hold.id)}
        return {"id": str(self.segment.id if "segments/{id}" in operation.path else self.call.id)}
