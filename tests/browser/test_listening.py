"""Listening in with a real Chromium: tones that are being recorded are played, with mute."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from calls.models import Call, LedgerEntry, Subscription
from streams.acs.messages import ACS
from streams.recorder import Recorder
from streams.simulator import wire
from tests.browser.server import BrowserTestCase
from tests.calls.rows import START, make_call, make_participant, make_subscription, tone
from tests.streams.streams import ALICE, BOB, metadata
from tests.waiting import wait_until

HERTZ, OTHER_HERTZ = 1_000, 3_000
TONES = {ALICE: tone(1.0, HERTZ), BOB: tone(1.0, OTHER_HERTZ)}

HEARS = """async (hertz) => {
  const output = document.querySelector("listen-in").output;
  if (!output) return false;
  const tap = new AnalyserNode(output.context, { fftSize: 4096, smoothingTimeConstant: 0 });
  output.connect(tap);
  await new Promise((done) => setTimeout(done, 200));
  const levels = new Float32Array(tap.frequencyBinCount);
  tap.getFloatFrequencyData(levels);
  output.disconnect(tap);
  const place = Math.round((hertz / output.context.sampleRate) * tap.fftSize);
  return Math.max(...levels.slice(place - 2, place + 3)) > -40;
}"""
"""Returns whether the audio output contains this tone."""

RECORD_TEXTS = """() => {
  const state = document.querySelector("listen-in [data-part=state]");
  window.texts = [];
  const keep = () => window.texts.push(state.textContent);
  new MutationObserver(keep).observe(state, { childList: true });
}"""
"""Records every text of the bar, however short."""


class SpokenCallsTestCase(BrowserTestCase):
    """Live calls in which each participant is a tone, recorded in the process of the server."""

    spoken: ClassVar = {"connection": TONES}

    def setUp(self) -> None:
        super().setUp()
        folder = Path(self.enterContext(TemporaryDirectory()))
        self.recorder = Recorder(folder, segment_seconds=60, fsync_seconds=1, grace_seconds=0)
        self.recorder.start()
        self.calls = {
            connection: self.live_call(connection, *tones)
            for connection, tones in self.spoken.items()
        }
        self.is_over = False
        speaking = self.server.run(self.speak())
        self.addCleanup(lambda: speaking.result(timeout=20))
        self.addCleanup(setattr, self, "is_over", True)

    def live_call(self, connection: str, *raw_ids: str) -> Call:
        call = make_call(connection, started_at=timezone.now())
        make_subscription(call, disconnected_at=None, seen_at=timezone.now(), close_code=None)
        for raw_id in raw_ids:
            make_participant(call, raw_id)
        return call

    async def speak(self) -> None:
        """Sends a packet per participant every 20 ms, in real time, until the test ends."""
        streams = {
            connection: self.recorder.open(connection, "", ACS) for connection in self.spoken
        }
        for stream in streams.values():
            stream.receive(metadata())
        began, number = time.monotonic(), 0
        began_us = time.time_ns() // 1000
        while not self.is_over:
            for connection, tones in self.spoken.items():
                for raw_id, samples in tones.items():
                    pcm = samples[number % 50 * 320 :][:320].tobytes()
                    packet = wire.audio_data(began_us + number * 20_000, raw_id, pcm, silent=False)
                    streams[connection].receive(packet)
            number += 1
            await asyncio.sleep(began + number * 0.02 - time.monotonic())
        await self.recorder.aclose()

    def hears(self, page: Page, hertz: int) -> None:
        wait_until(lambda: page.evaluate(HEARS, hertz), what=lambda: f"{hertz} Hz is heard")

    def hears_no_more(self, page: Page, hertz: int) -> None:
        wait_until(lambda: not page.evaluate(HEARS, hertz), what=lambda: f"{hertz} Hz is not heard")


class ListeningIn(SpokenCallsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call = self.calls["connection"]
        self.bob = self.call.participants.get(raw_id=BOB)

    def shows(self, page: Page, text: str) -> None:
        wait_until(
            lambda: text in page.evaluate("window.texts"), what=lambda: f"the bar shows: {text}"
        )

    def test_it_reconnects_and_keeps_mute(self) -> None:
        with self.window() as page:
            page.goto(reverse("call", args=[self.call.pk]))
            page.get_by_role("button", name="Listen in").click()
            self.hears(page, HERTZ)
            page.locator(f"[data-voice='{self.bob.pk}'] [data-do=mute]").click()
            self.hears_no_more(page, OTHER_HERTZ)
            page.evaluate(RECORD_TEXTS)
            self.server.abort_connections()
            self.shows(page, "Connection lost. Reconnecting…")
            expect(page.locator("listen-in")).to_have_attribute("data-state", "on")
            self.hears(page, HERTZ)
            self.hears_no_more(page, OTHER_HERTZ)
            expect(page.locator("[data-voice]")).to_have_count(2)
        self.assertEqual(LedgerEntry.objects.filter(call=self.call, kind="listening").count(), 2)

    def test_the_end_of_the_call_is_final_and_shown(self) -> None:
        with self.window() as page:
            page.goto(reverse("call", args=[self.call.pk]))
            page.get_by_role("button", name="Listen in").click()
            self.hears(page, HERTZ)
            over = {"connected_at": START, "disconnected_at": START, "seen_at": START}
            Subscription.objects.update(**over, close_code=1000)
            expect(page.locator("listen-in [data-part=state]")).to_have_text(
                "The call has ended.", timeout=15_000
            )
            page.evaluate(RECORD_TEXTS)
            page.get_by_role(
                "button", name="Listen in"
            ).click()  # refused; the page asks REST for the reason
            self.shows(page, "The call has ended.")

    def test_all_are_played_within_a_second_and_can_be_muted(self) -> None:
        with self.window() as page:
            page.goto(reverse("call", args=[self.call.pk]))
            page.get_by_role("button", name="Listen in").click()
            self.hears(page, HERTZ)
            self.hears(page, OTHER_HERTZ)
            expect(page.locator("listen-in")).to_have_attribute("data-delay", re.compile(r"\d"))
            delay = float(page.locator("listen-in").get_attribute("data-delay") or "9")
            self.assertLess(delay, 1.0)
            page.locator(f"[data-voice='{self.bob.pk}'] [data-do=mute]").click()
            self.hears_no_more(page, OTHER_HERTZ)
            self.hears(page, HERTZ)
            page.get_by_role("button", name="Stop listening").click()
            expect(page.locator("listen-in")).to_have_attribute("data-state", "off")
        entry = LedgerEntry.objects.get(call=self.call, kind="listening")
        self.assertEqual(entry.detail, {"user": self.operator.username})
        self.assertEqual(self.console, [])
