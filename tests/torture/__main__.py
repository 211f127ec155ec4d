"""`make torture`, or `python -m tests.torture [--fault kill-9] [--rounds 50] [--server uvicorn] …`.

Prints the table as it grows; the exit code is 1 when a promise is broken. The seed is printed, so
that a run, or a row of it, can be had again: the same calls, the same moments. Ctrl-C and SIGTERM
take everything away that was started.
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
    wanted = options().parse_args()
    prepare()
    seed = wanted.seed or time.time_ns() % 1_000_000
    print(f"seed {seed}", table.head(), sep="\n", flush=True)
    databases: dict[str, Database] = {}
    try:
        broken = sum(try_all(wanted, seed, databases))
    except KeyboardInterrupt:
        print(f"interrupted (seed {seed})", flush=True)
        return INTERRUPTED
    finally:
        for database in databases.values():
            database.close()
    print(f"{broken} broken" if broken else "every promise holds", f"(seed {seed})", flush=True)
    return min(broken, 1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--fault", choices=sorted(FAULTS), action="append", help="only these")
    parser.add_argument(
        "--from", choices=list(FAULTS), dest="first", help="this one and all behind it"
    )
    parser.add_argument("--rounds", type=int, default=0, help="how often, where a fault has rounds")
    parser.add_argument("--server", choices=SERVERS)
    parser.add_argument("--database", choices=list(DATABASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--long", action="store_true", help="both databases, both servers, the full length"
    )
    return parser


def prepare() -> None:
    """Django's settings, through which object stores are read; and whoever ends the run ends it in
    good order.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("DATA_DIR", tempfile.gettempdir())  # nothing is written to it
    django.setup()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def try_all(
    wanted: argparse.Namespace, seed: int, databases: dict[str, Database]
) -> Iterator[bool]:
    """Prints a row for each; whether it is broken."""
    for fault, server, name in trials(wanted):
        began = time.monotonic()
        row = asyncio.run(try_fault(fault, server, name, databases, seed, wanted))
        print(table.lines(row), f"    {time.monotonic() - began:.0f} s", sep="\n", flush=True)
        yield bool(row.broken)


async def try_fault(
    fault: Fault,
    server: str,
    name: str,
    databases: dict[str, Database],
    seed: int,
    wanted: argparse.Namespace,
) -> Row:
    """One row. Its moments depend on seed and names only, so that it can be had again alone."""
    try:
        missing = fault.missing()
    except AssertionError as error:  # with CI=true nothing may be missing
        return Row(fault.name, server, name, 0, 0, 0, 0, fault.promised, (str(error),), ())
    if missing:
        return Row(fault.name, server, name, 0, 0, 0, 0, fault.promised, (), (), skipped=missing)
    if name not in databases:
        databases[name] = DATABASES[name]()
    rounds = wanted.rounds or (
        fault.rounds_long if wanted.long else min(fault.rounds_long, SHORT_ROUNDS)
    )
    random = Random(f"{seed} {fault.name} {server} {name}")
    trial = Trial(server, databases[name], random, rounds=rounds, long=wanted.long)
    await trial.run(fault)
    found = trial.findings
    return Row(
        fault.name,
        server,
        name,
        rounds,
        found.packets_sent,
        found.packets_stored,
        found.worst_lost_ms,
        fault.promised,
        found.broken,
        trial.figures,
    )


def trials(wanted: argparse.Namespace) -> Iterator[tuple[Fault, str, str]]:
    """The short form tries each fault once, on a server in turn; the long form on all that there
    is.
    """
    numbered = enumerate(FAULTS.values())
    for number, fault in dropwhile(lambda each: wanted.first not in {None, each[1].name}, numbered):
        if fault.name not in wanted.fault if wanted.fault else fault.long_only and not wanted.long:
            continue
        every = SERVERS if wanted.long else (SERVERS[number % len(SERVERS)],)
        servers = (wanted.server,) if wanted.server else every
        databases = fault.databases if wanted.long else fault.databases[:1]
        if wanted.database:
            databases = tuple(name for name in fault.databases if name == wanted.database)
        yield from ((fault, server, name) for name in databases for server in servers)


if __name__ == "__main__":
    sys.exit(main())
