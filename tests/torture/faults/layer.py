"""Redis is stopped, restarted, paused: recording is unaffected, and dashboards recover
within 5 s.
"""

from __future__ import annotations

import asyncio
import time

import psutil

from tests.backends import Redis
from tests.torture.dashboard import Dashboard, log_in
from tests.torture.trial import Fault, Trial

BACK_SECONDS = 5.0


async def stopped(trial: Trial) -> None:
    """Stops Redis for a random time and starts it again, empty."""
    with Redis() as redis:
        dashboard = await watched(trial, redis)
        for _ in range(trial.rounds):
            await trial.some_time(1.0, 2.0)
            redis.stop()
            await trial.some_time(0.2, 6.0)
            started = time.monotonic()
            await asyncio.to_thread(redis.start)
            await expect_back(trial, dashboard, started, snapshot=True)
        await dashboard.end()
        await trial.end_calls()


async def paused(trial: Trial) -> None:
    """SIGSTOP: connections stay open, nothing is answered. A dashboard is opened meanwhile."""
    with Redis() as redis:
        dashboard = await watched(trial, redis)
        port = trial.site.server.port
        cookie = await asyncio.to_thread(log_in, port)
        for _ in range(trial.rounds):
            await trial.some_time(1.0, 2.0)
            process = psutil.Process(redis.pid)
            process.suspend()
            late = Dashboard(port, cookie).start()
            await trial.some_time(1.0, 8.0)
            started = time.monotonic()
            process.resume()
            await expect_back(
                trial, dashboard, started, snapshot=False
            )  # connections were kept, nothing was missed
            await expect_back(trial, late, started, snapshot=False)
            await late.end()
        await dashboard.end()
        await trial.end_calls()


async def watched(trial: Trial, redis: Redis) -> Dashboard:
    """Starts calls and a dashboard that shows their levels."""
    site = await trial.install({"REDIS_URL": redis.url})
    dashboard = Dashboard(
        site.server.port, await asyncio.to_thread(log_in, site.server.port)
    ).start()
    trial.call(2)
    await site.until(lambda: dashboard.levels, "levels on the dashboard")
    return dashboard


async def expect_back(trial: Trial, dashboard: Dashboard, since: float, *, snapshot: bool) -> None:
    """Waits for levels after the return of Redis, and for a new snapshot if `snapshot`."""

    def first(moments: list[float]) -> float:
        return next((moment - since for moment in moments if moment > since), 0.0)

    await trial.site.until(
        lambda: first(dashboard.levels), "levels after the return of Redis", seconds=30
    )
    seconds = first(dashboard.levels)
    if snapshot:
        await trial.site.until(
            lambda: first(dashboard.snapshots), "a snapshot after the return of Redis", seconds=30
        )
        seconds = max(seconds, first(dashboard.snapshots))
    trial.note(f"dashboard back after {seconds:.1f} s")
    trial.expect(seconds <= BACK_SECONDS, f"the dashboard was back {seconds:.1f} s after Redis")


FAULTS = (
    Fault(
        "redis-stopped", "0 ms; dashboards back in 5 s, with a snapshot", stopped, rounds_long=10
    ),
    Fault("redis-paused", "0 ms; dashboards back in 5 s", paused, rounds_long=10),
)
