"""Two ingest processes compared with one, at the same load: the cost of sharing database, spool and
channel layer.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import cores
from bench.backends import Backends
from bench.figures import Figures
from bench.profile import SERVERS
from bench.step import Step
from bench.subjects import Ours
from bench.table import STEP_HEAD, number, spaced, step_line, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", nargs="+", choices=list(SERVERS), default=["ours-uvicorn"], help="(ours-uvicorn)"
    )
    parser.add_argument("--calls", type=int, default=100, help="total of all processes (100)")
    parser.add_argument("--seconds", type=float, default=30.0, help="(30)")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2], help="(1 2)")


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    """Prints CPU per packet for each number of processes, and its ratio to the first."""
    print(spaced(STEP_HEAD))
    found: dict[str, Any] = {}
    for row in args.rows:
        steps = {count: measure(row, backends, count, args) for count in args.processes}
        first = next(iter(steps.values())).cpu_us
        lines = [
            (str(count), number(step.cpu_us, 1), number(step.cpu_us / first, 2), verdict(step))
            for count, step in steps.items()
        ]
        print(
            "",
            table(("processes", "CPU µs a packet", "ratio", "it"), lines),
            "",
            sep="\n",
            flush=True,
        )
        found[row] = {count: step.as_json() for count, step in steps.items()}
    return found


def measure(row: str, backends: Backends, processes: int, args: argparse.Namespace) -> Figures:
    with Ours(row, backends, SERVERS[row], on=cores_for(processes, cores.ALL)) as subject:
        figures = asyncio.run(Step(subject, backends).run(args.calls, args.seconds))
    print(step_line(figures), flush=True)
    return figures


def verdict(figures: Figures) -> str:
    """A step that does not hold leaves work undone, so its CPU is not comparable."""
    return "holds" if figures.is_valid and not figures.faults() else "does not count"


def cores_for(processes: int, of: list[int]) -> list[set[int]]:
    """Returns one core per process if one is left for the load; otherwise the first for all."""
    own = of[:-1] or of
    return [{own[number]} if processes <= len(own) else {own[0]} for number in range(processes)]
