"""Listening in with a real Chromium: a tone that is being recorded is heard, soon, and stops being heard."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from calls.models import LedgerEntry
from streams.recorder import Recorder
from streams.simulator import wire
from tests.browser.server import BrowserTestCase
from tests.calls.rows import make_call, make_participant, make_subscription, tone
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
"""Whether this tone is in what goes to the loudspeakers."""


class ListeningIn(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = Path(self.enterContext(TemporaryDirectory()))
        self.recorder = Recorder(folder, segment_seconds=60, fsync_seconds=1, grace_seconds=0)
        self.recorder.start()
        self.call = make_call("connection", started_at=timezone.now())
        make_subscription(self.call, disconnected_at=None, seen_at=timezone.now(), close_code=None)
        self.alice, self.bob = make_participant(self.call, ALICE), make_participant(self.call, BOB)
        self.is_over = False
        speaking = self.server.run(self.speak())
        self.addCleanup(lambda: speaking.result(timeout=20))
        self.addCleanup(setattr, self, "is_over", True)

    async def speak(self) -> None:
        """Both speak at the pace of the clock, a packet each every 20 ms, until the test is over."""
        stream = self.recorder.open("connection", "")
        stream.receive(metadata())
        began, number = time.monotonic(), 0
        began_us = time.time_ns() // 1000
        while not self.is_over:
            for raw_id, samples in TONES.items():
                pcm = samples[number % 50 * 320 :][:320].tobytes()
                stream.receive(wire.audio_data(began_us + number * 20_000, raw_id, pcm, silent=False))
            number += 1
            await asyncio.sleep(began + number * 0.02 - time.monotonic())
        await self.recorder.aclose()

    def hears(self, page: Page, hertz: int) -> None:
        wait_until(lambda: page.evaluate(HEARS, hertz), what=lambda: f"{hertz} Hz is heard")

    def hears_no_more(self, page: Page, hertz: int) -> None:
        wait_until(lambda: not page.evaluate(HEARS, hertz), what=lambda: f"{hertz} Hz is not heard")

    def test_everybody_is_heard_within_a_second_and_one_alone_where_wanted(self) -> None:
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
