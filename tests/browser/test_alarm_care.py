"""Acknowledge and snooze: every dashboard shows who looks after an alarm."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.test import tag
from django.utils import timezone
from playwright.sync_api import Page, expect

from calls.models import LedgerEntry, RaisedAlarm
from tests.browser.test_dashboard import DashboardTestCase
from tests.calls.live.examples import an_alarm
from tests.calls.pages.test_pages import a_live_call
from tests.calls.rows import make_alarm
from tests.people import person

PROCESS = "0b7d1c1e-6c0f-4f0e-9b0a-1f5a2f3c4d5e"


@tag("browser")
class AlarmCare(DashboardTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call = a_live_call("connection-of-ada", "4:+15551234567")
        self.alarm = make_alarm(call_id=self.call.pk, origin=PROCESS)
        self.news: Any = an_alarm("stalled") | {"call": str(self.call.pk)}

    def shown(self, page: Page) -> Any:
        """Opens the drawer; returns the row of the alarm."""
        self.opened(page)
        self.publish(alarms=[self.news])
        expect(page.locator("#alarm-count")).to_have_text("1")
        if page.get_by_role("region", name="Alarms").is_hidden():
            page.locator("#alarms-toggle").click()
        row = page.get_by_role("region", name="Alarms").get_by_role("listitem")
        expect(row).to_contain_text("Audio stalled")
        return row

    def test_an_acknowledged_alarm_says_who_and_since_when_to_everybody(self) -> None:
        with self.window() as page, self.window() as other:
            row = self.shown(page)
            row.get_by_role("button", name="Acknowledge").click()
            expect(row).to_contain_text(re.compile(r"operator since \d\d:\d\d"))
            expect(row.get_by_role("button", name="Acknowledge")).to_be_hidden()
            self.assertEqual(RaisedAlarm.objects.get().acknowledged_by, self.operator)
            entry = LedgerEntry.objects.get(call=self.call)
            self.assertEqual((entry.kind, entry.reason), ("alarm_handled", "acknowledged"))
            expect(self.shown(other)).to_contain_text("operator since")
            row.get_by_role("button", name="Undo").click()
            expect(row.get_by_role("button", name="Acknowledge")).to_be_visible()
            self.assertIsNone(RaisedAlarm.objects.get().acknowledged_by)
        self.assertEqual(self.console, [])

    def test_a_snoozed_alarm_is_not_counted(self) -> None:
        with self.window() as page:
            row = self.shown(page)
            expect(page).to_have_title(re.compile("^⚠ 1"))
            row.get_by_label("How long to snooze").select_option("1 h")
            row.get_by_label("How long to snooze").select_option("15 min")
            self.assertIsNone(RaisedAlarm.objects.get().snoozed_until)  # not before the button
            row.get_by_role("button", name="Snooze this alarm").click()
            expect(row).to_contain_text(re.compile(r"snoozed until \d\d:\d\d"))
            expect(page.locator("#alarm-figure")).to_have_text(re.compile(r"0\s+alarms\s+\+ 1 sn"))
            expect(page).to_have_title(re.compile(r"^\(1\)"))
            until = RaisedAlarm.objects.get().snoozed_until
            assert until
            self.assertAlmostEqual(
                until, timezone.now() + timedelta(minutes=15), delta=timedelta(seconds=30)
            )
        self.assertEqual(self.console, [])

    def test_a_failed_request_is_said(self) -> None:
        with self.window() as page:
            row = self.shown(page)
            expect(row.get_by_role("button", name="Acknowledge")).to_be_visible()
            page.route("**/acknowledge", lambda route: route.abort())
            row.get_by_role("button", name="Acknowledge").click()
            expect(row).to_contain_text("That was not saved")
        self.assertIsNone(RaisedAlarm.objects.get().acknowledged_by)

    def test_an_alarm_that_was_cleared_meanwhile_is_not_saved_for_ever(self) -> None:
        with self.window() as page:
            row = self.shown(page)
            expect(row.get_by_role("button", name="Acknowledge")).to_be_visible()
            RaisedAlarm.objects.update(cleared_at=timezone.now())
            with page.expect_response("**/acknowledge") as answer:
                row.get_by_role("button", name="Acknowledge").click()
            self.assertEqual(answer.value.status, 409)
            expect(row.locator("[data-part=care]")).to_have_text("")

    def test_alarms_of_jobs_are_shown_as_well(self) -> None:
        self.alarm.delete()
        make_alarm("acs_refused", origin="canary")
        with self.window() as page:
            self.opened(page)
            expect(page.locator("#alarm-first")).to_contain_text("ACS is being refused")

    def test_without_the_permission_there_are_no_buttons(self) -> None:
        RaisedAlarm.objects.update(acknowledged_by=self.operator, acknowledged_at=timezone.now())
        self.operator = person("viewer", "view_call")
        with self.window() as page:
            row = self.shown(page)
            expect(row).to_contain_text("operator since")
            expect(row.locator(".care-button")).to_have_count(0)
        self.assertEqual(self.console, [])
