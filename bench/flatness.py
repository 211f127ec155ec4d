"""Scaling of cost with more calls, with more dashboards, and over time."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

from bench.backends import Backends
from bench.capacity import measure
from bench.step import SAMPLE_SECONDS, Moment, Step
from bench.subjects import subject
from bench.table import STEP_HEAD, number, spaced, step_line, table

ROWS = ("ours-uvicorn", "ours-daphne")
BYTES_A_CALL_SECOND = 64_000
"""Two voices of random samples, which FLAC hardly compresses."""
PACKETS_A_CALL_SECOND = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS[:1]), help="default: ours-uvicorn"
    )
    parser.add_argument(
        "--calls", nargs="*", type=int, default=[1, 10, 50, 100, 200], help="(1 10 50 100 200)"
    )
    parser.add_argument(
        "--dashboards", nargs="*", type=int, default=[1, 10, 100], help="(1 10 100)"
    )
    parser.add_argument(
        "--at",
        type=int,
        default=100,
        help="calls for dashboards and minutes: 80%% of capacity (100)",
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="measured per step (30)")
    parser.add_argument(
        "--minutes", type=int, default=0, help="length of the long run; 0 omits it (0)"
    )


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    """Prints every step and the course of the long run; returns both."""
    found: dict[str, Any] = {"calls": [], "dashboards": [], "course": {}}
    for row in args.rows:
        print(spaced(STEP_HEAD), flush=True)
        for calls in args.calls:
            found["calls"].append(measure(row, backends, calls, args.seconds).as_json())
        for dashboards in args.dashboards:
            print(f"with {dashboards} dashboards:", flush=True)
            figures = measure(row, backends, args.at, args.seconds, dashboards=dashboards)
            found["dashboards"].append({**figures.as_json(), "dashboards": dashboards})
        if args.minutes:
            found["course"][row] = long_run(row, backends, args.at, args.minutes)
    return found


def long_run(row: str, backends: Backends, calls: int, minutes: int) -> dict[str, Any]:
    """Runs one step of many minutes; returns the cost of each."""
    insist_on_room(calls, minutes)
    with subject(row, backends) as measured:
        step = Step(measured, backends)
        figures = asyncio.run(step.run(calls, minutes * 60.0))
    print(step_line(figures))
    course = by_minute(step.moments, calls)
    lines = [
        [str(one["minute"]), number(one["cpu_us"], 1), number(one["resident_mb"], 1)]
        for one in course
    ]
    print("", table(("minute", "CPU µs a packet", "memory MB"), lines), sep="\n", flush=True)
    return {"figures": figures.as_json(), "course": course}


def by_minute(moments: Sequence[Moment], calls: int) -> list[dict[str, float]]:
    """Returns CPU per packet in each whole minute, and the memory at its end."""
    course: list[dict[str, float]] = []
    first = moments[0]
    for moment in moments[1:]:
        elapsed = moment.at - first.at
        if elapsed >= 60.0 - SAMPLE_SECONDS / 2:
            cpu = moment.ours.cpu_seconds - first.ours.cpu_seconds
            cpu_us = cpu / (elapsed * calls * PACKETS_A_CALL_SECOND) * 1e6
            resident_mb = moment.ours.resident_bytes / 1e6
            course.append({"minute": len(course) + 1, "cpu_us": cpu_us, "resident_mb": resident_mb})
            first = moment
    return course


def insist_on_room(calls: int, minutes: int) -> None:
    """Exits unless the disk can hold the recordings of the whole run."""
    needed = calls * (minutes * 60 + 60) * BYTES_A_CALL_SECOND
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if needed > 0.8 * free:
        raise SystemExit(
            f"{calls} calls for {minutes} minutes need {needed / 1e9:.0f} GB, but only "
            f"{free / 1e9:.0f} GB are free; set TMPDIR to a folder on another disk"
        )
