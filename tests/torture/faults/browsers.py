"""A browser that stops reading, and very many browsers: flat memory, full rate for the others."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from tests.torture.dashboard import Dashboard, LiveSocket, log_in
from tests.torture.memory import Peak
from tests.torture.trial import Fault, Trial

FEWEST_LEVELS = 8.0
"""Level messages per second that count as full rate; about 10 are sent."""
MAX_MB_EACH = 0.5
MAX_MB = 10.0


async def stops_reading(trial: Trial, *, bytes_a_second: int = 0) -> None:
    """One browser stops reading, or reads very slowly, while calls and another browser continue."""
    site = await trial.install()
    cookie = await asyncio.to_thread(log_in, site.server.port)
    well = Dashboard(site.server.port, cookie).start()
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{site.server.port}"}
    hung = await LiveSocket.open(f"ws://127.0.0.1:{site.server.port}/ws/live", headers)
    trial.call(4)
    await site.until(lambda: well.levels, "levels on the dashboard")
    await site.warm()
    await hung.stop_reading()
    dripping = asyncio.create_task(hung.drip(bytes_a_second)) if bytes_a_second else None
    started = time.monotonic()
    async with Peak(site.process) as peak:
        await asyncio.sleep(90 if trial.long else 6)
    rate = sum(moment > started for moment in well.levels) / (time.monotonic() - started)
    trial.note(f"the other had {rate:.1f} levels/s; memory {peak.grown_mb:+.1f} MB")
    trial.expect(rate >= FEWEST_LEVELS, f"the other browser had only {rate:.1f} levels/s")
    trial.expect(peak.grown_mb <= MAX_MB, f"memory grew by {peak.grown_mb:.1f} MB")
    if dripping:
        dripping.cancel()
        await asyncio.wait([dripping])
    await well.end()
    await hung.abort()
    await trial.end_calls()


async def many(trial: Trial) -> None:
    """Opens 200 dashboards (30 in the short form) at once."""
    number = 200 if trial.long else 30
    site = await trial.install()
    cookie = await asyncio.to_thread(log_in, site.server.port)
    before = site.descriptors()
    trial.call(2)
    await site.warm()
    async with Peak(site.process) as peak:
        dashboards = [Dashboard(site.server.port, cookie).start() for _ in range(number)]
        await site.until(lambda: all(each.levels for each in dashboards), "levels everywhere")
        started = time.monotonic()
        await asyncio.sleep(20 if trial.long else 4)
        passed = time.monotonic() - started
    slowest = min(sum(moment > started for moment in each.levels) / passed for each in dashboards)
    trial.note(
        f"{number} dashboards: the slowest had {slowest:.1f} levels/s; memory "
        f"{peak.grown_mb:+.1f} MB"
    )
    trial.expect(slowest >= FEWEST_LEVELS, f"a dashboard had only {slowest:.1f} levels/s")
    trial.expect(
        peak.grown_mb <= MAX_MB + number * MAX_MB_EACH, f"memory grew by {peak.grown_mb:.1f} MB"
    )
    for dashboard in dashboards:
        await dashboard.end()
    await trial.end_calls()
    await site.until(
        lambda: site.descriptors() <= before + 3, "descriptors of dashboards are released"
    )


FLAT = "0 ms; memory flat, others at full rate"
FAULTS = (
    Fault("browser-stops-reading", FLAT, stops_reading),
    Fault("browser-reads-slowly", FLAT, partial(stops_reading, bytes_a_second=100)),
    Fault("dashboards", "0 ms; memory bounded, all at full rate", many),
)
