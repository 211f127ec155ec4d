"""Search in the list of calls in a real Chromium: results while typing, and shareable addresses."""

from __future__ import annotations

import re

from django.test import tag
from playwright.sync_api import expect

from tests.browser.server import BrowserTestCase
from tests.calls.rows import START, make_call, make_conversation, make_participant


@tag("browser")
class Searching(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call, _alice, _bob = make_conversation()
        make_participant(make_call("another"), "4:+4930123456")

    def test_it_searches_while_typing_and_the_address_can_be_shared(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            expect(page.locator("[data-row]")).to_have_count(2)
            page.get_by_label("Number, name or id").type("+4930")
            expect(page.locator("[data-row]")).to_have_count(1)
            expect(page).to_have_url(re.compile(r"q=%2B4930"))
            expect(page.get_by_label("Number, name or id")).to_be_focused()
            page.reload()
            expect(page.locator("[data-row]")).to_have_count(1)
            expect(page.get_by_label("Number, name or id")).to_have_value("+4930")
        self.assertEqual(self.console, [])

    def test_back_and_forward(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            page.get_by_label("Number, name or id").fill("+4930")
            page.get_by_role("button", name="Search").click()
            expect(page.locator("[data-row]")).to_have_count(1)
            page.go_back()
            expect(page.locator("[data-row]")).to_have_count(2)
            expect(page.get_by_label("Number, name or id")).to_have_value("")
            page.go_forward()
            expect(page.locator("[data-row]")).to_have_count(1)
            expect(page.get_by_label("Number, name or id")).to_have_value("+4930")

    def test_three_steps_from_a_number_to_the_call_by_keyboard(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            page.keyboard.press("/")
            expect(page.get_by_label("Number, name or id")).to_be_focused()
            page.keyboard.type("5551234")
            expect(page.locator("[data-row]")).to_have_count(1)
            page.get_by_label("Number, name or id").blur()
            page.keyboard.press("j")
            page.keyboard.press("Enter")
            expect(page).to_have_url(re.compile(f"/calls/{self.call.pk}/"))

    def test_a_failed_request_keeps_the_rows_and_is_shown(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            page.route("**/calls/*part=rows*", lambda route: route.abort())
            page.get_by_label("Number, name or id").type("+4930")
            expect(page.locator("#list-stale")).to_be_visible()
            expect(page.locator("[data-row]")).to_have_count(2)
            page.unroute("**/calls/*part=rows*")
            page.get_by_role("button", name="Try again").click()
            expect(page.locator("[data-row]")).to_have_count(1)
            expect(page.locator("#list-stale")).to_be_hidden()

    def test_days_are_those_of_the_browser_on_the_first_visit_too(self) -> None:
        night = make_call("night", started_at=START.replace(hour=16))
        with self.window(timezone_id="Asia/Tokyo") as page:
            page.goto("/calls/?since=2026-03-03")
            row = page.locator("[data-row]")
            expect(row).to_have_count(1)
            expect(row.locator("time")).to_have_text("2026-03-03 01:30:00")
            expect(page.locator("main [data-zone-name]")).to_have_text("Asia/Tokyo")
            page.reload()  # now the server knows the zone
            expect(row.locator("time")).to_have_text("2026-03-03 01:30:00")
            with page.expect_download() as downloading:
                page.get_by_role("link", name="Export CSV").click()
            text = downloading.value.path().read_text(encoding="utf-8-sig")
            self.assertIn(",2026-03-03T01:30:00+09:00,", text)
            self.assertEqual(text.count("\n"), 2)
            row.locator("time").click()
            expect(page).to_have_url(re.compile(f"/calls/{night.pk}/"))
        self.assertEqual(self.console, [])

    def test_rows_of_an_older_zone_are_replaced(self) -> None:
        make_call("night", started_at=START.replace(hour=16))
        with self.window(timezone_id="Asia/Tokyo") as page:
            page.context.add_cookies(
                [{"name": "zone", "value": "Europe/Berlin", "url": self.server.url}]
            )
            page.goto("/calls/?since=2026-03-03")
            expect(page.locator("[data-row] time")).to_have_text("2026-03-03 01:30:00")

    def test_utc_is_reached_by_mouse_and_by_keyboard(self) -> None:
        with self.window(timezone_id="Asia/Tokyo") as page:
            page.goto("/calls/")
            time = page.locator("[data-row] time").first
            time.hover(timeout=2_000)  # nothing lies above it
            expect(time).to_have_attribute("title", re.compile(r" UTC$"))
            tooltip = "time => getComputedStyle(time, '::after').content"
            self.assertEqual(time.evaluate(tooltip), "none")
            page.keyboard.press("j")
            self.assertEqual(time.evaluate(tooltip), f'"{time.get_attribute("title")}"')

    def test_nothing_scrolls_sideways_on_a_phone(self) -> None:
        with self.window(viewport={"width": 390, "height": 844}) as page:
            page.goto("/calls/")
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.console, [])
