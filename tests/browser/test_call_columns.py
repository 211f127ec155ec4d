"""Columns of the list of calls in a real Chromium: hidden, stored by the browser, reset."""

from __future__ import annotations

from django.test import tag
from playwright.sync_api import Page, expect

from tests.browser.server import NO_STORAGE, BrowserTestCase
from tests.calls.rows import make_call, make_conversation, make_participant

NAMES = ("State", "Started", "Length", "Gaps and alarms", "Id")


@tag("browser")
class Columns(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        make_conversation()
        make_participant(make_call("another"), "4:+4930123456")

    def hide(self, page: Page, *names: str) -> None:
        page.get_by_text("Columns", exact=True).click()
        for name in names:
            page.locator("#columns").get_by_label(name).uncheck()
        page.keyboard.press("Escape")
        expect(page.locator("#columns")).not_to_have_attribute("open", "")

    def test_they_are_hidden_stored_and_reset_without_changing_the_address(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            self.hide(page, "State", "Id")
            expect(page.locator(".state-mark").first).to_be_hidden()
            page.get_by_label("Number, name or id").fill("5551234")
            expect(page.locator("[data-row]")).to_have_count(1)
            expect(page.locator(".list-id").first).to_be_hidden()
            expect(page).to_have_url(f"{self.server.url}/calls/?q=5551234")
            page.reload()
            expect(page.locator(".list-id").first).to_be_hidden()
            expect(page.locator(".list-length").first).to_be_visible()
            page.get_by_text("Columns", exact=True).click()
            page.get_by_role("button", name="Reset").click()
            expect(page.locator(".list-id").first).to_be_visible()
            expect(page.locator("#columns").get_by_label("State")).to_be_checked()
            page.locator("h1").click()
            expect(page.locator("#columns")).not_to_have_attribute("open", "")
            page.reload()
            expect(page.locator(".state-mark").first).to_be_visible()
        self.assertEqual(self.console, [])

    def test_without_javascript_there_is_no_menu(self) -> None:
        with self.window(java_script_enabled=False) as page:
            page.goto("/calls/")
            expect(page.locator("#columns")).to_be_hidden()

    def test_another_window_follows(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            other = page.context.new_page()
            other.goto("/calls/")
            self.hide(page, "Length")
            expect(other.locator(".list-length").first).to_be_hidden()

    def test_without_storage_they_are_hidden_until_the_page_is_left(self) -> None:
        with self.window() as page:
            page.add_init_script(NO_STORAGE)
            page.goto("/calls/")
            self.hide(page, "Length")
            expect(page.locator(".list-length").first).to_be_hidden()
        self.assertEqual(self.console, [])

    def test_nothing_scrolls_sideways_with_any_columns_hidden(self) -> None:
        for width in (390, 800, 1440):
            with self.window(viewport={"width": width, "height": 844}) as page:
                page.goto("/calls/")
                page.get_by_label("Select all").check()
                for hidden in (NAMES[:1], NAMES[1:3], NAMES[3:]):  # in the end all of them
                    self.hide(page, *hidden)
                    page.get_by_text("Columns", exact=True).click()
                    with self.subTest(width=width, hidden=hidden):
                        self.assertEqual(
                            page.evaluate("document.documentElement.scrollWidth"), width
                        )
                    page.keyboard.press("Escape")
