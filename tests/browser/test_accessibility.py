"""Every page passes axe-core, in both themes, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Callable

from django.test import tag
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.accessibility import faint_borders, small_targets, violations
from tests.browser.server import BrowserTestCase
from tests.calls.pages.coverage.examples import make_coverage, make_recorded
from tests.calls.rows import START, make_conversation, make_gap

Ready = Callable[[Page], object]
LOOKS = [("light", 1440), ("dark", 390)]


@tag("browser")
class EveryPage(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, _bob = make_conversation()
        make_gap(self.alice, at=2.0, seconds=0.5)

    def check(
        self, address: str, ready: Ready = lambda _page: None, *, logged_in: bool = True
    ) -> None:
        for scheme, width in LOOKS:
            size = {"width": width, "height": 900}
            with (
                self.subTest(address, scheme=scheme),
                self.window(logged_in=logged_in, color_scheme=scheme, viewport=size) as page,
            ):
                page.goto(address)
                ready(page)
                self.assertEqual(violations(page), [])
                self.assertEqual(small_targets(page), [])
                self.assertEqual(faint_borders(page), [])

    def test_the_check_finds_violations(self) -> None:
        with self.window() as page:
            page.goto("/password/")
            page.evaluate(
                "document.querySelector('main').innerHTML = '<img src=/favicon.ico><input>'"
            )
            text = " ".join(violations(page))
        self.assertIn("image-alt", text)
        self.assertIn("label", text)

    def test_the_checks_of_controls_find_faults(self) -> None:
        with self.window() as page:
            page.goto("/password/")
            page.evaluate(
                """() => {
                  const [main] = document.getElementsByTagName("main");
                  main.innerHTML = "<button>OK</button>";
                  const { style } = main.firstChild;  // the policy forbids it in HTML
                  style.height = "20px";
                  style.border = "1px solid #ddd";
                }"""
            )
            self.assertEqual(len(small_targets(page)), 1)
            self.assertEqual(len(faint_borders(page)), 1)

    def test_login(self) -> None:
        self.check("/login/", logged_in=False)

    def test_password(self) -> None:
        self.check("/password/")

    def test_the_dashboard(self) -> None:
        self.call.subscriptions.update(disconnected_at=None, seen_at=START.replace(year=9000))
        self.check(
            "/", lambda page: expect(page.locator("[data-connection=live]")).to_be_attached()
        )
        self.check("/", _with_the_alarms)

    def test_the_keys_of_every_page(self) -> None:
        address = reverse("call", args=[self.call.pk])
        pages = {
            "/": "open or close the alarms",
            "/calls/": "go to the search",
            address: "previous, next event or gap",
            "/password/": "show or hide the keys",
            "/api/docs/": "show or hide the keys",
        }
        with self.window(color_scheme="dark") as page:
            for path, text in pages.items():
                with self.subTest(path):
                    page.goto(path)
                    page.locator(".brand").focus()
                    page.keyboard.press("?")
                    keys = page.get_by_role("dialog", name="Keys")
                    expect(keys).to_contain_text(text)
                    self.assertEqual(violations(page), [])
                    page.keyboard.press("?")
                    expect(keys).to_be_hidden()
                    page.locator("header").get_by_role("button", name="Keys").click()
                    page.keyboard.press("Escape")
                    expect(keys).to_be_hidden()
            page.goto("/")
            page.locator("#filter").press("?")  # it is text there
            expect(page.get_by_role("dialog")).to_have_count(0)

    def test_the_list_of_calls(self) -> None:
        self.check("/calls/")
        self.check("/calls/", _with_a_selection_and_the_menu)
        self.check("/calls/?q=nobody")

    def test_the_page_of_a_call(self) -> None:
        address = reverse("call", args=[self.call.pk])
        self.check(
            address,
            lambda page: expect(page.locator("call-lanes[data-state=shown]")).to_be_attached(),
        )

    def test_coverage(self) -> None:
        make_recorded(START, "partial", ("not_received", 1.0, 5.0), more_than_four=True)
        row = make_coverage(START, "missing", ("never_streamed", 0.0, 100.0), is_refused=True)
        make_recorded(START)
        days = "?since=2026-03-01&until=2026-03-03"
        self.check(f"/coverage/{days}", lambda page: page.locator("summary").click())
        self.check("/coverage/")
        self.check(f"/coverage/{days}&show=unexpected")
        self.check(f"/coverage/{row.pk}/")

    def test_page_not_found(self) -> None:
        self.check("/nowhere/")


def _with_a_selection_and_the_menu(page: Page) -> None:
    page.get_by_label("Select all").check()
    page.get_by_text("Columns", exact=True).click()
    page.locator("#columns").get_by_label("State").uncheck()


def _with_the_alarms(page: Page) -> None:
    expect(page.locator("[data-connection=live]")).to_be_attached()
    page.keyboard.press("a")
    expect(page.get_by_role("region", name="Alarms")).to_be_visible()
