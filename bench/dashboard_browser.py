"""The dashboard in Chromium: frames, long tasks, script time, bytes and nodes, while it scrolls
over many live calls.

    python -m bench pages [--calls 400] [--seconds 20]

The server is real. This process publishes updates of the calls through Redis ten times a second, as
a recording process does, while a headless Chromium scrolls up and down. Without a graphics card
Chromium paints on the CPU, so there are fewer frames than on a desktop; compare script, layout and
long tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bench import cores
from bench.backends import Backends
from bench.installation import NAME, Installation, installed
from tests import machine
from tests.servers import Server

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WARM_UP_SECONDS = 8
REPEAT_SECONDS = 5
TICK_SECONDS = 0.1

SCROLL = """seconds => new Promise(done => {
  let frames = 0, long = 0, longest = 0, last = performance.now(), worst = 0;
  const watch = new PerformanceObserver(list => {
    for (const task of list.getEntries()) { long += 1; longest = Math.max(longest, task.duration); }
  });
  watch.observe({ entryTypes: ["longtask"] });
  const end = last + seconds * 1000;
  let down = 1;
  function frame(now) {
    frames += 1;
    worst = Math.max(worst, now - last);
    last = now;
    const bottom = document.documentElement.scrollHeight - innerHeight;
    if (scrollY >= bottom - 1) down = -1;
    if (scrollY <= 0) down = 1;
    scrollBy(0, 24 * down);
    if (now < end) return requestAnimationFrame(frame);
    watch.disconnect();
    done({
      frames: frames / seconds,
      long_tasks: long / seconds,
      longest_task_ms: longest,
      longest_frame_ms: worst,
    });
  }
  requestAnimationFrame(frame);
})"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=400, help="live calls of two participants")
    parser.add_argument("--seconds", type=int, default=20, help="of scrolling")


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    if backends.redis is None:
        print("needs Redis, because the updates come from another process")
        return {}
    os.sched_setaffinity(0, cores.ALL)
    with installed(backends.environment()) as installation:
        found = _measure(installation, args)
    for name, value in found.items():
        print(f"{name:28}{value:12,.1f}")
    return found


class Teller:
    """A fake recording process with `count` calls that publishes from its own thread; a context
    manager.
    """

    def __init__(self, count: int) -> None:
        self._chance = random.Random(1)
        self._over = threading.Event()
        started = datetime.now(UTC)
        self._calls = [
            _call(number, started - timedelta(seconds=7 * number)) for number in range(count)
        ]
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._tell()), name="teller", daemon=True
        )

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _tell(self) -> None:
        from calls.live import channel  # needs Django set up

        number, due = 0, time.monotonic()
        while not self._over.is_set():
            news: Any = {"process": "bench", "number": number, "levels": self._levels(number)}
            if number % round(REPEAT_SECONDS / TICK_SECONDS) == 0:
                news["calls"] = self._calls
            await channel.publish(news)
            number, due = number + 1, due + TICK_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _levels(self, tick: int) -> dict[str, list[float]]:
        """One of two participants speaks for some seconds, then the other; the listening one sends
        the noise of a quiet line.
        """
        levels = {}
        for place, call in enumerate(self._calls):
            for turn, participant in enumerate(call["participants"]):
                speaks = (tick // 40 + place + turn) % 2
                rms = round(
                    self._chance.uniform(-34, -14) if speaks else self._chance.uniform(-78, -64), 1
                )
                levels[participant["id"]] = [
                    rms,
                    min(0.0, round(rms + self._chance.uniform(4, 12), 1)),
                ]
        return levels


def _call(number: int, started: datetime) -> dict[str, Any]:
    raw_ids = (f"4:+4930{number:07d}", f"8:acs:7f3b_{number:06x}")
    return {
        "id": str(UUID(int=number + 1)),
        "call_connection_id": str(UUID(int=number * 7919 + 5)),
        "correlation_id": "",
        "state": "live",
        "started_at": started.isoformat().replace("+00:00", "Z"),
        "ended_at": None,
        "audio_started_at": None,
        "duration_seconds": 0.0,
        "participants": [
            {
                "id": str(UUID(int=(number + 1) * 100_000_007 + place)),
                "raw_id": raw_id,
                "kind": ("phone", "acs")[place],
                "display_name": "",
                "label": raw_id,
                "recorded_seconds": 0.0,
                "gap_seconds": 0.0,
            }
            for place, raw_id in enumerate(raw_ids)
        ],
        "subscriptions": [],
    }


def _measure(installation: Installation, args: argparse.Namespace) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        environment = {
            **installation.environment,
            "SECRET_KEY": os.environ["SECRET_KEY"],
        }  # it signs the session
        server = stack.enter_context(
            Server("uvicorn", environment=environment, data_dir=installation.data_dir)
        )
        session = session_key()
        stack.enter_context(Teller(args.calls))
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=machine.chromium(), args=FLAGS)
        stack.callback(browser.close)
        context = browser.new_context(base_url=server.url, viewport={"width": 1440, "height": 900})
        context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
        return _watch(context.new_page(), args)


def _watch(page: Any, args: argparse.Namespace) -> dict[str, float]:
    received = [0, 0]  # bytes, messages

    def count(payload: str | bytes) -> None:
        received[0] += len(payload)
        received[1] += 1

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    page.goto("/")
    page.locator("[data-call]").nth(args.calls - 1).wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(WARM_UP_SECONDS * 1000)
    cdp = page.context.new_cdp_session(page)
    # CPU time, because the machine may be shared
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    before, (bytes_before, messages_before), started = _metrics(cdp), received, time.monotonic()
    scrolled = page.evaluate(SCROLL, args.seconds)
    after, seconds = _metrics(cdp), time.monotonic() - started
    share = {name: 1000 * (after[name] - before[name]) / seconds for name in _DURATIONS}
    messages = (received[1] - messages_before) / seconds  # at least 10, or the machine was too busy
    return {
        "frames a second": scrolled["frames"],
        "longest frame, ms": scrolled["longest_frame_ms"],
        "long tasks a second": scrolled["long_tasks"],
        "longest task, ms": scrolled["longest_task_ms"],
        "script, ms a second": share["ScriptDuration"],
        "style, ms a second": share["RecalcStyleDuration"],
        "layout, ms a second": share["LayoutDuration"],
        "all tasks, ms a second": share["TaskDuration"],
        "socket, bytes a second": (received[0] - bytes_before) / seconds,
        "messages a second": messages,
        "nodes": after["Nodes"],
        "heap, MB": after["JSHeapUsedSize"] / 1e6,
    }


_DURATIONS = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration", "TaskDuration")


def _metrics(cdp: Any) -> dict[str, float]:
    return {each["name"]: each["value"] for each in cdp.send("Performance.getMetrics")["metrics"]}


def session_key() -> str:
    """Returns the session key of the benchmark's user."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username=NAME))
    return client.cookies["sessionid"].value
