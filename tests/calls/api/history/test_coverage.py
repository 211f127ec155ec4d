"""Coverage in REST: sums of a range, its calls, and the verdict of a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from django.test import override_settings
from rest_framework.authtoken.models import Token

from calls.models import CallCoverage
from tests.calls.client import RestTests
from tests.calls.coverage.rows import CONNECTION, NOW, connected, judged, record, state
from tests.calls.rows import make_gap, url_of
from tests.people import person

SUMS, ROWS = "/api/v1/coverage/", "/api/v1/coverage/calls/"
DAY = {"from": "2026-03-02", "to": "2026-03-02"}


class CoverageTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call = record()
        make_gap(self.call.participants.get(), at=10, seconds=5)
        connected()
        judged()
        end = NOW - timedelta(hours=1)
        state("never-streamed", started_at=end - timedelta(seconds=30), ended_at=end)
        judged("never-streamed")

    async def refused(self, url: str, query: dict[str, str]) -> Any:
        response = await self.ask(url, query)
        self.assertEqual(response.status_code, 400, query)
        return response.json()

    async def test_sums_have_the_members_of_the_documentation_and_no_others(self) -> None:
        self.assertEqual(
            await self.json(SUMS, DAY),
            {
                "calls": {
                    "expected": 2,
                    "complete": 0,
                    "partial": 1,
                    "missing": 1,
                    "unexpected": 0,
                    "refused": 0,
                },
                "seconds": {
                    "expected": 90.0,
                    "recorded": 55.0,
                    "missing": {"never_streamed": 30.0, "not_received": 5.0},
                },
                "captured_ratio": round(55 / 90, 9),
                "target": 99.9,
            },
        )

    async def test_a_range_without_calls_has_no_ratio(self) -> None:
        with override_settings(COVERAGE_TARGET=95.0):
            found = await self.json(SUMS, {"from": "2026-03-03", "to": "2026-03-03"})
        self.assertIsNone(found["captured_ratio"])
        self.assertEqual(found["target"], 95.0)

    async def test_days_are_those_of_the_time_zone(self) -> None:
        # 09:30 UTC on the 2nd is 22:30 in Auckland, and 10:30 the 2nd as well until midnight
        auckland = {"timezone": "Pacific/Auckland"}
        of_second = await self.json(SUMS, {**DAY, **auckland})
        self.assertEqual(of_second["calls"]["expected"], 2)
        kiritimati = {"timezone": "Pacific/Kiritimati"}
        self.assertEqual((await self.json(SUMS, {**DAY, **kiritimati}))["calls"]["expected"], 1)

    async def test_the_default_is_today(self) -> None:
        midnight = datetime(2026, 3, 3, tzinfo=UTC)
        for now, expected in ((midnight - timedelta(seconds=1), 2), (midnight, 0)):
            with self.subTest(now), patch("django.utils.timezone.now", return_value=now):
                self.assertEqual((await self.json(SUMS))["calls"]["expected"], expected)

    async def test_times_are_exclusive_at_the_end(self) -> None:
        start = "2026-03-02T09:30:00Z"
        found = await self.json(SUMS, {"from": start, "to": "2026-03-02T09:30:01Z"})
        self.assertEqual(found["calls"]["expected"], 1)
        found = await self.json(SUMS, {"from": "2026-03-01", "to": start})
        self.assertEqual(found["calls"]["expected"], 0)

    async def test_wrong_parameters_are_named(self) -> None:
        for query, name in (
            ({"from": "yesterday"}, "from"),
            ({"to": ""}, "to"),
            ({"from": "0001-01-01"}, "from"),
            ({"to": "9999-12-31"}, "to"),
            ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
            ({"from": "2020-01-01", "to": "2026-03-01"}, "from"),
            ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"until": "2026-03-02"}, "until"),
            ({"verdict": "partial"}, "verdict"),
        ):
            with self.subTest(query):
                self.assertEqual(list(await self.refused(SUMS, query)), [name])

    async def test_calls_of_a_range_are_listed_newest_first(self) -> None:
        found = await self.json(ROWS, DAY)
        self.assertEqual(
            [(row["verdict"], row["call"]) for row in found["results"]],
            [("missing", None), ("partial", str(self.call.id))],
        )
        row = found["results"][1]
        self.assertEqual(
            row["missing"],
            [
                {
                    "reason": "not_received",
                    "text": "not received",
                    "started_at": "2026-03-02T09:30:10Z",
                    "ended_at": "2026-03-02T09:30:15Z",
                    "seconds": 5.0,
                }
            ],
        )
        self.assertEqual(row["witnesses"]["events"]["started_at"], "2026-03-02T09:30:00Z")
        self.assertEqual(row["former"], [])

    async def test_calls_are_filtered_and_paged(self) -> None:
        found = await self.json(ROWS, {**DAY, "verdict": "partial"})
        self.assertEqual([row["call_connection_id"] for row in found["results"]], [CONNECTION])
        found = await self.json(ROWS, {**DAY, "reason": "never_streamed"})
        self.assertEqual([row["verdict"] for row in found["results"]], ["missing"])
        first = await self.json(ROWS, {**DAY, "page_size": "1"})
        second = await self.json(first["next"])
        self.assertEqual([row["verdict"] for row in second["results"]], ["partial"])
        self.assertEqual(list(await self.refused(ROWS, {"verdict": "lost"})), ["verdict"])

    async def test_a_call_has_its_verdict(self) -> None:
        self.assertEqual((await self.json(url_of(self.call)))["verdict"], "partial")
        (listed,) = (await self.json("/api/v1/calls/"))["results"]
        self.assertEqual(listed["verdict"], "partial")
        await CallCoverage.objects.all().adelete()
        self.assertEqual((await self.json(url_of(self.call)))["verdict"], "unknown")


class OthersTests(RestTests):
    async def test_coverage_needs_to_see_calls(self) -> None:
        stranger = await sync_to_async(person)("pbx", "add_expectedcall")
        token = (await Token.objects.acreate(user=stranger)).key
        for url in (SUMS, ROWS):
            response = await self.ask(url, Authorization=f"Token {token}")
            self.assertEqual(response.status_code, 403)
