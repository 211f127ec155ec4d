"""`make torture`, or `python -m tests.torture [--fault kill-9] [--rounds 50] [--server uvicorn] …`.

Prints the table as it grows; the exit code is 1 when a promise is broken. The seed is printed, so that a run can be
had again: the same calls, the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from random import Random

from tests.torture import table
from tests.torture.databases import Database, Postgres, SQLite
from tests.torture.faults import FAULTS
from tests.torture.table import Row
from tests.torture.trial import Fault, Trial

SERVERS = ("uvicorn", "daphne")
SHORT_ROUNDS = 2
DATABASES: dict[str, type[SQLite | Postgres]] = {"sqlite": SQLite, "postgres": Postgres}


def main() -> int:
    wanted = options().parse_args()
    seed = wanted.seed or time.time_ns() % 1_000_000
    print(f"seed {seed}", table.head(), sep="\n", flush=True)
    databases: dict[str, Database] = {}
    broken = 0
    try:
        for number, (fault, server, name) in enumerate(_trials(wanted)):
            if name not in databases and not fault.missing():
                databases[name] = DATABASES[name]()
            row = asyncio.run(try_fault(fault, server, databases.get(name), Random(f"{seed} {number}"), wanted))
            broken += bool(row.broken)
            print(table.lines(row), flush=True)
    finally:
        for database in databases.values():
            database.close()
    print(f"{broken} broken" if broken else "every promise holds", f"(seed {seed})", flush=True)
    return min(broken, 1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--fault", choices=sorted(FAULTS), action="append", help="only these")
    parser.add_argument("--rounds", type=int, default=0, help="how often, where a fault has rounds")
    parser.add_argument("--server", choices=SERVERS)
    parser.add_argument("--database", choices=list(DATABASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--long", action="store_true", help="both databases, both servers, the full length")
    return parser


async def try_fault(
    fault: Fault, server: str, database: Database | None, random: Random, wanted: argparse.Namespace
) -> Row:
    """One row."""
    rounds = wanted.rounds or (fault.rounds_long if wanted.long else min(fault.rounds_long, SHORT_ROUNDS))
    if database is None:
        return Row(fault.name, server, "", 0, 0, 0, 0, fault.promised, (), (), skipped=fault.missing())
    trial = Trial(server, database, random, rounds=rounds, long=wanted.long)
    await trial.run(fault)
    found = trial.findings
    return Row(
        fault.name,
        server,
        database.name,
        rounds,
        found.packets_sent,
        found.packets_stored,
        found.worst_lost_ms,
        fault.promised,
        found.broken,
        trial.figures,
    )


def _trials(wanted: argparse.Namespace) -> Iterator[tuple[Fault, str, str]]:
    """The short form tries each fault once, on a server in turn; the long form on all that there is."""
    for number, fault in enumerate(FAULTS.values()):
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
