"""Openings of the live socket while calls go on: each must begin with a complete snapshot.

    python -m bench openings [--calls 30] [--openings 100]

The server and the recording are real: `manage.py simulate` sends the calls. Each opening is read up
to its first snapshot. It is incomplete if another message comes before, or if the snapshot lacks a
call or a participant; the dashboard would show it in pieces, or as ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bench import cores
from bench.backends import Backends
from bench.dashboard_browser import session_key
from bench.installation import Installation, installed
from tests.servers import ROOT, Server

PARTICIPANTS = 2
"""Per call, as `manage.py simulate` sends them."""
READY_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=30, help="live calls of two participants")
    parser.add_argument("--openings", type=int, default=100, help="of the live socket")


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    os.sched_setaffinity(0, cores.ALL)
    with installed(backends.environment()) as installation:
        found = _measure(installation, args)
    print(
        "{openings} openings under {calls} calls: {incomplete} incomplete; first message after "
        "{median_ms:.0f} ms (median), {p95_ms:.0f} ms (p95)".format(**found)
    )
    return found


def _measure(installation: Installation, args: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        environment = {
            **installation.environment,
            "SECRET_KEY": os.environ["SECRET_KEY"],  # it signs the session
        }
        server = stack.enter_context(
            Server("uvicorn", environment=environment, data_dir=installation.data_dir)
        )
        session = session_key()
        stack.enter_context(_calls(server, args.calls))
        _wait_for_calls(server, session, args.calls)
        times, faults = [], []
        for number in range(args.openings):
            seconds, fault = _opening(server, session, args.calls)
            times.append(1000 * seconds)
            if fault:
                faults.append(fault)
                print(f"opening {number + 1}: {fault}")
    return {
        "calls": args.calls,
        "openings": args.openings,
        "incomplete": len(faults),
        "median_ms": median(times),
        "p95_ms": quantiles(times, n=20)[-1],
    }


@contextmanager
def _calls(server: Server, count: int) -> Iterator[None]:
    """Sends calls until the block ends."""
    simulator = subprocess.Popen(
        [
            *(sys.executable, "manage.py", "simulate", "--url", server.media_url, "--token", ""),
            *("--calls", str(count), "--seconds", "3600", "--quiet"),
        ],
        cwd=ROOT,
    )
    try:
        yield
    finally:
        simulator.kill()
        simulator.wait()


def _wait_for_calls(server: Server, session: str, count: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while _opening(server, session, count)[1]:
        assert time.monotonic() < until, "all calls are live with both participants"
        time.sleep(0.5)


def _opening(server: Server, session: str, count: int) -> tuple[float, str]:
    """Returns the seconds to the first message, and what is wrong with it ("": nothing)."""
    began = time.monotonic()
    with _socket(server, session) as socket:
        message = json.loads(socket.recv(timeout=10))
    seconds = time.monotonic() - began
    if message["type"] != "snapshot":
        return seconds, f"began with {message['type']}"
    complete = [call for call in message["calls"] if len(call["participants"]) == PARTICIPANTS]
    if len(complete) != count or len(message["calls"]) != count:
        return seconds, f"{len(message['calls'])} calls, {len(complete)} of them complete"
    return seconds, ""


def _socket(server: Server, session: str) -> ClientConnection:
    headers = {"Cookie": f"sessionid={session}", "Origin": server.url}
    return connect(f"{server.ws_url}/ws/live", additional_headers=headers, max_size=None)
