"""Login and logout in a real browser."""

from __future__ import annotations

from django.test import tag
from playwright.sync_api import expect

from tests.browser.server import OPERATOR, PASSWORD, BrowserTestCase


@tag("browser")
class LoginAndLogout(BrowserTestCase):
    def test_an_operator_logs_in_and_out(self) -> None:
        with self.window(logged_in=False) as page:
            page.goto("/")
            page.get_by_label("Username").fill(OPERATOR)
            page.get_by_label("Password").fill("wrong")
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_contain_text("correct username and password")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            expect(page.locator("#live")).to_have_attribute("data-connection", "live")
            page.get_by_role("button", name="Log out").click()
            expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        self.assertEqual(self.console, [])
