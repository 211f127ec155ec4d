"""The dashboard in a real browser: what an operator sees move, come, go, break and heal."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import tag
from playwright.sync_api import Page, expect

from calls.live_view import Call
from tests.browser.server import OPERATOR, PASSWORD, BrowserTestCase
from tests.calls.live_examples import AGENT, CUSTOMER, a_call, an_alarm, ended
from tests.calls.test_pages import a_live_call

MINUS = "\N{MINUS SIGN}"
HOSTILE = '<img src=x onerror="document.title=1">' + "y" * 1000


def begun(seconds_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def participant_ids(call: Call) -> list[str]:
    return [participant["id"] for participant in call["participants"]]


@tag("browser")
class DashboardTestCase(BrowserTestCase):
    def opened(self, page: Page) -> Page:
        page.goto("/")
        expect(page.locator("#live")).to_have_attribute("data-connection", "live")
        return page

    def speak(self, levels: dict[str, list[float]], **what: Any) -> threading.Event:
        """A process that says these levels ten times a second until the event is set."""
        is_over = threading.Event()

        def process() -> None:
            while not is_over.wait(0.1):
                self.say(levels=levels, **what)

        thread = threading.Thread(target=process, name="speaker", daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        self.addCleanup(is_over.set)
        return is_over


class TheCalls(DashboardTestCase):
    def test_a_call_appears_changes_and_leaves_by_itself(self) -> None:
        with self.window() as page:
            self.opened(page)
            expect(page.get_by_text("No live calls")).to_be_visible()
            self.say(calls=[a_call(1, CUSTOMER, started_at=begun(65))])
            card = page.locator("[data-call]")
            expect(card).to_contain_text("+15551234567")
            expect(card.locator("[data-part=duration]")).to_have_text(re.compile(r"1:\d\d"))
            expect(page.get_by_text("No live calls")).to_be_hidden()
            expect(page).to_have_title(re.compile(r"^\(1\)"))
            self.say(calls=[a_call(1, CUSTOMER, AGENT)])
            expect(card.locator("[data-participant]")).to_have_count(2)
            expect(page.locator("#participant-count")).to_have_text("2")
            self.say(ended=[ended(a_call(1, CUSTOMER, AGENT))])
            expect(card.locator("[data-part=status]")).to_have_text("ended")
            expect(page.locator("#call-count")).to_have_text("0")
            expect(card).to_have_count(0)
            expect(page.get_by_text("No live calls")).to_be_visible()
        self.assertEqual(self.console, [])

    def test_first_paint_is_taken_over_without_a_second_card(self) -> None:
        call = a_live_call("connection-of-ada", "4:+15551234567")
        with self.window() as page:
            self.opened(page)
            expect(page.locator("[data-call]")).to_have_count(1)
            self.say(calls=[a_call(call.id.int, CUSTOMER, AGENT, started_at=call.started_at.isoformat())])
            expect(page.locator("[data-call]")).to_have_count(1)
            expect(page.locator("[data-participant]")).to_have_count(2)

    def test_first_paint_needs_no_javascript(self) -> None:
        a_live_call("connection-of-ada", "4:+15551234567")
        with self.window(java_script_enabled=False) as page:
            page.goto("/")
            expect(page.locator("#calls")).to_contain_text("+15551234567")
            expect(page.locator("[data-part=duration]")).to_have_text(re.compile(r"0:\d\d"))
            self.assertIn("<noscript>", page.content())

    def test_the_newest_call_stands_first(self) -> None:
        with self.window() as page:
            self.opened(page)
            for number in (2, 3, 1):
                self.say(calls=[a_call(number, started_at=begun(100 - number))])
            titles = page.locator("[data-part=title]")
            expect(titles).to_have_text(["Call …ection-3", "Call …ection-2", "Call …ection-1"])

    def test_hostile_identities_are_text(self) -> None:
        with self.window() as page:
            self.opened(page)
            call = a_call(1, HOSTILE, f"4:{HOSTILE}", call_connection_id=HOSTILE)
            call["participants"][0]["display_name"] = HOSTILE
            self.say(calls=[call])
            label = page.locator("[data-part=label]").first
            expect(label).to_have_text(HOSTILE)
            expect(page.locator("main img")).to_have_count(0)
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), page.evaluate("innerWidth"))
        self.assertEqual(self.console, [])


class TheMeters(DashboardTestCase):
    def test_meters_move_with_the_levels_and_fall_to_silence_without_them(self) -> None:
        call = a_call(1, CUSTOMER, AGENT)
        customer, agent = participant_ids(call)
        with self.window() as page:
            self.opened(page)
            self.say(calls=[call])
            is_over = self.speak({customer: [-30.0, -12.0], agent: [-96.0, -96.0]})
            meters = page.get_by_role("meter")
            expect(meters.first).to_have_accessible_name("Level of +15551234567")
            expect(meters.first).to_have_attribute("aria-valuetext", "-30 dBFS")
            expect(meters.first).to_contain_text(f"{MINUS}30 dB")
            expect(meters.last).to_have_attribute("aria-valuetext", "silent")
            expect(page.locator(f'[data-participant="{customer}"]')).to_have_attribute("data-talking", "")
            bar = page.locator(f'[data-participant="{customer}"] level-meter')
            self.assertAlmostEqual(float(bar.evaluate("each => each.style.getPropertyValue('--level')")), 0.5, 2)
            self.assertAlmostEqual(float(bar.evaluate("each => each.style.getPropertyValue('--peak')")), 0.8, 2)
            is_over.set()
            expect(meters.first).to_have_attribute("aria-valuetext", "silent")
            expect(meters.first).to_contain_text("silent")
        self.assertEqual(self.console, [])

    def test_who_asked_for_less_motion_still_reads_the_level(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window(reduced_motion="reduce") as page:
            self.opened(page)
            self.say(calls=[call])
            self.speak({participant_ids(call)[0]: [-20.0, -12.0]})
            expect(page.get_by_role("meter")).to_contain_text(f"{MINUS}20 dB")
            self.assertEqual(page.evaluate("document.getAnimations().length"), 0)


class TheAlarms(DashboardTestCase):
    def test_a_call_that_stalls_is_listed_marked_and_said_until_it_goes_on(self) -> None:
        call = a_call(1, CUSTOMER)
        stalled = an_alarm("stalled", call)
        low = an_alarm("too_low", call, participant=participant_ids(call)[0], since="2026-11-23T10:00:09Z")
        with self.window() as page:
            self.opened(page)
            self.say(calls=[call])
            alarms, card = page.get_by_role("region", name="Alarms"), page.locator("[data-call]")
            expect(card).to_be_visible()
            expect(alarms).to_be_hidden()
            self.say(alarms=[stalled, low])
            rows = alarms.get_by_role("listitem")
            expect(rows).to_have_count(2)
            expect(rows.filter(has_text="Too quiet")).to_contain_text("+15551234567")
            expect(page.locator("#alarm-news")).to_contain_text("Alarm: Audio has stopped coming, Call …ection-1.")
            expect(card.locator("[data-part=alarms]")).to_have_text(
                "Audio has stopped coming · Too quiet (+15551234567)"
            )
            alarms.get_by_role("link", name="Call …ection-1").first.click()
            expect(page.locator(".call:target")).to_have_count(1)
            self.say(alarms=[])
            expect(alarms).to_be_hidden()
            expect(card.locator("[data-part=alarms]")).to_be_hidden()
            expect(page.locator("#alarm-news")).to_contain_text("Over: Audio has stopped coming, Call …ection-1.")
            self.say(alarms=[stalled])
            expect(page.locator("#alarm-news")).to_contain_text("Alarm: Audio has stopped coming, Call …ection-1.")
            self.say(ended=[ended(call)], alarms=[])
            expect(page.locator("#alarm-news")).to_contain_text("Over: Audio has stopped coming, Call …ection-1.")
        self.assertEqual(self.console, [])

    def test_one_of_the_recorder_names_no_call(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.say(alarms=[an_alarm("disk_low")])
            row = page.get_by_role("region", name="Alarms").get_by_role("listitem")
            expect(row).to_contain_text("The disk is nearly full")
            expect(row).to_contain_text("Recorder")
            expect(row.get_by_role("link")).to_have_count(0)


class TheConnection(DashboardTestCase):
    def test_its_loss_is_shown_and_heals_by_itself(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.say(calls=[a_call(1, CUSTOMER)])
            expect(page.locator("[data-call]")).to_have_count(1)
            self.server.stop()
            expect(page.get_by_role("status").filter(has=page.locator("#connection"))).to_contain_text(
                "Connection lost."
            )
            expect(page.locator(".pulse-lost")).to_be_visible()
            self.server.start()
            expect(page.locator("#live")).to_have_attribute("data-connection", "live")
            expect(page.get_by_text("Connection lost.")).to_be_hidden()
            self.say(calls=[a_call(2, AGENT)])
            expect(page.locator("[data-call]:not([data-leaving])")).to_contain_text("ACS user")

    def test_who_has_been_logged_out_is_led_to_the_login(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.server.stop()
            expect(page.get_by_text("Connection lost.")).to_be_visible()
            self.client.logout()
            self.server.start()
            page.wait_for_url("**/login/?next=/")

    def test_a_second_window_sees_the_same_calls(self) -> None:
        with self.window() as first, self.window() as second:
            for page in (first, second):
                self.opened(page)
            self.say(calls=[a_call(1, CUSTOMER)])
            for page in (first, second):
                expect(page.locator("[data-call]")).to_contain_text("+15551234567")


class OnASmallScreen(DashboardTestCase):
    def test_nothing_is_wider_than_390_pixels(self) -> None:
        names = [CUSTOMER, AGENT, "x" * 300, "8:teamsvisitor:somebody", "8:acs:a_b_c"]
        for scheme in ("light", "dark"):
            with self.subTest(scheme), self.window(viewport={"width": 390, "height": 844}, color_scheme=scheme) as page:
                self.opened(page)
                call = a_call(1, *names, started_at=begun(400_000))
                whose = participant_ids(call)[2]
                self.say(calls=[call], alarms=[an_alarm("stalled", call), an_alarm("one_way", call, participant=whose)])
                expect(page.get_by_role("region", name="Alarms").get_by_role("listitem")).to_have_count(2)
                expect(page.locator("[data-participant]")).to_have_count(5)
                self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.console, [])


class LoginAndLogout(DashboardTestCase):
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
