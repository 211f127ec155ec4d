"""The page of a call in a real Chromium: timeline, player, ranges and details."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO
from typing import Any

import numpy as np
import soundfile
from django.test import tag
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from calls.models import Call, LedgerEntry, Participant
from tests.browser.server import BrowserTestCase
from tests.calls.rows import (
    ALICE,
    BOB,
    START,
    make_call,
    make_gap,
    make_participant,
    make_segment,
    noise,
    tone,
)

WAVE = """(canvas, [from, to]) => {
  const pen = canvas.getContext("2d"), ratio = canvas.width / canvas.clientWidth;
  const left = Math.round(canvas.width * from);
  const wide = Math.max(1, Math.round(canvas.width * (to - from)));
  const bytes = pen.getImageData(left, 0, wide, canvas.height).data;
  let drawn = 0;
  for (let at = 3; at < bytes.length; at += 4) drawn += bytes[at] > 100 ? 1 : 0;
  return drawn / (bytes.length / 4);
}"""
"""Returns the share of drawn pixels between two positions of a canvas (shares of its width)."""

LOUDNESS = """async (seconds) => {
  const output = document.querySelector("call-lanes").player.output;
  const tap = new AnalyserNode(output.context, { fftSize: 2048 });
  output.connect(tap);
  const samples = new Float32Array(2048), until = performance.now() + seconds * 1000;
  let most = 0;
  while (performance.now() < until) {
    tap.getFloatTimeDomainData(samples);
    most = Math.max(most, ...samples.map(Math.abs));
    await new Promise(requestAnimationFrame);
  }
  output.disconnect(tap);
  return most;
}"""
"""Returns the highest sample played during these seconds."""


@tag("browser")
class CallPage(BrowserTestCase):
    """A call of ten seconds: Alice is a tone with a gap from 4 to 6; Bob is silent until 7."""

    def setUp(self) -> None:
        super().setUp()
        self.call = make_call()
        self.alice = make_participant(self.call, ALICE)
        self.bob = make_participant(self.call, BOB)
        make_segment(self.alice, at=0.0, samples=tone(4.0))
        make_segment(self.alice, at=6.0, samples=tone(4.0))
        make_gap(self.alice, at=4.0, seconds=2.0)
        make_segment(self.bob, at=0.0, samples=np.zeros(7 * 16_000, np.int16))
        make_segment(self.bob, at=7.0, samples=noise(3.0, seed=7))

    def open(self, page: Page, fragment: str = "", call: Call | None = None) -> None:
        page.goto(reverse("call", args=[(call or self.call).pk]) + fragment)
        expect(page.locator("call-lanes[data-state=shown]")).to_be_attached()

    def lane(self, page: Page, participant: Participant) -> Any:
        return page.locator(f".lane[data-participant='{participant.pk}']")

    def drawn(self, page: Page, participant: Participant, start: float, end: float) -> float:
        """Returns the drawn share between two seconds while the whole call is visible."""
        share: float = (
            self.lane(page, participant).locator("canvas").evaluate(WAVE, [start / 10, end / 10])
        )
        return share

    def until_drawn(self, page: Page) -> None:
        """Waits until both lanes show speech: peaks arrive lane by lane."""
        for who, part in ((self.alice, [0.1, 0.2]), (self.bob, [0.8, 0.9])):
            lane = f".lane[data-participant='{who.pk}'] canvas"
            drawn = f"([lane, part]) => ({WAVE})(document.querySelector(lane), part) > 0.1"
            page.wait_for_function(drawn, arg=[lane, part])


@tag("browser")
class Timeline(CallPage):
    def test_it_shows_speech_silence_and_gaps(self) -> None:
        with self.window() as page:
            self.open(page)
            self.until_drawn(page)
            self.assertGreater(self.drawn(page, self.alice, 1, 3), 0.3)
            self.assertGreater(self.drawn(page, self.alice, 4.5, 5.5), 0.05)  # hatched
            self.assertLess(self.drawn(page, self.alice, 4.5, 5.5), 0.6)
            self.assertLess(self.drawn(page, self.bob, 1, 6), 0.03)  # a line
            self.assertGreater(self.drawn(page, self.bob, 8, 9), 0.5)
            self.assertIn("1 gap", self.lane(page, self.alice).inner_text())
            self.lane(page, self.alice).locator("canvas").hover(position={"x": 450, "y": 40})
            lane = self.lane(page, self.alice).locator("canvas")
            expect(lane).to_have_attribute("title", re.compile("not received, 2.00 s"))

    def test_zooming_in_fetches_finer_peaks(self) -> None:
        with self.window() as page:
            self.open(page, "#t=1")
            self.until_drawn(page)
            with page.expect_request(
                lambda request: "/peaks" in request.url and "start=" in request.url
            ):
                for _ in range(6):
                    page.locator("call-lanes").press("+")

    def test_nothing_scrolls_sideways_on_a_phone_in_either_theme(self) -> None:
        for scheme in ("light", "dark"):
            with self.window(viewport={"width": 390, "height": 844}, color_scheme=scheme) as page:
                self.open(page)
                self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.console, [])

    def test_a_live_call_grows_on_the_page(self) -> None:
        with self.window() as page:
            self.call.subscriptions.update(
                disconnected_at=None, seen_at=timezone.now() + timedelta(seconds=20)
            )
            self.open(page)
            expect(page.locator("[data-part=length]")).to_have_text("0:10.0")
            make_segment(self.bob, at=10.0, samples=noise(2.0, seed=8))
            expect(page.locator("[data-part=length]")).to_have_text("0:12.0")
            expect(page.locator("#call-facts")).to_contain_text("0:12 recorded")

    def test_marks_are_buttons_that_lead_to_their_moment(self) -> None:
        LedgerEntry.objects.create(
            call=self.call,
            kind="dtmf",
            started_at=START + timedelta(seconds=8),
            detail={"tone": "7"},
        )
        with self.window() as page:
            self.open(page)
            page.get_by_role("button", name="0:08.0 · DTMF 7 (keypad)").click()
            expect(page.locator("[data-part=offset]")).to_have_text("0:08.0")

    def test_a_failed_request_is_shown_and_can_be_retried(self) -> None:
        with self.window() as page:
            page.route("**/timeline", lambda route: route.fulfill(status=503))
            page.goto(reverse("call", args=[self.call.pk]))
            expect(page.locator("[data-part=news]")).to_contain_text("the server answered 503")
            page.unroute("**/timeline")
            page.get_by_role("button", name="Try again").click()
            expect(page.locator("call-lanes[data-state=shown]")).to_be_attached()
            self.until_drawn(page)


@tag("browser")
class Player(CallPage):
    def play(self, page: Page) -> None:
        page.get_by_role("button", name="Play", exact=True).click()
        page.wait_for_function("() => document.querySelector('call-lanes').player.at > 0.2")

    def test_it_plays_the_stored_audio_with_mute_and_solo(self) -> None:
        with self.window() as page:
            self.open(page)
            self.play(page)
            self.assertGreater(page.evaluate(LOUDNESS, 0.4), 0.2)  # Alice's tone
            self.lane(page, self.alice).get_by_role("button", name="Mute").click()
            page.wait_for_timeout(100)
            self.assertLess(page.evaluate(LOUDNESS, 0.4), 0.01)  # Bob is silent
            self.lane(page, self.alice).get_by_role("button", name="Mute").click()
            self.lane(page, self.bob).get_by_role("button", name="Solo").click()
            page.wait_for_timeout(100)
            self.assertLess(page.evaluate(LOUDNESS, 0.4), 0.01)
            page.locator("call-lanes").press("Space")
            expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
        self.assertEqual(self.console, [])

    def test_a_link_to_a_second_plays_from_there(self) -> None:
        with self.window() as page:
            self.open(page, "#t=7.5")
            expect(page.locator("[data-part=offset]")).to_have_text("0:07.5")
            page.get_by_role("button", name="Play", exact=True).click()
            page.wait_for_function("() => document.querySelector('call-lanes').player.at > 7.6")

    def test_the_range_downloaded_is_the_range_dragged(self) -> None:
        with self.window() as page:
            self.open(page)
            box = page.locator("[data-part=ruler]").bounding_box()
            assert box, "the ruler is visible"
            y = self.lane(page, self.bob).locator("canvas").bounding_box()["y"] + 20
            page.mouse.move(box["x"] + box["width"] * 0.72, y)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.8, y, steps=4)
            page.mouse.up()
            expect(page.locator("[data-part=range-text]")).to_contain_text("0:07.2")
            with page.expect_download() as downloading:
                page.get_by_role("link", name="Download range").click()
            link = page.locator("[data-part=range-download]").get_attribute("href")
            content = downloading.value.path().read_bytes()
        assert link, "the link has an address"
        start, end = (
            float(link.partition(f"{name}=")[2].partition("&")[0]) for name in ("start", "end")
        )
        samples, rate = soundfile.read(BytesIO(content), dtype="int16")
        first, last = round(start * rate), round(end * rate)
        alice, bob = (0, 1) if self.alice.pk < self.bob.pk else (1, 0)  # tracks are ordered by id
        np.testing.assert_array_equal(
            samples[:, bob], noise(3.0, seed=7)[first - 7 * rate : last - 7 * rate]
        )
        self.assertTrue(samples[:, alice].any())

    def test_a_link_may_be_written_in_minutes(self) -> None:
        with self.window() as page:
            self.open(page, "#t=0:07")
            expect(page.locator("[data-part=offset]")).to_have_text("0:07.0")

    def test_a_call_without_audio_cannot_be_played(self) -> None:
        call = make_call()
        make_participant(call)
        with self.window() as page:
            self.open(page, call=call)
            expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
            expect(page.locator(".lanes-empty")).to_be_visible()

    def test_a_range_is_a_mix_in_a_format_without_channels_for_all(self) -> None:
        make_segment(make_participant(self.call, "4:+4930123"), at=0.0, samples=tone(1.0))
        with self.window() as page:
            self.open(page, "#t=1,2")
            link = page.locator("[data-part=range-download]")
            expect(link).to_have_attribute("href", re.compile("layout=tracks"))
            page.get_by_label("Download format").select_option("mp3")
            expect(link).to_have_text("Download range as a mix")
            with page.expect_download() as downloading:
                link.click()
            self.assertTrue(downloading.value.suggested_filename.endswith(".mp3"))

    def test_a_viewer_without_permission_to_play_is_informed(self) -> None:
        self.operator.user_permissions.remove(
            *self.operator.user_permissions.filter(codename="hear_recording")
        )
        with self.window() as page:
            self.open(page)
            expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
            expect(page.locator(".lanes-why")).to_contain_text("but not play them")


@tag("browser")
class Details(CallPage):
    def test_an_id_is_copied_and_confirmed(self) -> None:
        with self.window(permissions=["clipboard-read", "clipboard-write"]) as page:
            self.open(page)
            page.get_by_role("button", name="Copy Call connection id").click()
            expect(page.get_by_role("button", name="Copy Call connection id")).to_have_text(
                "Copied"
            )
            self.assertEqual(
                page.evaluate("navigator.clipboard.readText()"), self.call.call_connection_id
            )

    def test_an_event_leads_to_its_moment(self) -> None:
        with self.window() as page:
            self.open(page)
            for _ in range(2):  # the second time, the address stays
                page.locator(".ledger a").first.scroll_into_view_if_needed()
                page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
                expect(page.locator(".lanes-overview")).not_to_be_in_viewport()
                page.locator(".ledger a").first.press("Enter")
                expect(page.locator("[data-part=offset]")).to_have_text("0:04.0")
                expect(page.locator(".lanes-overview")).to_be_in_viewport()
                expect(page.locator("call-lanes")).to_be_focused()
                page.locator("call-lanes").press("Home")

    def test_gaps_that_repeat_are_a_line_that_stays_open_while_the_call_goes_on(self) -> None:
        for number in range(6):
            make_gap(self.bob, at=0.5 + number / 2, seconds=0.07)
        with self.window() as page:
            self.open(page)
            self.until_drawn(page)
            # Their marks leave the lane free: a line of silence, and a strip at the edge.
            self.assertLess(self.drawn(page, self.bob, 0.4, 3.2), 0.1)
            fold = page.locator(".fold")
            expect(fold.locator("summary")).to_contain_text("6 gaps of about 0.07 s: not received")
            expect(fold.get_by_role("link")).to_have_count(0)  # closed
            fold.locator("summary").press("Enter")
            expect(fold.get_by_role("link")).to_have_count(6)
            make_gap(self.bob, at=3.7, seconds=0.07)
            page.locator("#call-stale button").evaluate("button => button.click()")  # refreshes
            expect(fold.locator("summary")).to_contain_text("7 gaps")
            expect(fold.locator("summary")).to_be_focused()
            fold.get_by_role("link").last.click()
            expect(page.locator("[data-part=offset]")).to_have_text("0:03.7")

    def test_times_are_local_with_utc_as_tooltip(self) -> None:
        with self.window(timezone_id="America/New_York") as page:
            self.open(page)
            time = page.locator(".call-sum time")
            expect(time).to_have_text("2026-03-02 04:30:00")
            expect(time).to_have_attribute("title", "2026-03-02 09:30:00 UTC")
