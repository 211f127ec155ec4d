"""The dashboard in a real browser: calls, meters, alarms, filters and reconnects."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import tag
from playwright.sync_api import Page, expect

from calls.live.messages import CallData
from tests.browser.server import BrowserTestCase
from tests.calls.live.examples import AGENT, CUSTOMER, a_call, an_alarm, ended
from tests.calls.pages.test_pages import a_live_call

HOSTILE = '<img src=x onerror="document.title=1">' + "y" * 1000


def begun(seconds_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def participant_ids(call: CallData) -> list[str]:
    return [participant["id"] for participant in call["participants"]]


@tag("browser")
class DashboardTestCase(BrowserTestCase):
    def opened(self, page: Page) -> Page:
        page.goto("/")
        expect(page.locator("#live")).to_have_attribute("data-connection", "live")
        return page

    def speak(self, levels: dict[str, list[float]], **update: Any) -> threading.Event:
        """Publishes these levels ten times a second until the event is set."""
        is_over = threading.Event()

        def process() -> None:
            while not is_over.wait(0.1):
                self.publish(levels=levels, **update)

        thread = threading.Thread(target=process, name="speaker", daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        self.addCleanup(is_over.set)
        return is_over


class Calls(DashboardTestCase):
    def test_a_call_appears_changes_and_disappears(self) -> None:
        with self.window() as page:
            self.opened(page)
            expect(page.get_by_text("No live calls")).to_be_visible()
            self.publish(calls=[a_call(1, CUSTOMER, started_at=begun(65))])
            card = page.locator("[data-call]")
            expect(card).to_contain_text("+15551234567")
            expect(card.locator("[data-part=duration]")).to_have_text(re.compile(r"1:\d\d"))
            expect(page.get_by_text("No live calls")).to_be_hidden()
            expect(page).to_have_title(re.compile(r"^\(1\)"))
            self.publish(calls=[a_call(1, CUSTOMER, AGENT)])
            expect(card.locator("[data-participant]")).to_have_count(2)
            expect(page.locator("#participant-count")).to_have_text("2")
            self.publish(ended=[ended(a_call(1, CUSTOMER, AGENT))])
            expect(card.locator("[data-part=status]")).to_have_text("ended")
            expect(page.locator("#call-count")).to_have_text("0")
            expect(card).to_have_count(0)
            expect(page.get_by_text("No live calls")).to_be_visible()
        self.assertEqual(self.console, [])

    def test_rows_of_first_paint_are_reused(self) -> None:
        call = a_live_call("connection-of-ada", "4:+15551234567")
        with self.window() as page:
            self.opened(page)
            expect(page.locator("[data-call]")).to_have_count(1)
            self.publish(
                calls=[a_call(call.id.int, CUSTOMER, AGENT, started_at=call.started_at.isoformat())]
            )
            expect(page.locator("[data-call]")).to_have_count(1)
            expect(page.locator("[data-participant]")).to_have_count(2)

    def test_first_paint_needs_no_javascript(self) -> None:
        a_live_call("connection-of-ada", "4:+15551234567")
        with self.window(java_script_enabled=False) as page:
            page.goto("/")
            expect(page.locator("#calls")).to_contain_text("+15551234567")
            expect(page.locator("[data-part=duration]")).to_have_text(re.compile(r"0:\d\d"))
            self.assertIn("<noscript>", page.content())

    def test_the_newest_call_is_first(self) -> None:
        with self.window() as page:
            self.opened(page)
            for number in (2, 3, 1):
                self.publish(calls=[a_call(number, started_at=begun(100 - number))])
            ids = page.locator("[data-part=id]")
            expect(ids).to_have_text(["…ection-3", "…ection-2", "…ection-1"])

    def test_hostile_identities_are_escaped(self) -> None:
        with self.window() as page:
            self.opened(page)
            call = a_call(1, HOSTILE, f"4:{HOSTILE}", call_connection_id=HOSTILE)
            call["participants"][0]["display_name"] = HOSTILE
            self.publish(calls=[call])
            label = page.locator("[data-part=label]").first
            expect(label).to_have_text(HOSTILE)
            expect(page.locator("main img")).to_have_count(0)
            self.assertEqual(
                page.evaluate("document.documentElement.scrollWidth"), page.evaluate("innerWidth")
            )
        self.assertEqual(self.console, [])


BAR = """meter => {
  const canvas = meter.querySelector("canvas"), ratio = devicePixelRatio;
  const width = Math.round((meter.clientWidth - 52) * ratio);
  const middle = canvas.height / 2, copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const row = place => context.getImageData(0, Math.round(middle + place * ratio), width, 1).data;
  const last = (pixels, paints) => {
    for (let x = width - 1; x >= 0; x -= 1) {
      if (paints(pixels, 4 * x)) return Math.round(60 - 60 * (x + 1) / width);
    }
    return 60;
  };
  const colourful = (data, at) => Math.abs(data[at] - data[at + 1]) > 40;
  return { bar: last(row(0), colourful), peak: last(row(-6), (data, at) => data[at + 3] > 100) };
}"""
"""Returns the ends of bar and peak, in dB below full scale, from the painted pixels."""


WATCH_LOUDSPEAKER = """() => {
  window.contradictions = window.lit = 0;
  const look = () => {
    const isLit = document.querySelector("[data-talking]") !== null;
    window.lit += isLit;
    const text = document.querySelector("[data-part=status]").textContent;
    window.contradictions += isLit && text === "silent";
  };
  new MutationObserver(look).observe(document.getElementById("calls"), {
    subtree: true, attributes: true, attributeFilter: ["data-talking"], childList: true,
  });
}"""


class Meters(DashboardTestCase):
    def bar_of(self, page: Page, participant: str) -> dict[str, int]:
        ends: dict[str, int] = page.locator(
            f'[data-participant="{participant}"] level-meter'
        ).evaluate(BAR)
        return ends

    def test_clipping_is_marked_until_clicked(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call])
            mark = page.get_by_role("button", name="Clipped: +15551234567. Clear the mark")
            expect(page.locator("[data-call]")).to_be_visible()
            expect(mark).to_be_hidden()
            self.publish(levels={participant_ids(call)[0]: [-3.0, 0.0]})
            expect(mark).to_be_visible()
            mark.click()
            expect(mark).to_be_hidden()

    def test_the_last_minute_is_shown_to_a_late_viewer(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.publish(
                calls=[call], minutes={participant_ids(call)[0]: "0" * 20 + "7" * 30 + "." * 10}
            )
            strip = page.locator("activity-strip")
            expect(strip).to_have_attribute(
                "aria-label", re.compile(r"^Spoke in (30|29) of the last 60 seconds$")
            )
            heights = strip.evaluate(
                """strip => { const canvas = strip.querySelector("canvas");
                const context = canvas.getContext("2d");
                return [0.1, 0.6, 0.95].map(place => { const x = Math.round(place * canvas.width);
                const data = context.getImageData(x, 0, 3, canvas.height).data;
                return data.filter((value, at) => at % 4 === 3 && value > 60).length / 3; }); }"""
            )
            self.assertGreater(heights[1], 10, "speech is tall")
            self.assertLess(heights[0], 4, "a pause is the base line")
            self.assertLess(heights[2], 2, "no audio is a dot")

    def test_meters_follow_levels_and_fall_to_silence_without_them(self) -> None:
        call = a_call(1, CUSTOMER, AGENT)
        customer, agent = participant_ids(call)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call])
            is_over = self.speak({customer: [-30.0, -12.0], agent: [-96.0, -96.0]})
            meters = page.get_by_role("meter")
            expect(meters.first).to_have_accessible_name("Level of +15551234567")
            expect(meters.first).to_have_attribute("aria-valuetext", "-30 dBFS")
            expect(meters.last).to_have_attribute("aria-valuetext", "silent")
            expect(page.locator(f'[data-participant="{customer}"]')).to_have_attribute(
                "data-talking", ""
            )
            expect(page.locator("[data-part=status]")).to_have_text("speaking")
            self.assertEqual(self.bar_of(page, customer), {"bar": 30, "peak": 12})
            self.assertEqual(self.bar_of(page, agent), {"bar": 60, "peak": 60})
            is_over.set()
            expect(meters.first).to_have_attribute("aria-valuetext", "silent")
            self.assertEqual(self.bar_of(page, customer)["bar"], 60)
            expect(page.locator("[data-part=status]")).to_have_text("silent")
        self.assertEqual(self.console, [])

    def test_since_is_the_time_of_the_voice_and_silent_is_never_beside_a_loudspeaker(self) -> None:
        call = a_call(1, CUSTOMER, started_at=begun(3600))
        (customer,) = participant_ids(call)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call], minutes={customer: "0" * 60})
            since = page.locator("[data-part=since-time]")
            quiet = self.speak({customer: [-70.0, -60.0]})
            expect(page.locator("[data-part=status]")).to_have_text("silent")
            expect(since).to_be_hidden()  # nobody has spoken as far back as the page knows
            page.evaluate(WATCH_LOUDSPEAKER)
            quiet.set()
            before = datetime.now(UTC)
            self.speak({customer: [-20.0, -12.0]})
            expect(page.locator("[data-part=status]")).to_have_text("speaking")
            expect(since).to_be_visible()
            began = datetime.fromisoformat(since.get_attribute("datetime") or "")
            self.assertLess(abs(began - before), timedelta(seconds=3))
            self.assertEqual(page.evaluate("window.contradictions"), 0)
            self.assertGreater(page.evaluate("window.lit"), 0)

    def test_reduced_motion_still_shows_the_level(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window(reduced_motion="reduce") as page:
            self.opened(page)
            self.publish(calls=[call])
            self.speak({participant_ids(call)[0]: [-20.0, -12.0]})
            expect(page.get_by_role("meter")).to_have_attribute("aria-valuetext", "-20 dBFS")
            self.assertEqual(page.evaluate("document.getAnimations().length"), 0)


class Filters(DashboardTestCase):
    def test_filter_and_order_are_in_the_address_and_survive_a_reload(self) -> None:
        calls = [a_call(1, CUSTOMER), a_call(2, AGENT), a_call(3, "4:+4930123")]
        with self.window() as page:
            self.opened(page)
            self.publish(calls=calls, alarms=[an_alarm("stalled", calls[2])])
            rows, ids = page.locator("[data-call]"), page.locator("[data-part=id]")
            expect(rows).to_have_count(3)
            page.locator("select[name=sort]").select_option("longest first")
            expect(ids).to_have_text(["…ection-1", "…ection-2", "…ection-3"])
            page.locator("h1").click()
            page.keyboard.press("/")
            page.keyboard.type("+49")
            expect(rows).to_have_count(1)
            expect(page).to_have_url(re.compile(r"/\?q=%2B49&sort=longest$"))
            page.reload()
            expect(page.locator("#live")).to_have_attribute("data-connection", "live")
            self.publish(calls=calls, alarms=[an_alarm("stalled", calls[2])])
            expect(rows).to_have_count(1)
            page.get_by_role("button", name="Show all").click()
            page.locator("select[name=alarm]").select_option("Audio stalled")
            expect(ids).to_have_text(["…ection-3"])
            page.locator("select[name=alarm]").select_option("Too quiet")
            expect(page.get_by_text("No calls match the filters.")).to_be_visible()
        self.assertEqual(self.console, [])

    def test_typing_does_not_empty_the_list(self) -> None:
        calls = [a_call(1, CUSTOMER), a_call(2, "4:+4930123456")]
        with self.window() as page:
            self.opened(page)
            self.publish(calls=calls)
            rows, ids = page.locator("article[data-call]"), page.locator("[data-part=id]")
            expect(rows).to_have_count(2)
            page.keyboard.press("/")
            page.keyboard.type("+49 30-1x")
            none = page.get_by_text("No calls match the filters.")
            expect(none).to_be_visible()
            expect(ids).to_have_text(["…ection-2"])
            page.keyboard.press("Backspace")
            expect(none).to_be_hidden()
            page.keyboard.type("9")
            expect(none).to_be_visible()
            page.keyboard.press("Tab")  # the filter is complete: it matches nothing
            expect(rows).to_have_count(0)
            expect(none).to_be_visible()
        self.assertEqual(self.console, [])

    def test_keys_move_between_calls_and_enter_opens_one(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[a_call(number, CUSTOMER) for number in (1, 2, 3)])
            expect(page.locator("[data-call]")).to_have_count(3)
            focused = page.locator("[data-call]:has([data-part=title]:focus) [data-part=id]")
            page.keyboard.press("j")
            expect(focused).to_have_text("…ection-3")
            page.keyboard.press("j")
            page.keyboard.press("ArrowDown")
            expect(focused).to_have_text("…ection-1")
            page.keyboard.press("k")
            expect(focused).to_have_text("…ection-2")
            page.keyboard.press("Enter")
            page.wait_for_url(f"**/calls/{a_call(2)['id']}/")

    def test_nothing_moves_while_someone_is_reading(self) -> None:
        old, reader = a_call(1, CUSTOMER), a_call(2, AGENT)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[old, reader])
            ids = page.locator("[data-part=id]")
            expect(ids).to_have_count(2)
            ids.first.hover()
            self.publish(calls=[a_call(3, CUSTOMER)], ended=[ended(reader)])
            more = page.get_by_role("button", name="1 new call: show")
            expect(more).to_be_visible()
            expect(ids).to_have_text(["…ection-2", "…ection-1"])
            expect(page.locator("[data-over] [data-part=status]")).to_have_text("ended")
            more.click()
            expect(ids).to_have_text(["…ection-3", "…ection-1"])
            expect(more).to_be_hidden()
        self.assertEqual(self.console, [])

    def test_totals_come_from_the_processes(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.publish("one", totals={"packets_per_second": 1000.4, "seal_lag_seconds": 2.5})
            self.publish("two", totals={"packets_per_second": 500.0, "seal_lag_seconds": 31.0})
            expect(page.locator("#packet-count")).to_have_text("1,500")
            expect(page.locator("#lag")).to_have_text("31 s")


class Connection(DashboardTestCase):
    def test_its_loss_is_shown_and_it_reconnects(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[a_call(1, CUSTOMER)])
            expect(page.locator("[data-call]")).to_have_count(1)
            self.server.stop()
            expect(
                page.get_by_role("status").filter(has=page.locator("#connection"))
            ).to_contain_text("Connection lost.")
            expect(page.locator(".pulse-lost")).to_be_visible()
            self.server.start()
            expect(page.locator("#live")).to_have_attribute("data-connection", "live")
            expect(page.get_by_text("Connection lost.")).to_be_hidden()
            self.publish(calls=[a_call(2, AGENT)])
            expect(page.locator("[data-call]:not([data-leaving])")).to_contain_text("ACS user")

    def test_a_logged_out_user_is_redirected_to_the_login(self) -> None:
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
            self.publish(calls=[a_call(1, CUSTOMER)])
            for page in (first, second):
                expect(page.locator("[data-call]")).to_contain_text("+15551234567")
