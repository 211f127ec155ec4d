"""`make torture`, or `python -m tests.torture [--fault kill-9] [--rounds 50] [--server uvicorn] …`.

Prints the table row by row; the exit code is 1 if a promise is broken. The printed seed repeats a
run, or one row of it, with the same calls at the same moments. Ctrl-C and SIGTERM stop and remove
everything that was started.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import dropwhile
from random import Random

import django

from tests.torture import table
from tests.torture.databases import Database, Postgres, SQLite
from tests.torture.faults import FAULTS
from tests.torture.table import Row
from tests.torture.trial import Fault, Trial

SERVERS = ("uvicorn", "daphne")
SHORT_ROUNDS = 2
DATABASES: dict[str, type[SQLite | Postgres]] = {"sqlite": SQLite, "postgres": Postgres}
INTERRUPTED = 130


def main() -> int:
    args = options().parse_args()
    prepare()
    seed = args.seed or time.time_ns() % 1_000_000
    print(f"seed {seed}", table.head(), sep="\n", flush=True)
    databases: dict[str, Database] = {}
    try:
        broken = sum(try_all(args, seed, databases))
    except KeyboardInterrupt:
        print(f"interrupted (seed {seed})", flush=True)
        return INTERRUPTED
    finally:
        for database in databases.values():
            database.close()
    print(f"{broken} broken" if broken else "all promises hold", f"(seed {seed})", flush=True)
    return min(broken, 1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument(
        "--fault", choices=sorted(FAULTS), action="append", help="only this fault; repeatable"
    )
    parser.add_argument(
        "--from", choices=list(FAULTS), dest="first", help="this fault and all after it"
    )
    parser.add_argument("--rounds", type=int, default=0, help="repetitions, for faults with rounds")
    parser.add_argument("--server", choices=SERVERS)
    parser.add_argument("--database", choices=list(DATABASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--long", action="store_true", help="both databases and servers, full length"
    )
    return parser


def prepare() -> None:
    """Loads Django's settings, needed to read object stores, and turns signals into SIGINT."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("DATA_DIR", tempfile.gettempdir())  # nothing is written to it
    django.setup()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def try_all(args: argparse.Namespace, seed: int, databases: dict[str, Database]) -> Iterator[bool]:
    """Prints a row for each trial; yields whether it is broken."""
    for fault, server, name in trials(args):
        started = time.monotonic()
        row = asyncio.run(try_fault(fault, server, name, databases, seed, args))
        print(table.lines(row), f"    {time.monotonic() - started:.0f} s", sep="\n", flush=True)
        yield bool(row.broken)


async def try_fault(
    fault: Fault,
    server: str,
    name: str,
    databases: dict[str, Database],
    seed: int,
    args: argparse.Namespace,
) -> Row:
    """Returns one row. Its random moments depend only on seed and names, so it can be repeated."""
    untried = partial(Row, fault.name, server, name, 0, 0, 0, 0, fault.promised)
    try:
        if missing := fault.missing():
            return untried((), (), skipped=missing)
    except AssertionError as error:  # CI=true allows no skips
        return untried((str(error),), ())
    if name not in databases:
        databases[name] = DATABASES[name]()
    rounds = args.rounds or (
        fault.rounds_long if args.long else min(fault.rounds_long, SHORT_ROUNDS)
    )
    random = Random(f"{seed} {fault.name} {server} {name}")
    trial = Trial(server, databases[name], random, rounds=rounds, long=args.long)
    await trial.run(fault)
    found = trial.findings
    packets = found.packets_sent, found.packets_stored, found.worst_lost_ms
    results = fault.promised, found.broken, trial.figures
    return Row(fault.name, server, name, rounds, *packets, *results)


def trials(args: argparse.Namespace) -> Iterator[tuple[Fault, str, str]]:
    """Yields fault, server and database of each row.

    The short form tries each fault once, on alternating servers; the long form on all combinations.
    """
    numbered = enumerate(FAULTS.values())
    for number, fault in dropwhile(lambda each: args.first not in {None, each[1].name}, numbered):
        if fault.name not in args.fault if args.fault else fault.long_only and not args.long:
            continue
        every = SERVERS if args.long else (SERVERS[number % len(SERVERS)],)
        servers = (args.server,) if args.server else every
        databases = fault.databases if args.long else fault.databases[:1]
        if args.database:
            databases = tuple(name for name in fault.databases if name == args.database)
        yield from ((fault, server, name) for name in databases for server in servers)


if __name__ == "__main__":
    sys.exit(main())
