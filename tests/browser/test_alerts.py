"""Alerts about new alarms: notification, sound, title and icon of the tab."""

from __future__ import annotations

import re
from typing import Any

from django.test import tag
from playwright.sync_api import Page, expect

from tests.browser.server import NO_STORAGE
from tests.browser.test_dashboard import DashboardTestCase, begun
from tests.calls.live.examples import CUSTOMER, a_call, an_alarm, ended

RECORDED = """(answer) => {
  window.asked = 0; window.told = []; window.tones = [];
  const kept = { permission: "default" };
  try { kept.permission = sessionStorage.permission ?? "default"; } catch {}
  window.Notification = class {
    static get permission() { return kept.permission; }
    static async requestPermission() {
      window.asked += 1;
      try { sessionStorage.permission = answer; } catch {}
      return (kept.permission = answer);
    }
    constructor(title, { body, tag }) { window.told.push([title, body, tag]); window.last = this; }
    close() {}
  };
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (at) {
    window.tones.push(this.frequency.value);
    start.call(this, at);
  };
}"""
"""Records notifications and tones; the user answers `answer` when asked for the permission."""


@tag("browser")
class Alerts(DashboardTestCase):
    def recorded(self, page: Page, answer: str = "granted") -> Page:
        page.add_init_script(f"({RECORDED})('{answer}')")
        return self.opened(page)

    def alarm(self, seconds_ago: float = 1.0, name: str = "stalled") -> Any:
        return an_alarm(name, a_call(1, CUSTOMER), since=begun(seconds_ago))

    def settled(self, page: Page) -> None:
        expect(page.locator("#alerts[data-settled]")).to_be_attached()

    def test_nothing_is_asked_or_told_before_a_click(self) -> None:
        with self.window() as page:
            self.recorded(page)
            self.settled(page)
            self.publish(calls=[a_call(1, CUSTOMER)], alarms=[self.alarm()])
            expect(page.locator("#alarm-news")).to_contain_text("Audio stalled")
            self.assertEqual(page.evaluate("[asked, told, tones]"), [0, [], []])
        self.assertEqual(self.console, [])

    def test_new_alarms_are_told_together_and_once(self) -> None:
        old, new = self.alarm(60), self.alarm(name="dead_air")
        with self.window() as page:
            self.recorded(page)
            self.publish(calls=[a_call(1, CUSTOMER)], alarms=[old])
            expect(page.locator("#alarm-count")).to_have_text("1")
            bell = page.get_by_role("button", name="Notifications for new alarms")
            bell.click()
            expect(bell).to_have_attribute("aria-pressed", "true")
            self.settled(page)
            self.publish(alarms=[old, new, an_alarm("disk_low")])
            page.wait_for_function("() => told.length > 0")
            title, body, _tag = page.evaluate("told[0]")
            self.assertEqual(title, "2 new alarms")
            self.assertEqual(body, "The disk is nearly full\nDead air · +15551234567")
            page.evaluate("last.onclick()")
            expect(page.get_by_role("region", name="Alarms")).to_be_visible()
            page.reload()  # the choice is kept; what is active was told
            expect(page.locator("#live")).to_have_attribute("data-connection", "live")
            expect(bell).to_have_attribute("aria-pressed", "true")
            self.publish(calls=[a_call(1, CUSTOMER)], alarms=[old, new, an_alarm("disk_low")])
            expect(page.locator("#alarm-count")).to_have_text("3")
            self.settled(page)
            self.publish(alarms=[old, new, an_alarm("disk_low"), self.alarm(name="one_way")])
            page.wait_for_function("() => told.length > 0")
            self.assertIn("One-way audio", page.evaluate("told[0][0]"))
        self.assertEqual(self.console, [])

    def test_a_blocked_notification_says_what_to_do(self) -> None:
        with self.window() as page:
            self.recorded(page, "denied")
            bell = page.get_by_role("button", name="Notifications for new alarms")
            bell.click()
            problem = page.locator("#alert-problem")
            expect(problem).to_contain_text("The browser blocks notifications of this page.")
            expect(bell).to_have_attribute("aria-pressed", "false")
            problem.get_by_role("button", name="Close").click()
            expect(problem).to_be_hidden()
        self.assertEqual(self.console, [])

    def test_the_sound_is_heard_at_once_and_with_each_alarm_and_stays_on(self) -> None:
        with self.window() as page:
            self.recorded(page)
            sound = page.get_by_role("button", name="Sound for new alarms")
            sound.click()
            page.wait_for_function("() => tones.length === 1")
            self.settled(page)
            self.publish(calls=[a_call(1, CUSTOMER)], alarms=[self.alarm()])
            page.wait_for_function("() => tones.length === 5")
            page.reload()
            expect(sound).to_have_attribute("aria-pressed", "true")
            expect(sound).to_have_attribute("data-mute", "")  # until the first click
            page.locator("h1").click()
            expect(sound).not_to_have_attribute("data-mute", "")
            sound.click()
            expect(sound).to_have_attribute("aria-pressed", "false")
        # Chromium says that the sound had to wait for the click.
        self.assertEqual([line for line in self.console if "AudioContext" not in line], [])

    def test_the_tab_counts_the_alarms(self) -> None:
        icon = "document.querySelector('link[rel=icon]').href"
        with self.window() as page:
            self.opened(page)
            plain = page.evaluate(icon)
            self.publish(calls=[a_call(1, CUSTOMER)], alarms=[self.alarm(), an_alarm("disk_low")])
            expect(page).to_have_title(re.compile(r"^⚠ 2 · \(1\) Live calls"))
            self.assertTrue(page.evaluate(icon).startswith("data:image/svg+xml,"))
            self.publish(alarms=[])
            expect(page).to_have_title(re.compile(r"^\(1\) Live calls"))
            self.assertEqual(page.evaluate(icon), plain)
        self.assertEqual(self.console, [])

    def test_canary_calls_and_their_alarms_are_not_counted(self) -> None:
        canary = a_call(2, CUSTOMER, canary=True)
        with self.window() as page:
            self.recorded(page)
            page.get_by_role("button", name="Sound for new alarms").click()
            page.wait_for_function("() => tones.length === 1")
            self.settled(page)
            alarms = [self.alarm(), an_alarm("dead_air", canary, since=begun(1))]
            self.publish(calls=[a_call(1, CUSTOMER), canary], alarms=alarms)
            expect(page).to_have_title(re.compile(r"^⚠ 1 · \(1\) Live calls"))
            expect(page.locator("#alarm-count")).to_have_text("1")
            page.wait_for_function("() => tones.length === 5")  # of the call of people
            self.publish(ended=[ended(a_call(1, CUSTOMER))], alarms=alarms[1:])
            expect(page).to_have_title("Live calls · acsmedia")
            page.get_by_label("Canary calls").select_option("Shown")
            expect(page.locator("#alarm-count")).to_have_text("1")
            self.assertEqual(page.evaluate("tones.length"), 5)

    def test_they_work_without_storage(self) -> None:
        with self.window() as page:
            page.add_init_script(NO_STORAGE)
            self.recorded(page)
            page.get_by_role("button", name="Sound for new alarms").click()
            page.wait_for_function("() => tones.length === 1")
        self.assertEqual(self.console, [])
