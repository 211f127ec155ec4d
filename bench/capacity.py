"""The largest number of calls per row with no loss, no delay, and sealing that keeps up."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench.backends import Backends
from bench.figures import Figures
from bench.search import Search
from bench.step import Step
from bench.subjects import ROWS, subject
from bench.table import STEP_HEAD, number, spaced, step_line, table

HEAD = (
    *("row", "calls", "CPU µs/packet", "database µs", "memory kB/call"),
    *("lag p50 ms", "lag p99 ms", "levels p95 ms"),
)
FIRST = {
    "tutorial-daphne": 16,
    "ours-daphne": 60,
    "ours-uvicorn": 120,
    "bare-uvicorn": 200,
    "raw-sockets": 400,
}
"""Calls at which each search starts by default."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="which; default: all"
    )
    parser.add_argument("--from", dest="first", type=int, help="calls of the first step")
    parser.add_argument(
        "--step", type=int, default=10, help="precision of the result, in calls (10)"
    )
    parser.add_argument("--most", type=int, default=600, help="upper limit of calls (600)")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured per step (30)")
    parser.add_argument(
        "--rounds", type=int, default=2, help="measurements per row, alternating (2)"
    )
    parser.add_argument("--dashboards", type=int, default=1, help="open while measuring (1)")


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    """Prints every step, then the table; returns both."""
    print(spaced(STEP_HEAD))
    steps: list[Figures] = []
    best: list[tuple[Figures, bool]] = []
    for _round in range(args.rounds):
        for row in args.rows:
            found, is_bound, tried = search(row, args, backends)
            steps += tried
            if found:
                best.append((found, is_bound))
    print("", table(HEAD, [line(figures, is_bound=bound) for figures, bound in best]), "", sep="\n")
    return {
        "steps": [figures.as_json() for figures in steps],
        "best": [figures.as_json() for figures, _ in best],
    }


def search(
    row: str, args: argparse.Namespace, backends: Backends
) -> tuple[Figures | None, bool, list[Figures]]:
    """Returns the best step that held, whether more might hold, and all steps tried."""
    looking = Search(args.first or FIRST[row], args.step, args.most)
    tried: list[Figures] = []
    while looking.calls is not None:
        figures = measure(row, backends, looking.calls, args.seconds, dashboards=args.dashboards)
        if not figures.is_valid:  # the machine may have been busy with something else
            figures = measure(
                row, backends, looking.calls, args.seconds, dashboards=args.dashboards
            )
        tried.append(figures)
        looking.note(held=figures.is_valid and not figures.faults())
    held = [figures for figures in tried if figures.is_valid and not figures.faults()]
    is_bound = looking.is_bound or not all(figures.is_valid for figures in tried)
    return max(held, key=lambda figures: figures.calls, default=None), is_bound, tried


def measure(
    row: str, backends: Backends, calls: int, seconds: float, *, dashboards: int = 1
) -> Figures:
    """Measures one step on a fresh server and prints it."""
    with subject(row, backends) as measured:
        figures = asyncio.run(Step(measured, backends, dashboards=dashboards).run(calls, seconds))
    print(step_line(figures), flush=True)
    return figures


def line(figures: Figures, *, is_bound: bool) -> tuple[str, ...]:
    """`is_bound`: the generator or `--most` ended the search, not the server."""
    return (
        ROWS[figures.row],
        f"{'≥ ' if is_bound else ''}{figures.calls}",
        number(figures.cpu_us, 1),
        number(figures.database_cpu_us, 1),
        number(figures.memory_kb_per_call),
        number(figures.lag_p50_ms, 1),
        number(figures.lag_p99_ms, 1),
        number(figures.levels_p95_ms),
    )
