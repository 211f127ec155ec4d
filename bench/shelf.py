"""REST and admin with a year of calls in Postgres: duration of each page, and queries that read a
whole table.

    python -m bench.shelf [--calls 100000] [--rounds 20] [--only TEXT] [--plans] [--retention 30]

100,000 calls have 5,000,000 segments, which take some minutes to write; with DATABASE_URL the rows
are written once and reused. Each page is requested from the whole application in this process, in
each round with other values. A query is an offender if its plan reads a large table completely;
--plans prints these. --retention then deletes the oldest days while pages are read and a call is
recorded.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from acsmedia.warmup import warm_up
from bench import shelf_rows
from bench.backends import Backends
from bench.installation import NAME, installed
from bench.shelf_pages import Page, pages

LARGE = "calls_call|calls_segment|calls_participant|calls_subscription|calls_ledgerentry"
_SCAN = re.compile(rf"Seq Scan on (?:{LARGE})\b.*actual rows=([\d.]+) loops=(\d+)")
_REMOVED = re.compile(r"Rows Removed by Filter: (\d+)")
MAX_READ = 15_000
"""Rows that a scan with a limit may read: lists are counted up to 10,000."""


@dataclass
class Result:
    """The rounds of one page; `offenders` are plans."""

    page: Page
    times_ms: list[float] = field(default_factory=list)
    queries: int = 0
    offenders: list[str] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return sorted(self.times_ms)[len(self.times_ms) // 2]

    @property
    def p95_ms(self) -> float:
        return sorted(self.times_ms)[len(self.times_ms) * 95 // 100]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="pages whose name contains this text")
    parser.add_argument("--plans", action="store_true", help="print the plans of offenders")
    parser.add_argument(
        "--retention", type=int, default=0, metavar="DAYS", help="delete the oldest days at the end"
    )


def run(args: argparse.Namespace, backends: Backends) -> list[dict[str, Any]]:
    kept = os.environ.get("DATABASE_URL")
    with installed({"DATABASE_URL": kept} if kept else backends.environment()):
        _fill(args.calls)
        warm_up()  # as servers do: otherwise 1 in 20 responses has 100 ms of garbage collection
        print(f"{'page':46}{'median':>9}{'p95':>9}{'limit':>8}  queries")
        asked = (page for page in pages() if args.only in page.name)
        found = [_shown(measure(page, args.rounds), plans=args.plans) for page in asked]
        if args.retention:
            from bench.retention import delete_oldest  # needs Django set up

            client = _client()
            delete_oldest(args.retention, lambda address: _ask(client, address))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    args = parser.parse_args()
    with Backends(sqlite="DATABASE_URL" in os.environ) as backends:
        run(args, backends)
    return 0


def measure(page: Page, rounds: int) -> Result:
    """Measures a page. The first round warms up, and its queries are explained."""
    client = _client()
    random = Random(page.name)
    result = Result(page)
    result.queries, result.offenders = _explained(client, page.path(random))
    for _ in range(rounds):
        address = page.path(random)
        started = time.perf_counter()
        _ask(client, address)
        result.times_ms.append((time.perf_counter() - started) * 1000)
    return result


def _client() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(raise_request_exception=True)
    client.force_login(User.objects.get(username=NAME))
    return client


def _ask(client: Any, address: str) -> None:
    response = client.get(address, HTTP_HOST="localhost")
    assert response.status_code == 200, (
        f"{address} returned {response.status_code}: {response.content[:500]!r}"
    )
    for _ in response:  # reads streamed responses too
        pass


def _explained(client: Any, address: str) -> tuple[int, list[str]]:
    """Returns the number of queries, and the plans that read a large table completely."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        _ask(client, address)
    asked = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
    plans = []
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + sql)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        if most_read(plan) > MAX_READ:
            plans.append(f"{sql}\n{plan}")
    return len(asked), plans


def most_read(plan: str) -> float:
    """Returns the rows read by the longest scan of a large table."""
    most = 0.0
    for node in plan.split("->"):
        if scan := _SCAN.search(node):
            removed = _REMOVED.search(node)
            most = max(most, (float(scan[1]) + (int(removed[1]) if removed else 0)) * int(scan[2]))
    return most


def _shown(result: Result, *, plans: bool) -> dict[str, Any]:
    late = " SLOW" if result.p95_ms > result.page.limit_ms else ""
    scans = f" {len(result.offenders)} READS A TABLE" if result.offenders else ""
    times = f"{result.median_ms:>6.0f} ms{result.p95_ms:>6.0f} ms{result.page.limit_ms:>5} ms"
    print(f"{result.page.name:46}{times}  {result.queries}{scans}{late}", flush=True)
    for plan in result.offenders if plans else ():
        print(plan, flush=True)
    figures = {
        "median_ms": result.median_ms,
        "p95_ms": result.p95_ms,
        "limit_ms": result.page.limit_ms,
    }
    return {
        "page": result.page.name,
        **figures,
        "queries": result.queries,
        "offenders": len(result.offenders),
    }


def _fill(calls: int) -> None:
    from django.db import connection

    from calls.models import Call

    if not Call.objects.exists():
        started = time.perf_counter()
        shelf_rows.fill(connection, calls)
        print(f"{calls:,} calls written in {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
