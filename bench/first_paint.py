"""Every page in Chromium with a cold cache: bytes, requests, first paint, queries; and panning over
a call of four hours.

    python -m bench paint [--rounds 5] [--hours 4]

Each round uses a new browser context, so nothing is cached. The real server is on this host, so
network time is not included. Without a graphics card Chromium paints on the CPU.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench import cores, recordings
from bench.backends import Backends
from bench.dashboard_browser import FLAGS, Teller, session_key
from bench.installation import NAME, Installation, installed
from tests import machine
from tests.servers import Server

VOICES = ("4:+4915012345678", "8:acs:resource_user", "8:orgid:colleague", "4:+4930555010")
LIVE_CALLS = 12
LISTED_CALLS = 60
PAN_SECONDS = 5

PAINTED = """() => {
  const all = ["resource", "navigation"].flatMap(type => performance.getEntriesByType(type));
  const first = performance.getEntriesByName("first-contentful-paint")[0];
  return {
    requests: all.length,
    kilobytes: all.reduce((sum, each) => sum + each.transferSize, 0) / 1000,
    paint: first ? first.startTime : null,
    ready: performance.now(),
  };
}"""

HAS_PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"

PAN = """seconds => new Promise(done => {
  const lanes = document.querySelector("call-lanes"), stage = lanes.querySelector("canvas");
  const plus = () => new KeyboardEvent("keydown", { key: "+", bubbles: true });
  const nearer = () => lanes.dispatchEvent(plus());
  for (let step = 0; step < 6; step += 1) nearer();
  let frames = 0, long = 0, longest = 0, last = performance.now();
  const watch = new PerformanceObserver(list => {
    for (const task of list.getEntries()) { long += 1; longest = Math.max(longest, task.duration); }
  });
  watch.observe({ entryTypes: ["longtask"] });
  const end = last + seconds * 1000;
  function frame(now) {
    frames += 1;
    stage.dispatchEvent(new WheelEvent("wheel", { deltaX: 12, bubbles: true, cancelable: true }));
    if (now < end) return requestAnimationFrame(frame);
    watch.disconnect();
    done({ frames: frames / seconds, long_tasks: long, longest });
  }
  requestAnimationFrame(frame);
})"""


@dataclass(frozen=True)
class View:
    """One page; `ready` is a JavaScript condition for its content being shown."""

    name: str
    path: str
    ready: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--hours", type=float, default=4, help="length of the long call, with four tracks"
    )


def run(args: argparse.Namespace, backends: Backends) -> list[dict[str, Any]]:
    os.sched_setaffinity(0, cores.ALL)
    with installed(backends.environment()) as installation:
        call_id = recordings.make_call(round(args.hours * 3600), VOICES)
        for _ in range(LISTED_CALLS):
            recordings.make_call(10, VOICES[:2])
        return _measure(
            installation, args, list(views_of(call_id)), has_redis=backends.redis is not None
        )


def views_of(call_id: Any) -> Iterator[View]:
    yield View("login", "/login/", "#id_password")
    yield View("dashboard", "/", "[data-connection=live]")
    yield View("calls", "/calls/", "[data-part=rows]")
    yield View("one call", f"/calls/{call_id}/", "call-lanes[data-state=shown]")
    yield View("admin", "/admin/", "#content-main")
    yield View("admin, calls", "/admin/calls/call/", "#result_list")
    yield View("admin, overview", "/admin/overview/", ".calls-overview")


def _measure(
    installation: Installation, args: argparse.Namespace, views: list[View], *, has_redis: bool
) -> list[dict[str, Any]]:
    from playwright.sync_api import sync_playwright

    # before Playwright's loop runs here
    found: list[dict[str, Any]] = [{"page": view.name, "queries": _queries(view)} for view in views]
    session = session_key()
    with ExitStack() as stack:
        server = stack.enter_context(_server(installation))
        stack.enter_context(Teller(LIVE_CALLS) if has_redis else nullcontext())
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=machine.chromium(), args=FLAGS)
        stack.callback(browser.close)
        print(HEAD)
        for row, view in zip(found, views, strict=True):
            rounds = [_round(browser, server, session, view) for _ in range(args.rounds)]
            row.update(middle_of(rounds))
            print(ROW.format(**row), flush=True)
        call = next(view for view in views if view.name == "one call")
        panned = _panned(browser, server, session, call)
    print(PANNED.format(**panned))
    return [*found, {"page": "one call, moved along", **panned}]


def _server(installation: Installation) -> Server:
    # the same key signs the session
    environment = {**installation.environment, "SECRET_KEY": os.environ["SECRET_KEY"]}
    return Server("uvicorn", environment=environment, data_dir=installation.data_dir)


HEAD = "page                queries  requests      kB  first paint ms  ready ms"
ROW = "{page:18}{queries:9}{requests:10.0f}{kilobytes:8.0f}{paint:16.0f}{ready:10.0f}"
PANNED = "panning: {frames:.1f} frames/s, {long_tasks} long tasks, the longest {longest} ms"


def middle_of(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def _round(browser: Any, server: Server, session: str, view: View) -> dict[str, float]:
    page = _page(browser, server, "" if view.name == "login" else session)
    page.goto(view.path)
    page.locator(view.ready).first.wait_for(state="attached")
    page.wait_for_function(HAS_PAINTED)  # content may be painted a frame later
    painted: dict[str, float] = page.evaluate(PAINTED)
    page.context.close()
    return painted


def _panned(browser: Any, server: Server, session: str, view: View) -> dict[str, float]:
    page = _page(browser, server, session)
    page.goto(view.path)
    page.locator(view.ready).wait_for(state="attached")
    panned: dict[str, float] = page.evaluate(PAN, PAN_SECONDS)
    page.context.close()
    return panned


def _page(browser: Any, server: Server, session: str) -> Any:
    context = browser.new_context(base_url=server.url, viewport={"width": 1440, "height": 900})
    if session:
        context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    return context.new_page()


def _queries(view: View) -> int:
    """Returns the queries of the second request, without one-time queries of a process."""
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client()
    if view.name != "login":
        client.force_login(User.objects.get(username=NAME))
    client.get(view.path)
    with CaptureQueriesContext(connection) as captured:
        client.get(view.path)
    return len(captured)
