"""Listening in on the dashboard: the mark on the row of a call, and the button to listen."""

from __future__ import annotations

from django.contrib.auth.models import Permission
from django.test import tag
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from calls.models import LedgerEntry, Subscription
from tests.browser.accessibility import violations
from tests.browser.test_dashboard import DashboardTestCase
from tests.browser.test_listening import HERTZ, OTHER_HERTZ, SpokenCallsTestCase
from tests.calls.live.examples import CUSTOMER, a_call, an_alarm, ended
from tests.calls.rows import START, make_conversation, tone
from tests.streams.streams import ALICE, BOB

MINE, OTHER = "mine", "other"


@tag("browser")
class Mark(DashboardTestCase):
    def test_it_shows_the_number_of_listeners(self) -> None:
        call, other = a_call(1, CUSTOMER), a_call(2, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call, other])
            row, rest = (page.locator(f"[data-call='{each['id']}']") for each in (call, other))
            mark = row.locator("[data-part=listeners]")
            expect(row).to_be_visible()
            expect(mark).to_be_hidden()
            self.publish(listeners={call["id"]: 1})
            expect(mark).to_be_visible()
            expect(mark).to_have_text("1 listening in on this call")
            expect(rest.locator("[data-part=listeners]")).to_be_hidden()
            self.publish(listeners={call["id"]: 2})
            expect(mark).to_contain_text("2 listening")
            self.publish(listeners={})
            expect(mark).to_be_hidden()
        self.assertEqual(self.console, [])

    def test_it_disappears_with_the_call(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.publish(calls=[call], listeners={call["id"]: 1})
            expect(page.get_by_text("1 listening")).to_be_visible()
            # While a row has the focus, it stays on the page.
            page.locator("[data-call] [data-part=title]").focus()
            self.publish(ended=[ended(call)])
            expect(page.locator("[data-part=status]")).to_have_text("ended")
            expect(page.get_by_text("1 listening")).to_be_hidden()


@tag("browser")
class Control(SpokenCallsTestCase):
    spoken = {MINE: {ALICE: tone(1.0, HERTZ)}, OTHER: {BOB: tone(1.0, OTHER_HERTZ)}}

    def row(self, page: Page, connection: str) -> Locator:
        return page.locator(f"article[data-call='{self.calls[connection].pk}']")

    def opened(self, page: Page) -> Page:
        page.goto("/")
        expect(page.locator("#live")).to_have_attribute("data-connection", "live")
        return page

    def test_one_call_at_a_time_is_played_and_marked(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.row(page, MINE).get_by_role("button", name="Listen to this call").click()
            bar = page.get_by_role("group", name="Listen in")
            expect(bar.locator("[data-part=title]")).to_have_text("+15551234567")
            self.hears(page, HERTZ)
            expect(self.row(page, MINE).locator("[data-part=listeners]")).to_contain_text(
                "1 listening"
            )
            self.row(page, OTHER).get_by_role("button", name="Listen to this call").click()
            self.hears(page, OTHER_HERTZ)
            self.hears_no_more(page, HERTZ)
            expect(
                self.row(page, MINE).get_by_role("button", name="Listen to this call")
            ).to_be_visible()
            expect(self.row(page, MINE).locator("[data-part=listeners]")).to_be_hidden()
            expect(self.row(page, OTHER).locator("[data-part=listeners]")).to_contain_text(
                "1 listening"
            )
            expect(bar.locator("[data-voice]")).to_have_count(1)
            self.assertEqual(violations(page), [])
            self.row(page, OTHER).get_by_role("button", name="Stop listening to this call").click()
            expect(bar).to_be_hidden()
            expect(page.locator("[data-part=listeners]:visible")).to_have_count(0)
        self.assertEqual(
            {entry.call for entry in LedgerEntry.objects.all()}, {*self.calls.values()}
        )
        self.assertEqual(self.console, [])

    def test_an_alarm_has_a_button_for_its_call(self) -> None:
        call = self.calls[MINE]
        alarm = an_alarm("one_way", participant=None) | {"call": str(call.pk)}
        with self.window() as page:
            self.opened(page)
            self.publish(alarms=[alarm, an_alarm("disk_low")])
            page.get_by_role("button", name="2 alarms").click()
            alarms = page.get_by_role("region", name="Alarms")
            control = alarms.get_by_role("button", name="Listen to this call")
            expect(control).to_have_count(1)
            control.click()
            self.hears(page, HERTZ)
            expect(
                self.row(page, MINE).get_by_role("button", name="Stop listening to this call")
            ).to_be_visible()
            alarms.get_by_role("button", name="Stop listening to this call").click()
            expect(page.locator("listen-in")).to_be_hidden()

    def test_listening_and_playing_do_not_sound_together_even_in_two_tabs(self) -> None:
        recorded, *_tracks = make_conversation()
        with self.window() as page:
            self.opened(page)
            other = page.context.new_page()
            other.goto(reverse("call", args=[recorded.pk]))
            play = other.locator("[data-part=play]")
            self.row(page, MINE).get_by_role("button", name="Listen to this call").click()
            self.hears(page, HERTZ)
            other.locator("call-lanes[data-state=shown]").wait_for()
            other.locator("[data-part=speed]").select_option("0.5")  # six seconds are enough
            play.click()
            expect(play).to_have_attribute("data-playing", "true")
            bar = page.get_by_role("group", name="Listen in")
            expect(bar).to_contain_text("Stopped, because other audio is playing.")
            self.row(page, MINE).get_by_role("button", name="Listen to this call").click()
            self.hears(page, HERTZ)
            expect(play).to_have_attribute("data-playing", "false")
            expect(other.locator("[data-part=offset]")).not_to_have_text("0:03.0")

    def test_a_key_on_the_row_starts_and_stops_it(self) -> None:
        with self.window() as page:
            self.opened(page)
            page.keyboard.press("l")  # no row has the focus
            expect(page.locator("listen-in")).to_be_hidden()
            self.row(page, OTHER).locator("[data-part=title]").focus()
            page.keyboard.press("l")
            self.hears(page, OTHER_HERTZ)
            page.keyboard.press("l")
            expect(page.locator("listen-in")).to_be_hidden()

    def test_the_end_of_the_call_is_shown_until_the_bar_is_closed(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.row(page, MINE).get_by_role("button", name="Listen to this call").click()
            self.hears(page, HERTZ)
            over = {"connected_at": START, "disconnected_at": START, "seen_at": START}
            Subscription.objects.filter(call=self.calls[MINE]).update(**over, close_code=1000)
            bar = page.get_by_role("group", name="Listen in")
            expect(bar.get_by_role("status")).to_have_text("The call has ended.", timeout=15_000)
            expect(page.get_by_role("button", name="Stop listening to this call")).to_have_count(0)
            bar.get_by_role("button", name="Close").click()
            expect(bar).to_be_hidden()

    def test_it_continues_when_its_row_is_filtered_out(self) -> None:
        with self.window() as page:
            self.opened(page)
            self.row(page, MINE).get_by_role("button", name="Listen to this call").click()
            page.locator("#filter").fill("other")
            expect(self.row(page, MINE)).to_have_count(0)
            self.hears(page, HERTZ)
            page.locator("#filter").fill("")
            expect(
                self.row(page, MINE).get_by_role("button", name="Stop listening to this call")
            ).to_be_visible()

    def test_it_requires_its_permission(self) -> None:
        self.operator.user_permissions.remove(Permission.objects.get(codename="listen_live"))
        with self.window() as page:
            self.opened(page)
            expect(self.row(page, MINE)).to_be_visible()
            expect(page.get_by_role("button", name="Listen to this call")).to_have_count(0)
            expect(page.locator("listen-in")).to_have_count(0)
            self.row(page, MINE).locator("[data-part=title]").focus()
            page.keyboard.press("l")
            refused = page.evaluate(
                """(call) => new Promise((done) => {
                  const origin = location.origin.replace("http", "ws");
                  const socket = new WebSocket(`${origin}/ws/listen/${call}`);
                  socket.onopen = () => done(false);
                  socket.onclose = () => done(true);
                })""",
                str(self.calls[MINE].pk),
            )
            self.assertTrue(refused)
        self.assertFalse(LedgerEntry.objects.exists())
