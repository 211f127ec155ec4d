"""Selection in the list of calls in a real Chromium, and its download as one zip."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import soundfile
from django.contrib.auth.models import User
from django.test import tag
from playwright.sync_api import Locator, Page, expect

from calls.models import Call
from tests.browser.server import BrowserTestCase
from tests.calls.rows import make_call, make_conversation, make_participant, url_of
from tests.people import person


class ListTestCase(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.calls = [make_conversation()[0] for _ in range(3)]
        make_participant(make_call("another"), "4:+4930123456")

    def box(self, page: Page, call: Call) -> Locator:
        return page.locator(f"input[name=call][value='{call.pk}']")

    def downloaded(self, page: Page) -> ZipFile:
        with page.expect_download() as download:
            page.get_by_role("button", name="Download selected").click()
        self.assertRegex(download.value.suggested_filename, r"^calls-\d{8}-\d{6}\.zip$")
        return ZipFile(BytesIO(Path(download.value.path()).read_bytes()))

    def expect_selected(self, page: Page, text: str) -> None:
        expect(page.locator("[data-part=selected]")).to_have_text(text)


@tag("browser")
class Downloading(ListTestCase):
    def test_selected_calls_are_downloaded_as_in_rest(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            for call in self.calls[:2]:
                self.box(page, call).check()
            page.get_by_label("Format").select_option("wav")
            page.get_by_label("Layout").select_option("tracks")
            zipped = self.downloaded(page)
            lines = json.loads(zipped.read("manifest.json"))["calls"]
            self.assertEqual(
                {line["call"] for line in lines}, {str(call.pk) for call in self.calls[:2]}
            )
            for line in lines:
                address = f"/api/v1/calls/{line['call']}/audio?format=wav&layout=tracks"
                rest, _rate = soundfile.read(
                    BytesIO(page.request.get(address).body()), dtype="int16"
                )
                samples, _rate = soundfile.read(BytesIO(zipped.read(line["audio"])), dtype="int16")
                self.assertEqual(samples.shape, (48_000, 2))
                np.testing.assert_array_equal(samples, rest)
        self.assertEqual(self.console, [])

    def test_without_javascript_it_is_a_plain_form(self) -> None:
        with self.window(java_script_enabled=False) as page:
            page.goto("/calls/")
            self.box(page, self.calls[0]).check()
            zipped = self.downloaded(page)
            (line,) = json.loads(zipped.read("manifest.json"))["calls"]
            rest = page.request.get(f"{url_of(self.calls[0], 'audio')}?format=flac").body()
            self.assertEqual(zipped.read(line["audio"]), rest)

    def test_without_a_selection_the_download_is_disabled(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            button = page.get_by_role("button", name="Download selected")
            expect(button).to_be_disabled()
            expect(button).to_have_accessible_description("None selected")
            self.box(page, self.calls[0]).check()
            expect(button).to_be_enabled()
            page.get_by_label("Number, name or id").fill("nobody at all")
            expect(page.locator("[data-row]")).to_have_count(0)
            expect(page.locator("#selection")).to_be_hidden()

    def test_without_permission_there_are_no_checkboxes(self) -> None:
        User.objects.all().delete()
        self.operator = person("listener", "view_call", "hear_recording")
        with self.window() as page:
            page.goto("/calls/")
            expect(page.locator("[data-row]")).to_have_count(4)
            expect(page.locator("[data-row] input")).to_have_count(0)
            expect(page.get_by_role("button", name="Download selected")).to_have_count(0)
            page.keyboard.press("j")
            page.keyboard.press("x")
            page.keyboard.press("Escape")
        self.assertEqual(self.console, [])


@tag("browser")
class Selecting(ListTestCase):
    def test_by_mouse(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            boxes = page.locator("input[name=call]")
            boxes.nth(2).click()
            boxes.nth(0).click(modifiers=["Shift"])
            self.expect_selected(page, "3 of 4 selected")
            boxes.nth(1).click()
            boxes.nth(2).click(modifiers=["Shift"])
            self.expect_selected(page, "1 of 4 selected")
            page.get_by_label("Select all").check()
            self.expect_selected(page, "4 of 4 selected")
            page.get_by_role("button", name="Clear selection").click()
            self.expect_selected(page, "None selected")
            expect(page.get_by_label("Select all")).not_to_be_checked()
            expect(page).to_have_url(f"{self.server.url}/calls/")

    def test_by_keyboard(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            for key in ("x", "j", "x"):  # the first is pressed before a row has the focus
                page.keyboard.press(key)
            self.expect_selected(page, "1 of 4 selected")
            for key in ("j", "j", "X"):
                page.keyboard.press(key)
            self.expect_selected(page, "3 of 4 selected")
            page.keyboard.press("x")
            self.expect_selected(page, "2 of 4 selected")
            page.keyboard.press("Escape")
            self.expect_selected(page, "None selected")
            page.locator("input[name=call]").nth(1).focus()
            for key in ("Space", "j", "x"):  # shortcuts work while a checkbox has the focus
                page.keyboard.press(key)
            self.expect_selected(page, "2 of 4 selected")
            page.keyboard.press("/")
            page.keyboard.type("xXj")
            expect(page.get_by_label("Number, name or id")).to_have_value("xXj")

    def test_visible_calls_stay_selected_while_typing(self) -> None:
        with self.window() as page:
            page.goto("/calls/")
            page.get_by_label("Select all").check()
            page.get_by_label("Number, name or id").fill("5551234")
            expect(page.locator("[data-row]")).to_have_count(3)
            self.expect_selected(page, "3 of 3 selected")
            page.get_by_label("Number, name or id").fill("")
            expect(page.locator("[data-row]")).to_have_count(4)
            self.expect_selected(page, "3 of 4 selected")

    def test_a_checkbox_is_named_by_its_call(self) -> None:
        with self.window() as page:
            page.goto("/calls/?q=%2B4930")
            name = "Select +4930123456 2026-03-02"
            expect(page.get_by_role("checkbox", name=name)).to_have_count(1)
