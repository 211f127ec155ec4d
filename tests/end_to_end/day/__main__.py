"""Plays a day on real Postgres and Redis, through nginx: `python -m tests.end_to_end.day --help`.

Exits with 1 if coverage says anything else than what was planted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

import django

from tests.backends import Redis, postgres


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.day", description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=4.0, help="in which the calls begin")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.end_to_end.day import comparison, day
    from tests.end_to_end.day.plan import planned

    plan = planned(options.calls, options.minutes * 60, options.seed)
    print("planted:", dict(Counter(str(call.kind) for call in plan)))
    began = time.monotonic()
    with (
        postgres() as database,
        Redis() as redis,
        day.installation({"DATABASE_URL": database, "REDIS_URL": redis.url}) as site,
    ):
        outcomes = day.play(site, plan, print)
        day.wait_until_judged(site, outcomes)
        problems = comparison.compare(site, outcomes)
        print("\n".join(day.summary(site, outcomes)))
    for problem in problems:
        print("WRONG", problem)
    print(f"{len(problems)} differences, {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
