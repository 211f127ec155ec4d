"""The largest number of calls that each row takes with nothing lost, nothing late, and sealing kept
up with.
"""

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
    *("row", "calls", "CPU µs a packet", "database µs", "memory kB a call"),
    *("lag p50 ms", "lag p99 ms", "levels p95 ms"),
)
FIRST = {
    "tutorial-daphne": 16,
    "ours-daphne": 60,
    "ours-uvicorn": 120,
    "bare-uvicorn": 200,
    "raw-sockets": 400,
}
"""Where each search begins, unless told otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="which; default: all"
    )
    parser.add_argument("--from", dest="first", type=int, help="calls of the first step")
    parser.add_argument(
        "--step", type=int, default=10, help="how exact the answer is, in calls (10)"
    )
    parser.add_argument("--most", type=int, default=600, help="more calls are not tried (600)")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured, of each step (30)")
    parser.add_argument(
        "--rounds", type=int, default=2, help="each row is measured so often, in turn (2)"
    )
    parser.add_argument("--dashboards", type=int, default=1, help="open while it is measured (1)")


def run(wanted: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    """Prints every step, then the table; returns both."""
    print(spaced(STEP_HEAD))
    steps: list[Figures] = []
    best: list[tuple[Figures, bool]] = []
    for _round in range(wanted.rounds):
        for row in wanted.rows:
            found, is_bound, tried = search(row, wanted, backends)
            steps += tried
            if found:
                best.append((found, is_bound))
    print("", table(HEAD, [line(figures, is_bound=bound) for figures, bound in best]), "", sep="\n")
    return {
        "steps": [figures.as_json() for figures in steps],
        "best": [figures.as_json() for figures, _ in best],
    }


def search(
    row: str, wanted: argparse.Namespace, backends: Backends
) -> tuple[Figures | None, bool, list[Figures]]:
    """The best step that held, whether more might hold, and all that were tried."""
    looking = Search(wanted.first or FIRST[row], wanted.step, wanted.most)
    tried: list[Figures] = []
    while looking.calls is not None:
        figures = measure(
            row, backends, looking.calls, wanted.seconds, dashboards=wanted.dashboards
        )
        if not figures.is_valid:  # the machine was busy with something else, perhaps only once
            figures = measure(
                row, backends, looking.calls, wanted.seconds, dashboards=wanted.dashboards
            )
        tried.append(figures)
        looking.note(held=figures.is_valid and not figures.faults())
    held = [figures for figures in tried if figures.is_valid and not figures.faults()]
    is_bound = looking.is_bound or not all(figures.is_valid for figures in tried)
    return max(held, key=lambda figures: figures.calls, default=None), is_bound, tried


def measure(
    row: str, backends: Backends, calls: int, seconds: float, *, dashboards: int = 1
) -> Figures:
    """One step on a fresh server, printed."""
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
