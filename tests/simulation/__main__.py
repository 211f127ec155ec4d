"""`python -m tests.simulation [SEED]`: simulates calls under faults of all kinds, and compares the
stored audio with the spoken one.

Without SEED it tries seeds from --first on until --seeds, --minutes or --hours are reached. A SEED
replays one call and prints its plan and its violations; with --shrunk the smallest plan that still
breaks the same law. Give the same --kinds or --only as in the run that found it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.simulation.plan import KINDS, plan_of
from tests.simulation.report import Failure, Totals, table
from tests.simulation.runs import parts
from tests.simulation.shrink import shrunk
from tests.simulation.surroundings import set_up
from tests.simulation.trial import Outcome, tried


def main() -> int:
    args = options().parse_args()
    kinds = tuple(args.only or args.kinds)
    set_up()
    if args.seed is not None:
        return replay(args.seed, kinds, shrink=args.shrunk)
    seconds = args.hours * 3600 + args.minutes * 60
    totals = run(args, kinds, seconds)
    return min(len(totals.failures), 1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="replay this call")
    parser.add_argument("--shrunk", action="store_true", help="shrink the call of SEED first")
    names = list(KINDS)
    parser.add_argument("--kinds", type=_kinds, default=names, help=f"of {', '.join(names)}")
    parser.add_argument("--only", type=_kinds, help="the same as --kinds")
    parser.add_argument("--first", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=0, help="number of seeds")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    parser.add_argument("--failed", type=Path, help="write the seeds that fail to this file")
    parser.add_argument(
        "--except", type=Path, dest="known", help="leave out the seeds in this file"
    )
    return parser


def _kinds(text: str) -> list[str]:
    kinds = text.split(",")
    if unknown := set(kinds) - set(KINDS):
        raise argparse.ArgumentTypeError(f"unknown kind: {', '.join(sorted(unknown))}")
    return kinds


def replay(seed: int, kinds: Sequence[str], *, shrink: bool) -> int:
    """Prints one call, its plan, and the laws that it breaks."""
    outcome = tried(plan_of(seed, kinds))
    if shrink and outcome.violations:
        outcome = shrunk_outcome(outcome)
    print(outcome.plan)
    for violation in outcome.violations:
        print(f"  BROKEN {violation}")
    if not outcome.violations:
        print("all laws hold")
    return min(len(outcome.violations), 1)


def shrunk_outcome(outcome: Outcome) -> Outcome:
    """Returns the smallest call that breaks the same law."""
    law = outcome.violations[0].law
    plan = shrunk(outcome.plan, lambda plan: any(v.law == law for v in tried(plan).violations))
    return tried(plan)


def run(args: argparse.Namespace, kinds: Sequence[str], seconds: float) -> Totals:
    """Tries many seeds on all cores, with progress, and prints failures as they are found."""
    began, totals = time.monotonic(), Totals()
    until = began + seconds if seconds else None
    seeds = range(args.first, args.first + args.seeds if args.seeds else sys.maxsize)
    known = {int(seed) for seed in args.known.read_text().split()} if args.known else set()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("simulating")
        for part in parts(seeds, known, kinds, args.jobs, until):
            totals.add(part)
            elapsed = time.monotonic() - began
            for failure in part.failures:
                failure.found_after_s = elapsed
                if len(totals.failures) <= 20:
                    print(text_of(failure), flush=True)
            progress.update(
                task,
                description=f"{totals.calls:,} calls, {totals.hours:,.1f} spoken hours, "
                f"{len(totals.failures)} failures",
            )
            if args.stop and totals.failures:
                break
    if args.failed:
        args.failed.write_text("".join(f"{one.seed}\n" for one in totals.failures))
    print(table(totals, time.monotonic() - began), flush=True)
    return totals


def text_of(failure: Failure) -> str:
    """Returns a failure in a few lines."""
    kinds = ", ".join(failure.kinds) or "no fault"
    lines = [f"seed {failure.seed} ({kinds}) after {failure.found_after_s:.1f} s"]
    return "\n".join([*lines, *(f"  BROKEN {text}" for text in failure.texts[:4])])


if __name__ == "__main__":
    sys.exit(main())
