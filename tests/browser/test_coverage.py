"""The page of coverage in a real browser, and its line on the dashboard."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from unittest.mock import patch
from urllib.parse import unquote

import numpy as np
from django.test import tag
from django.utils import timezone
from playwright.sync_api import Page, expect

from calls.models import CallCoverage
from tests.browser.server import BrowserTestCase
from tests.calls.pages.coverage.examples import make_coverage, make_recorded
from tests.calls.pages.coverage.test_call import make_event
from tests.calls.rows import ALICE, START, make_call, make_participant, make_segment

DAY = "/coverage/?since=2026-03-02&until=2026-03-02"


def at_noon(test: BrowserTestCase) -> datetime:
    """Stops the clock of the server at noon: around midnight, "today" would end within a test."""
    noon = timezone.now().replace(hour=12, minute=0)
    test.enterContext(patch("django.utils.timezone.now", return_value=noon))
    return noon


CUT = """Array.from(document.querySelectorAll(".panel table"))
  .filter(table => table.getBoundingClientRect().right
    > table.closest(".panel").getBoundingClientRect().right)
  .map(table => table.className)"""
"""Classes of tables that are wider than their panel."""


@tag("browser")
class Coverage(BrowserTestCase):
    def test_a_day_leads_to_its_hour_its_call_and_the_missing_second(self) -> None:
        call = make_call()
        alice = make_participant(call, ALICE)
        make_segment(alice, at=0.0, samples=np.zeros(16_000 * 10, np.int16))
        make_coverage(START, "partial", ("not_received", 6.5, 2.0), call=call, seconds=10.0)
        make_recorded(START + timedelta(hours=2))
        with self.window(viewport={"width": 1440, "height": 1400}) as page:
            page.goto(DAY)
            expect(page.locator(".cover-sentence")).to_contain_text("1 with 2 s missing")
            page.locator(".cover-chart a").first.click()
            expect(page).to_have_url(re.compile("hour="))
            self.assertIn("T09:00:00Z", unquote(page.url))
            expect(page.locator("[data-row]")).to_have_count(1)
            page.locator("[data-row] a").first.click()
            expect(page).to_have_url(re.compile(rf"/calls/{call.pk}/#t=6\.500$"))
            expect(page.locator("call-lanes[data-state=shown]")).to_be_attached()
            expect(page.locator("[data-part=offset]")).to_have_text("0:06.5")
        self.assertEqual(self.console, [])

    def test_the_filter_applies_at_once_and_keeps_the_days(self) -> None:
        make_recorded(START)
        row = make_coverage(START, "missing", ("never_streamed", 0.0, 100.0))
        with self.window() as page:
            page.goto(DAY)
            expect(page.locator("[data-row]")).to_have_count(2)
            page.get_by_role("combobox", name="Calls").select_option("Not recorded")
            expect(page).to_have_url(re.compile("since=2026-03-02&until=2026-03-02&show=missing"))
            expect(page.locator("[data-row]")).to_have_count(1)
            page.locator("[data-row] a").first.click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(
                row.call_connection_id[-8:]
            )
        self.assertEqual(self.console, [])

    def test_the_first_visit_shows_the_days_of_the_browser(self) -> None:
        make_recorded(at_noon(self))
        with self.window(timezone_id="Asia/Tokyo") as page:
            page.goto("/coverage/")
            expect(page.locator("[data-part=report] .cover-sentence")).to_contain_text("1 call")
            expect(page.locator("[data-zone-name]").first).to_have_text("Asia/Tokyo")
        self.assertEqual(self.console, [])

    def test_today_is_refreshed_and_keeps_what_is_open(self) -> None:
        row = make_recorded(at_noon(self), "unknown")
        with self.window() as page:
            page.goto("/coverage/")  # from now on the server knows the zone of the browser
            page.clock.install()
            page.goto("/coverage/")
            expect(page.locator(".cover-sentence")).to_contain_text("1 not judged yet")
            page.locator("summary").focus()
            page.keyboard.press("Enter")
            CallCoverage.objects.filter(pk=row.pk).update(verdict="complete")
            page.clock.fast_forward(61_000)
            expect(page.locator(".cover-sentence")).to_contain_text("1 complete")
            expect(page.locator("details")).to_have_attribute("open", "")
            expect(page.locator("summary")).to_be_focused()
        self.assertEqual(self.console, [])

    def test_it_works_without_scripts(self) -> None:
        make_recorded(START, "partial", ("not_received", 6.5, 2.0))
        with self.window(java_script_enabled=False) as page:
            page.goto(DAY)
            page.get_by_role("link", name="1 with 2 s missing").click()
            expect(page.locator("[data-row]")).to_have_count(1)

    def test_nothing_is_wider_than_a_phone(self) -> None:
        make_recorded(START, "partial", ("not_received", 6.5, 2.0), more_than_four=True)
        row = make_coverage(START, "missing", ("initialWebSocketConnectionFailed", 0.0, 100.0))
        make_event(row.call_connection_id, "CallConnected", 0)
        with self.window(viewport={"width": 390, "height": 844}) as page:
            recorded = make_recorded(START + timedelta(hours=1), "missing", ("not_sealed", 0, 100))
            make_event(recorded.call_connection_id, "CallConnected", 3600)
            pages = (DAY, "/coverage/", f"/coverage/{row.pk}/", f"/calls/{recorded.call_id}/")
            for address in pages:
                with self.subTest(address):
                    page.goto(address)
                    page.evaluate("document.querySelector('details')?.setAttribute('open', '')")
                    self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 390)
                    self.assertEqual(page.evaluate(CUT), [])


@tag("browser")
class Line(BrowserTestCase):
    def line(self, page: Page) -> None:
        page.goto("/")
        expect(page.locator("#coverage-line")).to_contain_text("1 call, 1 with 5 s missing")

    def test_the_dashboard_says_how_today_is_and_refreshes_it(self) -> None:
        row = make_recorded(at_noon(self), "partial", ("not_received", 1.0, 5.0))
        with self.window() as page:
            page.clock.install()
            self.line(page)
            CallCoverage.objects.filter(pk=row.pk).update(verdict="complete")
            page.clock.fast_forward(61_000)
            expect(page.locator("#coverage-line")).to_contain_text("1 complete")

    def test_each_part_leads_to_its_calls(self) -> None:
        make_recorded(at_noon(self), "partial", ("not_received", 1.0, 5.0))
        with self.window() as page:
            self.line(page)
            page.get_by_role("link", name="1 with 5 s missing").click()
            expect(page).to_have_url(re.compile(r"/coverage/\?show=partial#rows$"))
            expect(page.locator("[data-row]")).to_have_count(1)
        self.assertEqual(self.console, [])


@tag("browser")
class CallPage(BrowserTestCase):
    def test_witnesses_are_lanes_and_what_acs_says_are_marks(self) -> None:
        call = make_call()
        make_segment(make_participant(call), at=0.0, samples=np.zeros(16_000 * 10, np.int16))
        connection = call.call_connection_id
        one = {"identifier": {"rawId": ALICE}, "displayName": "Ada"}
        muted = one | {"isMuted": True}
        make_event(connection, "CallConnected", -1)
        make_event(connection, "ParticipantsUpdated", 0, participants=[one])
        make_event(connection, "ParticipantsUpdated", 2, participants=[muted])
        make_event(connection, "CallDisconnected", 8)
        make_coverage(START, "complete", call=call, seconds=10.0)
        with self.window() as page:
            page.goto(f"/calls/{call.pk}/")
            lanes = page.get_by_role("group", name="Witnesses").locator(".lane")
            expect(lanes).to_have_count(2)
            expect(lanes.first).to_contain_text("Events of ACS")
            expect(lanes.first).to_contain_text("0:01 to 0:08, 1 participant")
            page.get_by_role("button", name="0:02.0 · Muted · Ada").click()
            expect(page.locator("[data-part=offset]")).to_have_text("0:02.0")
            panel = page.get_by_role("region", name="Coverage")
            expect(panel).to_contain_text("Complete")
            expect(page.get_by_role("region", name="Events")).to_contain_text("Muted")
        self.assertEqual(self.console, [])
