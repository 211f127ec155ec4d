"""The dashboard on a phone: nothing jumps, and nothing is wider than the screen."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.browser.test_dashboard import DashboardTestCase, begun, participant_ids
from tests.calls.live.examples import AGENT, CUSTOMER, a_call, an_alarm, ended
from tests.calls.pages.test_pages import a_live_call
from tests.calls.rows import make_process

WATCH_SHIFTS = """
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.shifts += shift.value;
  }).observe({ type: "layout-shift", buffered: true });
"""


def top_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box, "the element is visible"
    return box["y"]


class OnASmallScreen(DashboardTestCase):
    def test_nothing_jumps_while_calls_come_change_and_end(self) -> None:
        for number in range(3):
            a_live_call(f"connection-{number}", f"4:+1555000{number}", f"8:acs:7f_{number}")
        call, shifts = a_call(7, CUSTOMER), "window.shifts"
        with self.window(viewport={"width": 390, "height": 844}) as page:
            page.add_init_script(WATCH_SHIFTS)
            self.opened(page)
            rows, button = page.locator("article[data-call]"), page.locator("#waiting")
            expect(rows).to_have_count(3)
            self.publish(
                calls=[call], totals={"packets_per_second": 1400.4, "seal_lag_seconds": 0.5}
            )
            expect(page.locator("#packet-count")).to_have_text("1,400")
            expect(button).to_have_text("1 new call: show")
            self.assertLess(page.evaluate(shifts), 0.02)
            button.click()
            expect(rows).to_have_count(4)
            page.wait_for_timeout(600)  # shifts within half a second after a click do not count
            self.publish(
                calls=[a_call(7, CUSTOMER, AGENT)], alarms=[an_alarm("stalled", a_call(7))]
            )
            expect(page.locator("[data-alarmed] [data-participant]")).to_have_count(2)
            self.publish(ended=[ended(call)], alarms=[])
            expect(button).to_have_text("Remove 1 ended call")
            expect(rows).to_have_count(4)
            self.assertLess(page.evaluate(shifts), 0.02)
            button.click()
            expect(rows).to_have_count(3)
        self.assertEqual(self.console, [])

    def test_alarms_come_before_refused_connections(self) -> None:
        reasons = ("no_header", "expired", "wrong_path", "no_stream_token", "not_upgraded")
        others = dict.fromkeys(reasons, 9)
        make_process(refusals={"from_acs": {"wrong_audience": 12}, "others": others})
        calls = [a_call(number, f"4:+1555000{number:04d}") for number in range(12)]
        with self.window(viewport={"width": 390, "height": 844}) as page:
            self.opened(page)
            self.publish(calls=calls, alarms=[an_alarm("stalled", call) for call in calls])
            expect(page.locator("#alarm-count")).to_have_text("12")
            page.keyboard.press("a")
            drawer = page.get_by_role("region", name="Alarms")
            table, last = drawer.get_by_role("table"), drawer.get_by_role("listitem").last
            expect(table).to_be_attached()
            expect(table).not_to_be_in_viewport()
            table.get_by_role("row").last.scroll_into_view_if_needed()
            expect(table).to_be_in_viewport()
            self.assertLess(top_of(last), top_of(table))
        self.assertEqual(self.console, [])

    def test_nothing_is_wider_than_390_pixels(self) -> None:
        names = [CUSTOMER, AGENT, "x" * 300, "8:teamsvisitor:someone", "8:acs:a_b_c"]
        for scheme in ("light", "dark"):
            with (
                self.subTest(scheme),
                self.window(viewport={"width": 390, "height": 844}, color_scheme=scheme) as page,
            ):
                self.opened(page)
                call = a_call(1, *names, started_at=begun(400_000))
                participant = participant_ids(call)[2]
                self.publish(
                    calls=[call],
                    alarms=[
                        an_alarm("stalled", call),
                        an_alarm("one_way", call, participant=participant),
                    ],
                )
                expect(page.locator("#alarm-count")).to_have_text("2")
                page.get_by_role("button", name="2 alarms").click()
                expect(
                    page.get_by_role("region", name="Alarms").get_by_role("listitem")
                ).to_have_count(2)
                expect(page.locator("[data-participant]")).to_have_count(5)
                self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.console, [])
