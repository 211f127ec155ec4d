"""The admin in a real browser: no violation of the content security policy, no overflow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.test import Client, tag
from django.utils import timezone
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from calls.models import Segment
from tests.calls.admin.pages import MODELS, list_path, page_path
from tests.calls.admin.recordings import ALICE, BOB, Recording, Spoken
from tests.calls.rows import make_failed, make_process
from tests.machine import chromium

SCREENS = ((1440, 900), (390, 844))
THEMES: tuple[Any, ...] = ("light", "dark")
WIDTH_BEYOND_THE_SCREEN = "document.documentElement.scrollWidth - window.innerWidth"


@tag("browser")
class AdminInABrowserTests(StaticLiveServerTestCase):
    def setUp(self) -> None:
        self.program = chromium()
        now = timezone.now()
        call: Any = Recording(
            tracks=(
                Spoken(ALICE, segments=30, gaps=3),
                Spoken(BOB, segments=28),
                Spoken("8:orgid:" + "f" * 300),
            )
        ).write()
        Recording(open_at=now, started=now - timedelta(minutes=2)).write()
        make_process(last_error="StoreUnreachable")
        make_failed()
        self.paths = ["/admin/", "/admin/overview/", *(list_path(model) for model in MODELS)]
        self.paths.append(page_path("participant", call.participants.all()[0].pk))
        self.paths.append(page_path("subscription", call.subscriptions.all()[0].pk))
        self.paths.append(page_path("segment", Segment.objects.all()[0].pk))
        self.paths.append(page_path("ledgerentry", call.ledger.all()[0].pk))
        self.paths.append(page_path("call", call.pk))
        self.paths.append(page_path("call", call.pk, "delete"))
        client = Client()
        client.force_login(User.objects.create_superuser("operator"))
        self.session = client.cookies["sessionid"].value

    def test_no_page_breaks_the_content_security_policy_or_the_screen(self) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=self.program, args=["--no-sandbox"]
            )
            complaints = [
                complaint
                for screen in SCREENS
                for theme in THEMES
                for complaint in self._complaints(browser, screen, theme)
            ]
            browser.close()
        self.assertEqual(complaints, [])

    def test_several_calls_can_be_deleted_with_the_mouse(self) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=self.program, args=["--no-sandbox"]
            )
            page = self._page(browser, SCREENS[0], "light")
            page.goto(self.live_server_url + list_path("call") + "?state=ended")
            page.locator("#action-toggle").check()
            page.locator("select[name=action]").select_option("delete_selected")
            page.get_by_role("button", name="Go").click()
            page.get_by_role("button", name="Delete the calls and their audio").click()
            message = page.locator(".messagelist").inner_text()
            browser.close()
        self.assertEqual(message, "Deleted 1 call and its audio.")

    def _complaints(self, browser: Browser, screen: tuple[int, int], theme: Any) -> list[str]:
        page = self._page(browser, screen, theme)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.extend(_errors(message)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for path in self.paths:
            response = page.goto(self.live_server_url + path)
            assert response is not None, "a page was asked for"
            if response.status != 200:
                complaints.append(f"{path} answered {response.status}")
            if (beyond := page.evaluate(WIDTH_BEYOND_THE_SCREEN)) > 0:
                complaints.append(f"{path} is {beyond} pixels wider than {screen[0]}")
        page.context.close()
        return complaints

    def _page(self, browser: Browser, screen: tuple[int, int], theme: Any) -> Page:
        context = browser.new_context(
            viewport={"width": screen[0], "height": screen[1]}, color_scheme=theme
        )
        context.add_cookies(
            [{"name": "sessionid", "value": self.session, "url": self.live_server_url}]
        )
        return context.new_page()


def _errors(message: ConsoleMessage) -> list[str]:
    """Returns the error of a console message, except for a missing favicon."""
    url = message.location["url"]
    return (
        [f"{url}: {message.text}"]
        if message.type == "error" and not url.endswith("/favicon.ico")
        else []
    )
