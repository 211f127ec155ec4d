"""Listening in as the dashboard shows it: the mark on the row of a call."""

from __future__ import annotations

from django.test import tag
from playwright.sync_api import expect

from tests.browser.test_dashboard import DashboardTestCase
from tests.calls.live_examples import CUSTOMER, a_call, ended


@tag("browser")
class TheMark(DashboardTestCase):
    def test_it_says_how_many_listen_until_nobody_does(self) -> None:
        call, other = a_call(1, CUSTOMER), a_call(2, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.say(calls=[call, other])
            row, rest = (page.locator(f"[data-call='{each['id']}']") for each in (call, other))
            mark = row.locator("[data-part=ears]")
            expect(row).to_be_visible()
            expect(mark).to_be_hidden()
            self.say(listeners={call["id"]: 1})
            expect(mark).to_be_visible()
            expect(mark).to_have_text("1 listening in on this call")
            expect(rest.locator("[data-part=ears]")).to_be_hidden()
            self.say(listeners={call["id"]: 2})
            expect(mark).to_contain_text("2 listening")
            self.say(listeners={})
            expect(mark).to_be_hidden()
        self.assertEqual(self.console, [])

    def test_it_goes_with_the_call(self) -> None:
        call = a_call(1, CUSTOMER)
        with self.window() as page:
            self.opened(page)
            self.say(calls=[call], listeners={call["id"]: 1})
            expect(page.get_by_text("1 listening")).to_be_visible()
            page.locator("[data-call] [data-part=title]").focus()  # a row that is read stays for a while
            self.say(ended=[ended(call)])
            expect(page.locator("[data-part=status]")).to_have_text("ended")
            expect(page.get_by_text("1 listening")).to_be_hidden()
