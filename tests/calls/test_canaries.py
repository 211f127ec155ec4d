"""Canary calls in lists: hidden by default, marked where they are shown, readable by their own
account.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import skipUnless
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connection
from django.db.models import QuerySet
from django.test import TestCase
from django.utils import timezone
from rest_framework.authtoken.models import Token

from calls.live.stored import stored_live_calls
from calls.models import Call, CanaryRun, database_now
from calls.pages.call_list import CallSearchForm
from tests.calls.admin.pages import AdminPageTestCase
from tests.calls.canary.rows import make_canary
from tests.calls.client import RestTests
from tests.calls.rows import (
    START,
    make_call,
    make_conversation,
    make_subscription,
    url_of,
)
from tests.people import person

CALLS = "/api/v1/calls/"


class ListTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("operator"))
        self.real, self.canary = make_call("411f0b00-1"), make_canary()

    def assert_lists(self, listed: Any) -> None:
        """Checks `listed`, a function of the parameters of the address."""
        real, canary = str(self.real.pk), str(self.canary.pk)
        self.assertEqual(listed(), {real})
        self.assertEqual(listed(canaries="shown"), {real, canary})
        self.assertEqual(listed(canaries="only"), {canary})

    def test_rest_hides_canaries_by_default(self) -> None:
        def listed(**query: str) -> set[str]:
            return {call["id"] for call in self.client.get(CALLS, query).json()["results"]}

        self.assert_lists(listed)
        self.assertEqual(listed(call_connection_id=self.canary.call_connection_id), set())
        for wrong in ("", "yes"):
            response = self.client.get(CALLS, {"canaries": wrong})
            self.assertEqual(response.status_code, 400)
            self.assertEqual(list(response.json()), ["canaries"])

    def test_rest_marks_canaries(self) -> None:
        for call in (self.real, self.canary):
            marked = self.client.get(url_of(call)).json()["canary"]
            self.assertIs(marked, call == self.canary)

    def test_the_page_hides_canaries_by_default_and_marks_them(self) -> None:
        def listed(**query: str) -> set[str]:
            response = self.client.get("/calls/", query)
            self.assertEqual("Canary</span>" in response.content.decode(), "canaries" in query)
            return {row["id"] for row in response.context["rows"]}

        self.assert_lists(listed)

    def test_csv_hides_canaries_by_default(self) -> None:
        form = CallSearchForm({})
        self.assertTrue(form.is_valid())
        self.assertEqual([*form.calls()], [self.real])

    def test_the_page_of_a_canary_says_what_it_is(self) -> None:
        for call in (self.real, self.canary):
            page = self.client.get(f"/calls/{call.pk}/").content.decode()
            self.assertEqual("placed by acsmedia to test itself" in page, call == self.canary)

    def test_a_deleted_canary_is_not_looked_for(self) -> None:
        CanaryRun.objects.update(deleted_at=timezone.now())
        self.assertEqual([*Call.objects.canaries()], [])


class DashboardTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("operator"))
        now = timezone.now()
        for call in (make_call("411f0b00-1", started_at=now), make_canary(started_at=now)):
            make_subscription(call, connected_at=now, disconnected_at=None, seen_at=now)

    def test_live_canaries_are_marked_and_not_counted(self) -> None:
        live = stored_live_calls(database_now())
        self.assertEqual({call["canary"] for call in live}, {True, False})
        for choice, shown in (("", 1), ("shown", 2), ("only", 2)):
            response = self.client.get("/", {"canaries": choice})
            self.assertEqual(response.context["call_count"], 1)
            self.assertEqual(len(response.context["calls"]), shown)
            self.assertLessEqual(response.context["participant_count"], 1)


class AdminTests(AdminPageTestCase):
    def test_the_list_hides_canaries_by_default_and_marks_them(self) -> None:
        real, canary = make_call("411f0b00-1"), make_canary()
        self.assertEqual(self.listed("call"), {real.pk})
        self.assertEqual(self.listed("call", canaries="shown"), {real.pk, canary.pk})
        self.assertEqual(self.listed("call", canaries="only"), {canary.pk})
        self.assertContains(self.get_list("call", canaries="only"), "(canary)")
        self.assertContains(self.get_page("call", canary.pk), "(canary)")
        self.assertContains(self.get_list("call"), "Hidden")


class AccountTests(RestTests):
    """The permission `read_canaries` alone: the canary's own calls, and nothing else."""

    def setUp(self) -> None:
        account = person("canary", "read_canaries")
        self.token = Token.objects.create(user=account).key
        self.real, _alice, _bob = make_conversation()
        self.canary = make_canary()

    async def test_it_lists_canaries_only(self) -> None:
        for choice in ("only", "shown"):
            listed = await self.json(CALLS, {"canaries": choice})
            self.assertEqual([call["id"] for call in listed["results"]], [str(self.canary.pk)])
        self.assertEqual((await self.json(CALLS))["results"], [])

    async def test_it_reads_and_hears_canaries_only(self) -> None:
        for rest in ("", "audio"):
            with self.subTest(rest):
                answers = [await self.ask(url_of(call, rest)) for call in (self.canary, self.real)]
                self.assertEqual([answer.status_code for answer in answers], [200, 404])
        self.assertGreater(len(await self.body(url_of(self.canary, "audio"))), 44)

    async def test_everything_else_is_closed(self) -> None:
        segment: UUID = await self._segment()
        for address in (
            *(url_of(self.canary, rest) for rest in ("manifest", "peaks", "segments/")),
            f"/api/v1/segments/{segment}/audio",
            "/api/schema/",
        ):
            with self.subTest(address):
                self.assertEqual((await self.ask(address)).status_code, 403)

    async def _segment(self) -> UUID:
        track = await self.canary.participants.aget()
        segment: UUID = (await track.segments.aget()).pk
        return segment

    async def test_a_live_canary_is_read_too(self) -> None:
        now = timezone.now()
        await Call.objects.filter(pk=self.canary.pk).aupdate(started_at=now - timedelta(seconds=9))
        await sync_to_async(make_subscription)(
            self.canary, connected_at=now, disconnected_at=None, seen_at=now
        )
        self.assertEqual((await self.ask(url_of(self.canary, "audio"))).status_code, 200)


@skipUnless(connection.vendor == "postgresql", "plans are those of Postgres")
class PlanTests(TestCase):
    def setUp(self) -> None:
        for minute in range(300):
            make_call(started_at=START - timedelta(minutes=minute))
        for _ in range(20):
            make_canary()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE calls_call, calls_canaryrun")

    def plan(self, calls: QuerySet[Call]) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            return calls.explain()

    def test_a_list_skips_canaries_while_it_reads(self) -> None:
        plan = self.plan(Call.objects.without_canaries()[:51])
        self.assertIn("call_newest_first", plan)
        self.assertNotIn("Sort", plan)

    def test_canaries_are_found_through_their_runs(self) -> None:
        plan = self.plan(Call.objects.canaries()[:51])
        self.assertIn("call_connection_id", plan)
        self.assertIn("canary", plan)
