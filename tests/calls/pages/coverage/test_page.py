"""`/coverage/`: sentence, figures, bars, rows, CSV."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.test import TestCase, override_settings
from django.utils.html import strip_tags

from calls.models import CallCoverage, CallEvent, RefusedHandshake
from calls.pages.coverage import page as module
from calls.pages.coverage.rows import Wanted
from calls.pages.csv_text import csv_pieces
from tests.calls.pages.coverage.examples import make_coverage, make_recorded
from tests.calls.rows import make_call
from tests.people import person

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
OF_DAY = {"since": "2026-03-02", "until": "2026-03-02"}


class CoverageTestCase(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("operator"))

    def get(self, path: str = "/coverage/", **query: Any) -> str:
        response = self.client.get(path, OF_DAY | query)
        self.assertEqual(response.status_code, 200)
        return response.content.decode()

    def words(self, **query: Any) -> str:
        return " ".join(strip_tags(self.get(**query)).split())


class Page(CoverageTestCase):
    def test_the_sentence_has_every_call_with_links_to_its_rows(self) -> None:
        for _ in range(3):
            make_recorded(DAY + HOUR)
        make_recorded(DAY + HOUR, "partial", ("streamConnectionInterrupted", 10.0, 5.0))
        make_coverage(DAY + HOUR, "missing", ("initialWebSocketConnectionFailed", 0.0, 100.0))
        self.assertIn(
            "5 calls, 3 complete, 1 with 5 s missing (ACS lost its connection), 1 not recorded (ACS"
            " could not open the media socket, 8581)",
            self.words(),
        )
        link = 'href="?since=2026-03-02&amp;until=2026-03-02&amp;show=missing#rows"'
        self.assertIn(link, self.get())

    def test_captured_time_and_calls_are_compared_with_the_target(self) -> None:
        make_recorded(DAY + HOUR)
        make_recorded(DAY + HOUR, "partial", ("not_received", 10.0, 1.0))
        with override_settings(COVERAGE_TARGET=99.0):
            met = self.words()
        with override_settings(COVERAGE_TARGET=99.9):
            missed = self.words()
        self.assertIn("Time captured 99.50 % Calls complete 50.00 % Target 99 % met", met)
        self.assertIn("Target 99.9 % missed", missed)

    def test_bars_lead_to_their_hour_or_day(self) -> None:
        make_recorded(DAY + HOUR)
        make_recorded(DAY + 2 * HOUR, "partial", ("not_received", 10.0, 1.0))
        page = self.get()
        self.assertEqual(page.count('class="bar-complete" x='), 1)
        self.assertEqual(page.count('class="bar-partial" x='), 1)
        self.assertIn("02:00 to 03:00: 1 call · 1 partly recorded", self.words())
        (link,) = re.findall(r'href="(\?[^"]*02%3A00[^"]*)#rows" tabindex', page)
        rows = strip_tags(
            self.client.get("/coverage/" + link.replace("&amp;", "&")).content.decode()
        )
        self.assertIn("Partly recorded", rows.partition("Calls of the hour")[2])
        self.assertNotIn("nothing missing", rows)
        self.assertIn("since=2026-03-02&amp;until=2026-03-02&amp;hour=", link)
        week = self.get(since="2026-03-01", until="2026-03-03")
        self.assertIn('href="?since=2026-03-02&amp;until=2026-03-02" tabindex', week)

    def test_bars_of_today_lead_to_their_hour_on_later_days_as_well(self) -> None:
        make_recorded(DAY + 2 * HOUR)
        with patch("django.utils.timezone.now", return_value=DAY + 9 * HOUR):
            page = self.client.get("/coverage/").content.decode()
        (link,) = re.findall(r'href="(\?[^"]*hour=[^"]*)#rows" tabindex', page)
        with patch("django.utils.timezone.now", return_value=DAY + 40 * HOUR):
            later = self.client.get("/coverage/" + link.replace("&amp;", "&")).content.decode()
        self.assertEqual(later.count("<li data-row>"), 1)

    def test_days_are_those_of_the_viewer(self) -> None:
        make_recorded(DAY - timedelta(minutes=30))
        self.assertIn("no calls", self.words())
        self.client.cookies["zone"] = "Europe/Berlin"
        self.assertIn("1 call,", self.words())
        self.assertIn("00:00 to 01:00: 1 call", self.words())

    def test_missing_time_and_refusals_are_listed_by_reason(self) -> None:
        make_recorded(DAY, "partial", ("not_received", 10.0, 1.0), ("not_connected", 20.0, 61.0))
        make_coverage(DAY, "missing", ("not_connected", 0.0, 100.0), is_refused=True)
        RefusedHandshake.objects.create(
            id=uuid4(),
            process=uuid4(),
            first_at=DAY,
            last_at=DAY,
            reason="wrong_audience",
            from_acs=True,
            count=7,
        )
        words = self.words()
        self.assertIn("Reason Calls Missing No socket open 2 2 min 41 s Not received 1 1 s", words)
        self.assertIn("Token for another resource: check ACS_RESOURCE_ID7", words)
        self.assertIn("Refused 1 call", words)
        filtered = self.words(reason="not_received")
        self.assertIn("Missing: not received", filtered)
        self.assertEqual(len(re.findall("data-row", self.get(reason="not_received"))), 1)

    def test_wrong_days_are_named(self) -> None:
        for query, text in (
            ({"since": "2026-03-03"}, "“To” must not be before “From”."),
            ({"since": "2024-01-01"}, "Choose at most 366 days."),
            ({"until": "9999-12-31"}, "Ensure this value is less than or equal to 9000-01-01."),
            ({"since": "9999-12-31", "until": ""}, "less than or equal to 9000-01-01."),
            ({"since": "", "until": "0001-01-01"}, "greater than or equal to 1970-01-01."),
            ({"hour": "9999-12-31T23:30:00Z"}, "less than or equal to"),
            ({"show": "everything"}, "Select a valid choice."),
        ):
            with self.subTest(query):
                self.assertIn(text, self.words(**query))

    def test_today_refreshes_itself_and_other_days_do_not(self) -> None:
        self.assertNotIn("data-now", self.get())
        self.assertIn("data-now", self.client.get("/coverage/").content.decode())
        part = self.client.get("/coverage/?part=report").content.decode()
        self.assertTrue(part.startswith('<div data-part="report" data-now>'))

    def test_a_range_takes_few_queries(self) -> None:
        for _ in range(20):
            make_recorded(DAY, "partial", ("not_received", 10.0, 1.0))
        with self.assertNumQueries(15):
            self.get()


class EmptyStates(CoverageTestCase):
    def test_without_events_it_says_how_to_get_them(self) -> None:
        self.assertIn("http://testserver/webhooks/acs/callbacks", self.words())
        CallEvent.objects.create(
            id=uuid4(), source="callback", event_id="1", occurred_at=DAY, received_at=DAY
        )
        self.assertNotIn("webhooks", self.words())

    def test_without_calls(self) -> None:
        self.assertIn("No call began on this day", self.words())
        self.assertIn("No call began on these days", self.words(since="2026-03-01"))
        self.assertIn("No calls of these days match", self.words(show="missing"))


class Rows(CoverageTestCase):
    def links(self, page: str) -> list[str]:
        return re.findall(r'<a class="list-participants"\s+href="([^"]+)"', page)

    def test_calls_that_are_not_complete_come_first_and_lead_to_the_missing_second(self) -> None:
        good = make_recorded(DAY + 3 * HOUR)
        bad = make_recorded(DAY + HOUR, "partial", ("not_received", 61.5, 1.0))
        never = make_coverage(DAY + 2 * HOUR, "missing", ("never_streamed", 0.0, 100.0))
        self.assertEqual(
            self.links(self.get()),
            [
                f"/coverage/{never.pk}/",
                f"/calls/{bad.call_id}/#t=61.500",
                f"/calls/{good.call_id}/",
            ],
        )

    def test_filters(self) -> None:
        rows = {
            "complete": make_recorded(DAY, more_than_four=True),
            "partial": make_recorded(DAY, "partial", ("not_received", 1.0, 1.0)),
            "missing": make_coverage(DAY, "missing", is_refused=True),
            "unexpected": make_recorded(DAY, "unexpected"),
            "unknown": make_recorded(DAY, "unknown"),
        }
        pages = {name: self.links(self.get(show=name)) for name in rows}
        self.assertEqual(
            {name: len(links) for name, links in pages.items()}, dict.fromkeys(rows, 1)
        )
        self.assertEqual(pages["complete"], self.links(self.get(show="four")))
        self.assertEqual(pages["missing"], self.links(self.get(show="refused")))
        self.assertEqual(len(self.links(self.get(show="faults"))), 4)

    def test_pages_show_each_row_once_across_both_parts(self) -> None:
        for index in range(4):
            make_recorded(DAY + index * HOUR, "partial", ("not_received", 1.0, 1.0))
            make_recorded(DAY + index * HOUR)
        found, address = [], "/coverage/?since=2026-03-02&until=2026-03-02"
        before, module.PAGE = module.PAGE, 3
        self.addCleanup(setattr, module, "PAGE", before)
        while address:
            page = self.client.get(address).content.decode()
            found += self.links(page)
            more = re.search(r'href="(\?[^"]+)" rel="next"', page)
            address = "/coverage/" + more[1].replace("&amp;", "&") if more else ""
        self.assertEqual(len(found), 8)
        self.assertEqual(len(set(found)), 8)
        self.assertEqual([("#t=" in link) for link in found], [True] * 4 + [False] * 4)

    def test_a_call_known_by_its_correlation_only_is_not_taken_for_a_recording_without_ids(
        self,
    ) -> None:
        call = make_call(call_connection_id="", correlation_id="")
        for call_id, correlation_id in ((call.pk, ""), (None, "of an event")):
            CallCoverage.objects.create(
                id=uuid4(), call_id=call_id, correlation_id=correlation_id, started_at=DAY
            )
        self.assertEqual(self.get().count(f"/calls/{call.pk}/"), 1)

    def test_an_odd_position_begins_with_the_first_row(self) -> None:
        make_recorded(DAY)
        for position in ("x", "complete~x~y", "complete~0001-01-01T00:00:00~x"):
            with self.subTest(position):
                self.assertEqual(len(self.links(self.get(after=position))), 1)


class Line(CoverageTestCase):
    def test_it_says_how_today_is(self) -> None:
        make_recorded(DAY + 9 * HOUR, "partial", ("not_received", 1.0, 5.0))
        with patch("django.utils.timezone.now", return_value=DAY + 10 * HOUR):
            words = " ".join(strip_tags(self.get("/coverage/line")).split())
        self.assertEqual(words, "Today: 1 call, 1 with 5 s missing")


class Csv(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("operator"))

    def lines(self, wanted: Wanted) -> list[str]:
        pieces = csv_pieces(module.COLUMNS, module._pages(wanted, UTC))
        return b"".join(pieces).decode().splitlines()

    def test_it_has_the_rows_of_the_page(self) -> None:
        bad = make_recorded(DAY, "partial", ("not_received", 61.5, 1.25), participants_expected=3)
        make_coverage(DAY, "missing", ("never_streamed", 0.0, 100.0))
        wanted = Wanted(DAY, DAY + HOUR, "partial")
        header, row = self.lines(wanted)
        self.assertTrue(header.endswith("participants_recorded,refused,more_than_four"))
        self.assertEqual(
            row,
            f"{bad.call_id},{bad.call_connection_id},,partial,2026-03-02T00:00:00Z,"
            "2026-03-02T00:01:40Z,100.0,98.75,1.25,not received: 1.250 s,3,0,no,no",
        )

    def test_it_needs_the_permission_to_export_lists(self) -> None:
        self.client.force_login(person("viewer", "view_call"))
        self.assertEqual(self.client.get("/coverage.csv").status_code, 403)
        self.assertNotIn("coverage.csv", self.client.get("/coverage/").content.decode())

    def test_wrong_parameters_are_named(self) -> None:
        response = self.client.get("/coverage.csv?since=tomorrow")
        self.assertEqual(response.status_code, 400)
        self.assertIn("since", response.content.decode())

    def test_coverage_of_a_deleted_call_names_no_recording(self) -> None:
        row = make_coverage(DAY, "complete")
        CallCoverage.objects.filter(pk=row.pk).update(call_id=uuid4())
        lines = self.lines(Wanted(DAY, DAY + HOUR))
        self.assertTrue(lines[1].startswith(f",{row.call_connection_id},"))
