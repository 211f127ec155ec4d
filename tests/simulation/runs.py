"""Many seeds on several processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.simulation.plan import plan_of
from tests.simulation.report import Totals
from tests.simulation.surroundings import set_up
from tests.simulation.trial import tried

SEEDS_AT_ONCE = 20


def parts(
    seeds: range, known: AbstractSet[int], kinds: Sequence[str], jobs: int, until: float | None
) -> Iterator[Totals]:
    """Yields the totals of each part of the seeds, without those `known`; begins none after the
    moment `until`.
    """
    starts = iter(range(0, len(seeds), SEEDS_AT_ONCE))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=set_up) as pool:
        pending: set[Future[Totals]] = set()

        def submit() -> None:
            is_time = until is None or time.monotonic() < until
            if is_time and (start := next(starts, None)) is not None:
                part = [seed for seed in seeds[start : start + SEEDS_AT_ONCE] if seed not in known]
                pending.add(pool.submit(simulate, part, kinds))

        for _ in range(2 * jobs):
            submit()
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    submit()
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def simulate(seeds: Sequence[int], kinds: Sequence[str]) -> Totals:
    """Returns the totals of these seeds."""
    totals = Totals()
    for seed in seeds:
        totals.note(tried(plan_of(seed, kinds)))
    return totals
