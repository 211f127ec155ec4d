"""End to end: the real server in a separate process, the simulator as ACS, and a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.test import SimpleTestCase, tag
from playwright.sync_api import Page, expect, sync_playwright

from tests import machine
from tests.browser.server import FLAGS
from tests.end_to_end.installation import ENGINEER, PASSWORD, running
from tests.servers import ROOT, Server

SECONDS = 4


@tag("browser")
class ACall(SimpleTestCase):
    def test_is_shown_while_live_on_daphne(self) -> None:
        self.check_live_call("daphne")

    def test_is_shown_while_live_on_uvicorn(self) -> None:
        self.check_live_call("uvicorn")

    def check_live_call(self, kind: str) -> None:
        with self.watched(kind) as (server, page):
            expect(page.get_by_text("No live calls")).to_be_visible()
            acs = self.simulate(server, "--seconds", str(SECONDS))
            expect(page.locator("[data-call]")).to_contain_text("+15551234567", timeout=20_000)
            expect(page.locator("[data-participant]")).to_have_count(2)
            for meter in page.get_by_role("meter").all():
                expect(meter).not_to_have_attribute("aria-valuetext", "silent")
            expect(page.locator("[data-part=status]")).to_have_text("speaking")
            expect(page.locator("#packet-count")).to_have_text(
                re.compile(r"^(9\d|10\d)$")
            )  # two voices of 20 ms
            self.assertEqual(acs.wait(60), 0)
            expect(page.locator("[data-call]")).to_have_count(0, timeout=20_000)
            expect(page.get_by_text("No live calls")).to_be_visible()

    def test_that_stalls_raises_an_alarm_until_it_continues(self) -> None:
        with self.watched("uvicorn") as (server, page):
            expect(page.locator("#live")).to_have_attribute("data-connection", "live")
            page.locator("#alarms-toggle").click()
            acs = self.simulate(server, "--seconds", "14", "--stall", "1:7")
            alarms = page.get_by_role("region", name="Alarms")
            expect(alarms).to_contain_text("Audio stalled", timeout=30_000)
            expect(page.locator("#alarm-count")).to_have_text("1")
            expect(page.locator("[data-call] [data-part=alarms]")).to_have_text("Audio stalled")
            meter = page.get_by_role("meter").first
            expect(meter).to_have_attribute("aria-valuetext", "silent")
            expect(alarms.get_by_text("No active alarms")).to_be_visible(timeout=20_000)
            expect(page.locator("#alarm-count")).to_have_text("0")
            expect(meter).not_to_have_attribute("aria-valuetext", "silent")
            expect(page.locator("[data-call]:not([data-leaving])")).to_have_count(1)
            self.assertEqual(acs.wait(60), 0)

    @contextmanager
    def watched(self, kind: str) -> Iterator[tuple[Server, Page]]:
        """Runs a server of this kind, and opens its dashboard."""
        chromium = machine.chromium()
        console: list[str] = []
        with running(kind, {"DEBUG": "true"}) as (server, _rest), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(base_url=server.url)
            page.on("console", lambda message: console.append(message.text))
            page.goto("/login/")
            page.get_by_label("Username").fill(ENGINEER)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            yield server, page
            browser.close()
            self.assertNotIn("Traceback", server.log)
        self.assertEqual(console, [])

    def simulate(self, server: Server, *shape: str) -> subprocess.Popen[bytes]:
        """Starts a call with two participants, in real time."""
        voices = (
            "--tone",
            "440",
            "--tone",
            "300",
            "--raw-id",
            "4:+15551234567",
            "--raw-id",
            "8:acs:7f3b_c2d81a",
        )
        options = ("--quiet", "--token", "", *shape)  # the token is in the URL already
        command = [
            sys.executable,
            "manage.py",
            "simulate",
            "--settings",
            "tests.settings",
            "--url",
            server.media_url,
        ]
        acs = subprocess.Popen([*command, *options, *voices], cwd=ROOT, stdout=subprocess.DEVNULL)
        self.addCleanup(acs.kill)
        return acs
