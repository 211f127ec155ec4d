"""Alarms on the dashboard, in a real browser: the drawer, the marks of rows, announcements."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.test import tag
from django.utils import timezone
from playwright.sync_api import Page, expect

from calls.live.messages import CallData
from tests.browser.server import NO_STORAGE
from tests.browser.test_dashboard import DashboardTestCase, begun, participant_ids
from tests.calls.live.examples import AGENT, CUSTOMER, a_call, an_alarm, ended
from tests.calls.pages.test_pages import a_live_call
from tests.calls.rows import make_process

CHANGES = ("Alarm", "Cleared")


@tag("browser")
class Alarms(DashboardTestCase):
    def test_alarms_are_listed_and_marked_until_they_are_cleared(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call])
            alarms, card = page.get_by_role("region", name="Alarms"), page.locator("[data-call]")
            expect(card).to_be_visible()
            expect(alarms).to_be_hidden()
            self.publish(alarms=[an_alarm("stalled", call), self.low_speech(call)])
            page.get_by_role("button", name="2 alarms").click()
            rows = alarms.get_by_role("listitem")
            expect(rows).to_have_count(2)
            expect(rows.filter(has_text="Too quiet")).to_contain_text("+15551234567")
            expect(card.locator("[data-part=alarms]")).to_have_text(
                "Audio stalled · Too quiet (+15551234567)"
            )
            expect(alarms.get_by_role("link", name="+15551234567").first).to_have_attribute(
                "href", f"/calls/{call['id']}/"
            )
            expect(page.locator("#alarm-figure")).to_have_text(re.compile(r"2\s+alarms"))
            self.publish(alarms=[])
            page.mouse.move(10, 300)  # while the pointer is on the list, nothing in it moves
            expect(alarms).to_contain_text("No active alarms")
            expect(card.locator("[data-part=alarms]")).to_be_hidden()
        self.assertEqual(self.console, [])

    def test_alarms_are_announced_when_raised_and_when_cleared(self) -> None:
        call = a_call(1, CUSTOMER)
        stalled = an_alarm("stalled", call)
        raised, cleared = (f"{change}: Audio stalled, +15551234567." for change in CHANGES)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call])
            announced = page.locator("#alarm-news")
            self.publish(alarms=[stalled, self.low_speech(call)])
            expect(announced).to_contain_text(raised)
            self.publish(alarms=[])
            expect(announced).to_contain_text(cleared)
            self.publish(alarms=[stalled])
            expect(announced).to_contain_text(raised)
            self.publish(ended=[ended(call)], alarms=[])
            expect(announced).to_contain_text(cleared)
        self.assertEqual(self.console, [])

    def low_speech(self, call: CallData) -> Any:
        participant = participant_ids(call)[0]
        return an_alarm("too_low", call, participant=participant, since="2026-11-23T10:00:09Z")

    def test_an_alarm_of_the_recorder_names_no_call(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.publish(alarms=[an_alarm("disk_low")])
            page.get_by_role("button", name="1 alarm", exact=True).click()
            row = page.get_by_role("region", name="Alarms").get_by_role("listitem")
            expect(row).to_contain_text("The disk is nearly full")
            expect(row).to_contain_text("Recorder")
            expect(row.get_by_role("link")).to_have_count(0)


BOXES = """() => Array.from(document.querySelectorAll("article[data-call]"), (row) => {
  const { top, height } = row.getBoundingClientRect();
  return [row.dataset.call, top, height];
})"""


@tag("browser")
class Drawer(DashboardTestCase):
    def rows(self, page: Page) -> Any:
        return page.get_by_role("region", name="Alarms").get_by_role("listitem")

    def test_an_alarm_moves_no_row(self) -> None:
        # stored: on a phone, calls that come one after the other wait to be shown
        calls = [a_live_call(f"connection-{number}", CUSTOMER, AGENT) for number in (1, 2, 3)]
        stalled = an_alarm("stalled") | {"call": str(calls[1].pk)}
        for width in (1440, 390):
            size = {"width": width, "height": 900}
            with self.window(viewport=size, reduced_motion="reduce") as page:
                self.opened(page)
                expect(page.locator("[data-participant]")).to_have_count(6)
                before = page.evaluate(BOXES)
                self.publish(alarms=[stalled, an_alarm("disk_low")])
                expect(page.locator("[data-alarmed]")).to_be_visible()
                self.assertEqual(page.evaluate(BOXES), before)
                page.keyboard.press("a")
                expect(self.rows(page)).to_have_count(2)
                self.assertEqual(page.evaluate(BOXES), before)
                self.publish(alarms=[])

    def test_the_most_severe_and_newest_alarm_is_first(self) -> None:
        calls = [a_call(number, f"4:+1555000000{number}") for number in (1, 2, 3)]
        older, newer = begun(61), begun(5)
        with self.window() as page:
            self.opened(page)
            self.publish(
                calls=calls,
                alarms=[
                    an_alarm("too_low", calls[0], since=newer),
                    an_alarm("dead_air", calls[0], since=older),
                    an_alarm("dead_air", calls[1], since=newer),
                    an_alarm("not_written", calls[2], since=older),
                ],
            )
            bar = page.locator("#alarm-first")
            expect(bar).to_have_text(
                re.compile(r"1:0\d · Not being recorded: disk error · \+15550000003")
            )
            page.get_by_role("button", name="4 alarms").click()
            text = self.rows(page).locator("[data-part=text]")
            expect(text).to_have_text(
                ["Not being recorded: disk error", "Dead air", "Dead air", "Too quiet"]
            )
            expect(self.rows(page).locator("[data-part=call]")).to_have_text(
                ["+15550000003", "+15550000002", "+15550000001", "+15550000001"]
            )
            expect(self.rows(page).first.locator("[data-part=lasts]")).to_have_text(
                re.compile(r"1:0\d")
            )
        self.assertEqual(self.console, [])

    def test_the_focus_stays_when_alarms_are_raised_and_cleared(self) -> None:
        call, other = a_call(1, CUSTOMER), a_call(2, AGENT)
        quiet, severe = an_alarm("too_low", call), an_alarm("not_written", other)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call, other], alarms=[quiet])
            expect(page.locator("#alarm-count")).to_have_text("1")
            page.keyboard.press("a")
            link = self.rows(page).get_by_role("link", name="+15551234567")
            expect(link).to_be_focused()
            self.publish(alarms=[quiet, severe])
            more = page.get_by_role("button", name="1 new alarm: show")
            expect(more).to_be_visible()
            expect(link).to_be_focused()
            more.click()
            expect(self.rows(page).first).to_contain_text("Not being recorded")
            self.publish(alarms=[quiet])
            expect(self.rows(page).first).to_contain_text("cleared")
            page.keyboard.press("Escape")
            expect(page.get_by_role("button", name="1 alarm")).to_be_focused()
            expect(self.rows(page)).to_have_count(0)

    def test_the_focus_stays_in_the_drawer_when_its_row_goes(self) -> None:
        """The next Tab must not begin at the top of the page."""
        call, other = a_call(1, CUSTOMER), a_call(2, AGENT)
        quiet, severe = an_alarm("too_low", call), an_alarm("not_written", other)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call, other], alarms=[quiet])
            expect(page.locator("#alarm-count")).to_have_text("1")
            page.keyboard.press("a")
            expect(page.locator("#alarm-list :focus")).to_have_count(1)
            self.rows(page).hover()
            page.mouse.move(10, 300)  # nothing is held for the reader any more after 3 s
            self.publish(alarms=[severe])
            expect(self.rows(page)).to_contain_text("Not being recorded")
            expect(page.locator("#alarm-list :focus")).to_have_count(1)

    def test_it_is_open_again_after_a_reload(self) -> None:
        with self.window() as page:
            self.opened(page)
            page.keyboard.press("a")
            page.reload()
            expect(page.get_by_role("region", name="Alarms")).to_be_visible()

    def test_the_focus_ring_of_a_call_is_not_cut(self) -> None:
        call = a_call(1)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call], alarms=[an_alarm("stalled", call)])
            expect(page.locator("#alarm-count")).to_have_text("1")
            page.keyboard.press("a")
            link = page.get_by_role("region", name="Alarms").get_by_role("link")
            expect(link).to_be_focused()
            room = link.evaluate(
                """link => {
                  const style = getComputedStyle(link);
                  const outside = parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset);
                  const inner = link.getBoundingClientRect();
                  const outer = link.closest(".alarm-where").getBoundingClientRect();
                  return Math.min(inner.left - outer.left, inner.top - outer.top) - outside;
                }"""
            )
        self.assertGreaterEqual(room, 0)

    def test_it_opens_in_a_browser_without_storage(self) -> None:
        with self.window() as page:
            page.add_init_script(NO_STORAGE)
            self.opened(page)
            page.keyboard.press("a")
            expect(page.get_by_role("region", name="Alarms")).to_be_visible()
        self.assertEqual(self.console, [])


@tag("browser")
class Recorders(DashboardTestCase):
    def test_a_refused_call_is_shown_with_its_reason_among_thousands_of_strangers(self) -> None:
        refused = {"from_acs": {"wrong_stream_token": 3}, "others": {"no_header": 2412}}
        make_process(refusals=refused)
        with self.window() as page:
            self.opened(page)
            expect(page.locator("#refused-figure")).to_have_text("3 refused from ACS")
            self.publish(alarms=[an_alarm("acs_refused")])
            page.get_by_role("button", name="1 alarm").click()
            drawer = page.get_by_role("region", name="Alarms")
            expect(drawer.get_by_role("listitem")).to_contain_text(
                re.compile(
                    r"ACS is being refused.*wrong stream token in the address \(3\)", re.DOTALL
                )
            )
            expect(drawer.get_by_role("row").nth(2)).to_have_text(
                re.compile(r"no token of ACS\s*0\s*2,412")
            )
        self.assertEqual(self.console, [])

    def test_a_recorder_that_has_died_is_said(self) -> None:
        died = timezone.now() - timedelta(minutes=3)
        make_process(seen_at=died, started_at=died)
        with self.window() as page:
            self.opened(page)
            expect(page.get_by_text("No recorder has reported since")).to_contain_text(
                "Calls are not being recorded."
            )
        self.assertEqual(self.console, [])
