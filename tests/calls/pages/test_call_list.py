"""The list of calls: search, rows, pages and CSV."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

from channels.db import database_sync_to_async
from django.test import AsyncClient, Client, TestCase, TransactionTestCase
from django.utils import timezone

from calls.models import Call, LedgerEntry
from calls.permissions import TO_EXPORT_LISTS
from tests.calls.pages.coverage.examples import make_coverage
from tests.calls.rows import (
    ALICE,
    START,
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_segment,
    make_subscription,
    noise,
)
from tests.people import person


class ListTestCase(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("operator"))

    def found(self, **query: Any) -> list[Call]:
        response = self.client.get("/calls/", query)
        self.assertEqual(response.status_code, 200)
        return [row["id"] for row in response.context["rows"]]

    def page(self, **query: Any) -> str:
        return self.client.get("/calls/", query).content.decode()


class Access(ListTestCase):
    def test_it_requires_a_login_and_the_permission_to_view(self) -> None:
        self.assertRedirects(Client().get("/calls/"), "/login/?next=/calls/")
        self.client.force_login(person("nobody", "nothing"))
        self.assertEqual(self.client.get("/calls/").status_code, 403)

    def test_checkboxes_and_download_require_their_permissions(self) -> None:
        call, _alice, _bob = make_conversation()
        box = f'form="selection" name="call" value="{call.pk}"'
        self.assertIn(box, self.page())
        self.assertIn("Download selected", self.page())
        for number, codenames in enumerate((("hear_recording",), ("export_recording",))):
            self.client.force_login(person(f"lacks one {number}", "view_call", *codenames))
            self.assertNotIn(box, self.page())
            self.assertNotIn("Download selected", self.page())

    def test_csv_requires_the_permission_to_export(self) -> None:
        make_conversation()
        self.assertIn("calls.csv", self.page())
        self.client.force_login(person("viewer", "view_call"))
        self.assertNotIn("calls.csv", self.page())
        self.assertEqual(self.client.get("/calls.csv").status_code, 403)
        self.client.force_login(person("exporter of nothing", "export_recording"))
        self.assertEqual(self.client.get("/calls.csv").status_code, 403)
        self.assertRedirects(Client().get("/calls.csv"), "/login/?next=/calls.csv")


class Searching(ListTestCase):
    def ids(self, *calls: Call) -> list[str]:
        return [str(call.pk) for call in calls]

    def test_newest_first(self) -> None:
        old = make_call(started_at=START)
        new = make_call(started_at=START + timedelta(hours=1))
        self.assertEqual(self.found(), self.ids(new, old))

    def test_by_part_of_a_number_or_id_or_by_acsmedia_id(self) -> None:
        call, _alice, _bob = make_conversation()
        other = make_call("connection-of-somebody")
        self.assertEqual(self.found(q="5551234"), self.ids(call))
        self.assertEqual(self.found(q="of-some"), self.ids(other))
        self.assertEqual(self.found(q=str(call.pk)), self.ids(call))
        self.assertEqual(self.found(q=" +1555 "), self.ids(call))

    def test_by_a_number_as_people_write_it(self) -> None:
        call, _alice, _bob = make_conversation()
        make_participant(make_call(), "4:+4930123456")
        plain = make_call()
        make_participant(plain, "4:15557654321")  # without the +
        for text in ("+1 555 123 4567", "(555) 123-4567", "001 555 123 4567", "tel:+15551234567"):
            self.assertEqual(self.found(q=text), self.ids(call), text)
        self.assertEqual(self.found(q="+1 (555) 765"), self.ids(plain))
        self.assertEqual(self.found(q="+555 123"), [], "a + begins the number")

    def test_by_day_both_inclusive(self) -> None:
        calls = [make_call(started_at=START + timedelta(days=day)) for day in range(3)]
        self.assertEqual(self.found(since="2026-03-03"), self.ids(calls[2], calls[1]))
        self.assertEqual(self.found(until="2026-03-03"), self.ids(calls[1], calls[0]))
        self.assertEqual(self.found(since="2026-03-03", until="2026-03-03"), self.ids(calls[1]))

    def test_days_are_those_of_the_viewer(self) -> None:
        """The night from 2 to 3 March in Tokyo is 2 March in UTC."""
        night = make_call(started_at=START.replace(hour=16))
        evening = make_call(started_at=START.replace(hour=14))
        for zone, found in (("Asia/Tokyo", [night]), ("UTC", []), ("Mars/Olympus", [])):
            self.client.cookies["zone"] = zone
            self.assertEqual(self.found(since="2026-03-03"), self.ids(*found), zone)
        self.client.cookies["zone"] = "Asia/Tokyo"
        self.assertEqual(self.found(until="2026-03-02"), self.ids(evening))
        page = self.page(since="2026-03-03")
        self.assertIn(">2026-03-03 01:30:00</time>", page)
        self.assertIn("Asia/Tokyo", page)

    def test_days_of_23_and_25_hours_end_at_midnight(self) -> None:
        """In Berlin, clocks go forward on 29 March and back on 25 October 2026."""
        self.client.cookies["zone"] = "Europe/Berlin"
        spring, _ = (
            make_call(started_at=datetime(2026, 3, 29, h, 30, tzinfo=UTC)) for h in (21, 22)
        )
        autumn, _ = (
            make_call(started_at=datetime(2026, 10, 25, h, 30, tzinfo=UTC)) for h in (22, 23)
        )
        for day, call in (("2026-03-29", spring), ("2026-10-25", autumn)):
            self.assertEqual(self.found(since=day, until=day), self.ids(call), day)

    def test_days_of_a_browser_that_has_not_named_its_zone_wait_for_it(self) -> None:
        make_call(started_at=START)
        for query in ({"since": "2026-03-02"}, {"until": "2026-03-02"}):
            page = self.page(**query)
            shown = page[: page.index("<noscript>")] + page[page.index("</noscript>") :]
            self.assertNotIn("data-row", shown)
            self.assertIn("2026-03-02 09:30:00 UTC", page, "without JavaScript, days are UTC")
        self.assertNotIn("<noscript>", self.page(), "without days all zones have the same rows")

    def test_by_state_gaps_alarms_and_length(self) -> None:
        call, alice, _bob = make_conversation()
        call.subscriptions.update(close_code=None)
        quiet = make_call()
        make_subscription(quiet)
        make_gap(alice, at=2.0, seconds=1.0)
        self.assertEqual(self.found(state="interrupted"), self.ids(call))
        self.assertEqual(self.found(gaps="on"), self.ids(call))
        self.assertEqual(self.found(alarms="on"), [])
        LedgerEntry.objects.create(call=quiet, kind="alarm", reason="no_audio", started_at=START)
        self.assertEqual(self.found(alarms="on"), self.ids(quiet))
        page = self.client.get("/calls/")
        self.assertContains(page, "1 alarm")
        self.assertNotContains(page, "active)", msg_prefix="the call has ended")
        now = timezone.now()
        make_subscription(
            quiet, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        self.assertContains(self.client.get("/calls/"), "(1 active)")
        self.assertEqual(self.found(minutes="0.04"), self.ids(call))
        self.assertEqual(self.found(minutes="1"), [])

    def test_gaps_of_several_tracks_at_the_same_time_are_missing_once(self) -> None:
        call, alice, bob = make_conversation()
        make_gap(alice, at=10.0, seconds=4.0)
        make_gap(bob, at=12.0, seconds=4.0)  # overlaps: 10 to 16
        make_gap(alice, at=20.0, seconds=10.0, reason="not_written")
        make_gap(bob, at=22.0, seconds=2.0)  # within: 20 to 30
        make_gap(bob, at=30.0, seconds=1.0, rate=24_000)  # adjoins: 31
        make_gap(alice, at=60.0, seconds=0.5)
        other = make_call()
        make_gap(make_participant(other), at=10.0, seconds=1.0)
        rows = Call.objects.with_gaps().in_bulk([call.pk, other.pk])
        self.assertAlmostEqual(rows[call.pk].gap_seconds, 6 + 11 + 0.5, places=3)
        self.assertEqual(rows[call.pk].gap_count, 6)
        self.assertAlmostEqual(rows[other.pk].gap_seconds, 1.0, places=3)
        self.assertEqual(Call.objects.with_gaps().get(pk=make_call().pk).gap_seconds, 0.0)
        self.assertContains(self.client.get("/calls/"), "6 gaps, 0:17 missing")

    def test_by_length_with_inclusive_limits(self) -> None:
        call, _alice, _bob = make_conversation()  # three seconds: 0.05 minutes
        make_call()  # without audio it has no length
        self.assertEqual(self.found(most="0.05"), self.ids(call))
        self.assertEqual(self.found(minutes="0.05", most="0.05"), self.ids(call))
        self.assertEqual(self.found(minutes="0", most="60"), self.ids(call))
        for query in ({"most": "0.04"}, {"most": "0"}, {"minutes": "0.06", "most": "60"}):
            self.assertEqual(self.found(**query), [])

    def test_filters_are_combined(self) -> None:
        call, alice, _bob = make_conversation()
        make_gap(alice, at=2.0, seconds=1.0)
        make_participant(make_call(), ALICE)
        self.assertEqual(self.found(q="5551234", gaps="on", since="2026-01-01"), self.ids(call))


class Page(ListTestCase):
    def test_a_row_shows_participants_length_and_problems(self) -> None:
        call, alice, _bob = make_conversation()
        make_gap(alice, at=2.0, seconds=1.0)
        page = self.page()
        for text in ("+15551234567", "0:03", "1 gap, 0:01 missing", f'href="/calls/{call.pk}/"'):
            self.assertIn(text, page)

    def test_no_calls_and_no_matches_have_different_texts(self) -> None:
        self.assertIn("No calls yet", self.page())
        make_call()
        page = self.page(q="nobody at all", gaps="on")
        self.assertIn("No calls found", page)
        self.assertIn("No calls match number, name or id nobody at all, has gaps.", page)

    def test_invalid_input_is_named(self) -> None:
        make_call()
        self.assertIn("Use at least 3 characters", self.page(q="12"))
        self.assertIn("Enter a valid date", self.page(since="soon"))
        self.assertIn("less than or equal to", self.page(until="9999-12-31"))
        self.client.cookies["zone"] = "Asia/Tokyo"  # its first midnight is no time in UTC
        self.assertIn("greater than or equal to", self.page(since="0001-01-01"))
        self.assertIn("must not be less than", self.page(minutes="5", most="4.9"))

    def test_pages_repeat_no_call(self) -> None:
        made = [
            make_call(started_at=START + timedelta(minutes=number // 2)) for number in range(120)
        ]
        seen: list[Any] = []
        address = "/calls/"
        for _page in range(3):
            response = self.client.get(address)
            seen += [row["id"] for row in response.context["rows"]]
            address = f"/calls/{response.context['older']}"
        self.assertEqual(response.context["older"], "")
        self.assertEqual(len(seen), 120)
        self.assertEqual(set(seen), {str(call.pk) for call in made})

    def test_an_invalid_position_begins_with_the_newest(self) -> None:
        make_call()
        for position in ("x", "~", "2026-03-02~x", "\x00", f"0001-01-01T00:00:00+14:00~{uuid4()}"):
            self.assertEqual(len(self.found(before=position)), 1)

    def test_hostile_text_is_escaped(self) -> None:
        make_participant(make_call("<script>alert(1)</script>"), "<img src=x>")
        page = self.page(q="<script>")
        self.assertNotIn("<script>alert", page)
        self.assertNotIn("<img", page)

    def test_the_part_is_contained_in_the_page(self) -> None:
        make_conversation()
        self.assertIn(self.page(part="rows").strip(), self.page())

    def test_the_number_of_queries_is_constant(self) -> None:
        make_conversation()
        with self.assertNumQueries(
            7
        ):  # session, user, its permissions (2), calls, participants, subscriptions
            self.page()
        for _ in range(10):
            make_conversation()
        with self.assertNumQueries(7):
            self.page()


class Csv(TransactionTestCase):
    """Rows are read in an export thread, which sees committed data only."""

    async def csv(self, query: str = "", zone: str = "") -> list[dict[str, str]]:
        client = AsyncClient()
        client.cookies["zone"] = zone
        await client.aforce_login(await database_sync_to_async(person)("exporter"))
        response: Any = await client.get(f"/calls.csv{query}")
        self.assertEqual(response.status_code, 200)
        self.assertIn("attachment", response["Content-Disposition"])
        self.assertEqual(response.needed, TO_EXPORT_LISTS, "while it is sent")
        text = b"".join([piece async for piece in response.streaming_content]).decode()
        self.assertEqual((text[0], text.count("\ufeff")), ("\ufeff", 1), "Excel needs it")
        text = text.removeprefix("\ufeff")
        return list(csv.DictReader(StringIO(text)))

    async def test_it_has_the_verdict_of_each_call(self) -> None:
        def make() -> None:
            judged = make_call("judged", started_at=START + timedelta(hours=1))
            make_coverage(judged.started_at, "partial", call=judged)
            make_call("not judged", started_at=START)

        await database_sync_to_async(make)()
        verdicts = [row["verdict"] for row in await self.csv()]
        self.assertEqual(verdicts, ["partial", "unknown"])

    async def test_it_has_every_matching_call_newest_first(self) -> None:
        def make() -> None:
            for number in range(3):
                make_participant(
                    make_call(f"call-{number}", started_at=START + timedelta(hours=number)), ALICE
                )

        await database_sync_to_async(make)()
        rows = await self.csv("?q=call-")
        self.assertEqual(
            [row["call_connection_id"] for row in rows], ["call-2", "call-1", "call-0"]
        )
        self.assertEqual(rows[2]["started_at"], "2026-03-02T09:30:00Z")

    async def test_days_and_times_are_those_of_the_viewer(self) -> None:
        await database_sync_to_async(make_call)("night", started_at=START.replace(hour=16))
        (row,) = await self.csv("?since=2026-03-03", zone="Asia/Tokyo")
        self.assertEqual(row["started_at"], "2026-03-03T01:30:00+09:00")
        self.assertEqual(row["audio_started_at"], "")

    async def test_no_cell_is_a_formula(self) -> None:
        def make() -> None:
            make_participant(make_call("=HYPERLINK(1)"), ALICE)

        await database_sync_to_async(make)()
        (row,) = await self.csv()
        self.assertEqual(row["call_connection_id"], "'=HYPERLINK(1)")
        self.assertEqual(row["participants"], "'+15551234567")

    async def test_it_has_the_length_filters_of_the_list(self) -> None:
        def make() -> Call:
            make_segment(make_participant(make_call()), samples=noise(3.5))
            return make_conversation()[0]  # three seconds

        call = await database_sync_to_async(make)()
        self.assertEqual(
            [row["id"] for row in await self.csv("?minutes=0.01&most=0.05")], [str(call.pk)]
        )

    async def test_invalid_input_is_400(self) -> None:
        client = AsyncClient()
        await client.aforce_login(await database_sync_to_async(person)("exporter"))
        response = await client.get("/calls.csv?since=soon")
        self.assertEqual(response.status_code, 400)
        self.assertIn(b"Enter a valid date", response.content)
