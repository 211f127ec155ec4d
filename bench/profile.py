"""Profile of the time: CPU per packet in server, decoder, journal, meter, board and sealer, for
each server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from typing import Any

from bench.backends import Backends
from bench.figures import Figures
from bench.load import Load
from bench.step import Step
from bench.subjects import OursProfiled
from bench.table import number, table

SERVERS = {"ours-uvicorn": "uvicorn", "ours-daphne": "daphne"}
PARTS = ("server", "decode", "stream", "journal", "meter", "board", "dashboards")
WRITE_TRIES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=list(SERVERS),
        default=list(SERVERS),
        help="which; default: both",
    )
    parser.add_argument("--calls", type=int, default=100, help="(100)")
    parser.add_argument("--seconds", type=float, default=30.0, help="(30)")


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    """Prints one column per server; returns µs per packet by part."""
    found = {row: profile(row, backends, args.calls, args.seconds) for row in args.rows}
    parts = dict.fromkeys([*PARTS, *(part for one in found.values() for part in one)])
    lines = [[part, *(number(one.get(part), 1) for one in found.values())] for part in parts]
    print(table((f"µs a packet, {args.calls} calls", *found), lines))
    return found


def profile(row: str, backends: Backends, calls: int, seconds: float) -> dict[str, float]:
    """Returns µs per packet by part; `all` is the total of all server processes from /proc."""
    with OursProfiled(row, backends, SERVERS[row]) as subject:
        step = ProfiledStep(subject, backends)
        figures = asyncio.run(step.run(calls, seconds))
    return parts_of(step.found, figures, step.children_seconds)


def parts_of(
    samples: dict[str, Any], figures: Figures, children_seconds: float
) -> dict[str, float]:
    """Converts the sampler's results to µs per packet."""
    per_packet = 1e6 / figures.packets_measured
    main_thread = {part: seconds * per_packet for part, seconds in samples["rooms"].items()}
    threads = {
        f"thread {name}": seconds * per_packet for name, seconds in samples["threads"].items()
    }
    parts = {**main_thread, **{name: us for name, us in threads.items() if us >= 0.05}}
    if children_seconds:
        parts["child processes"] = children_seconds * per_packet
    return {**parts, "sum": sum(parts.values()), "all, by /proc": figures.cpu_us}


class ProfiledStep(Step):
    """A step with samples taken during the window."""

    found: dict[str, Any]
    children_seconds = 0.0

    async def _sample(self, load: Load) -> None:
        subject = self._subject
        assert isinstance(subject, OursProfiled), "the subject has a sampler"
        [pid] = subject.pids
        os.kill(pid, signal.SIGUSR1)
        await super()._sample(load)
        os.kill(pid, signal.SIGUSR2)
        first, last = self.moments[0], self.moments[-1]
        self.children_seconds = last.ours.children_seconds - first.ours.children_seconds
        for _try in range(WRITE_TRIES):
            if subject.profile.exists():
                break
            await asyncio.sleep(0.05)
        self.found = json.loads(subject.profile.read_text())
