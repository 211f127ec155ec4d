"""The database is unreachable, slow, exhausted or locked: recording and levels continue, and
everything is caught up automatically.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

from tests.torture.dashboard import Dashboard, log_in
from tests.torture.databases import Postgres, path_of
from tests.torture.faults.process import go
from tests.torture.recording import status_of
from tests.torture.relay import SlowRelay
from tests.torture.trial import Fault, Trial

REST_SECONDS = 3.0
"""Limit for the first 503 of REST: after 2 s without an answer the database is unreachable."""
KNOWN_SECONDS = 0.5
"""Limit for a 503 once the outage is known, which needs no query."""
REST_AGAIN = 20
"""Requests during the outage; each would cost a thread if it was not refused."""
MAX_THREADS = 10
"""Additional threads during an outage: pending requests, the watch, growing pools; far fewer than
one per request.
"""
BACK_SECONDS = 2.0
"""Limit for a 200 of REST after the database is back."""
MAX_MB = 15.0
"""Additional memory in an outage: imports and allocations of a first failure, not a growing queue.
"""
FEWEST_LEVELS = 5.0
"""Level messages per second that count as continuing; about 10 are sent."""
CAUGHT_UP_SECONDS = 90.0


async def outage(
    trial: Trial,
    begin: Callable[[], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
    *,
    seconds: tuple[float, float],
    rest_status: tuple[int, ...] = (503,),
) -> None:
    """Runs calls and a dashboard before, and a call in an outage of `seconds` (short, long)."""
    site = await trial.install()
    port = site.server.port
    dashboard = Dashboard(port, await asyncio.to_thread(log_in, port)).start()
    trial.call(2)
    await trial.some_time(2.0, 4.0)
    memory_mb, threads, started = site.memory_mb(), site.process.num_threads(), time.monotonic()
    await begin()
    try:
        trial.call(1)
        await asyncio.gather(expect_status(trial, rest_status), asyncio.sleep(seconds[trial.long]))
        lasted = time.monotonic() - started
        rate = sum(moment > started for moment in dashboard.levels) / lasted
        grown_mb, more_threads = site.memory_mb() - memory_mb, site.process.num_threads() - threads
    finally:
        await end()
    await expect_back(trial)
    expect_small_effects(trial, lasted, rate, grown_mb, more_threads)
    await dashboard.end()
    await trial.some_time(0.5, 1.0)
    await catch_up(trial)


async def catch_up(trial: Trial) -> None:
    """Ends all calls and notes how long their sealing takes."""
    ended = time.monotonic()
    await trial.end_calls(seconds=CAUGHT_UP_SECONDS)
    trial.note(f"caught up {time.monotonic() - ended:.1f} s after the outage")


def expect_small_effects(
    trial: Trial, lasted: float, rate: float, grown_mb: float, more_threads: int
) -> None:
    """Checks levels per second, memory and threads during an outage of `lasted` seconds."""
    trial.expect(rate >= FEWEST_LEVELS, f"only {rate:.1f} levels/s during the outage")
    trial.expect(grown_mb < MAX_MB, f"memory grew by {grown_mb:.1f} MB in {lasted:.0f} s")
    trial.expect(more_threads <= MAX_THREADS, f"{more_threads} more threads during the outage")
    trial.note(
        f"unreachable for {lasted:.0f} s: {rate:.1f} levels/s, memory {grown_mb:+.1f} MB, threads "
        f"{more_threads:+d}"
    )


async def expect_status(trial: Trial, expected: tuple[int, ...]) -> None:
    """Checks status and delay of REST in the outage, first and once the outage is known."""
    status, seconds = await asked(trial)
    trial.note(f"REST answered {status or 'nothing'} after {seconds:.1f} s")
    trial.expect(
        status in expected,
        f"REST answered {status or 'nothing'} within {seconds:.1f} s instead of {expected[0]}",
    )
    again = await asyncio.gather(*(asked(trial) for _ in range(REST_AGAIN)))
    worst = max(seconds for _, seconds in again)
    trial.note(f"then {REST_AGAIN} more times, within {worst:.2f} s")
    trial.expect(
        all(status in expected for status, _ in again),
        f"REST then answered {sorted({each for each, _ in again})}",
    )
    trial.expect(
        worst <= KNOWN_SECONDS or 200 in expected, f"REST took {worst:.1f} s in a known outage"
    )


async def expect_back(trial: Trial) -> None:
    """Checks that REST answers 200 again without intervention."""
    started = time.monotonic()
    for _ in range(round(CAUGHT_UP_SECONDS / 0.1)):
        if (await asked(trial))[0] == 200:
            break
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - started
    trial.note(f"REST answered 200 again {seconds:.1f} s after the outage")
    trial.expect(seconds <= BACK_SECONDS, f"REST was back {seconds:.1f} s after the database")


async def asked(trial: Trial) -> tuple[int, float]:
    """Returns status (0 if none) and duration of a REST request."""
    started = time.monotonic()
    status = await asyncio.to_thread(
        status_of, trial.site.server.port, "/api/v1/calls/", seconds=REST_SECONDS
    )
    return status, time.monotonic() - started


def cluster_of(trial: Trial) -> Postgres:
    assert isinstance(trial.database, Postgres), "this fault needs Postgres"
    return trial.database


async def stopped(trial: Trial) -> None:
    cluster = cluster_of(trial)

    async def begin() -> None:
        await asyncio.to_thread(cluster.stop, "fast")

    async def end() -> None:
        await asyncio.to_thread(cluster.start)

    await outage(trial, begin, end, seconds=(6.0, 60.0))


async def crashed(trial: Trial) -> None:
    """`pg_ctl -m immediate`: an abrupt stop, and recovery at the next start."""
    cluster = cluster_of(trial)

    async def begin() -> None:
        await asyncio.to_thread(cluster.stop, "immediate")

    async def end() -> None:
        await asyncio.to_thread(cluster.start)

    await outage(trial, begin, end, seconds=(3.0, 20.0))


async def paused(trial: Trial) -> None:
    """SIGSTOP: connections stay open, nothing is answered."""
    cluster = cluster_of(trial)

    async def begin() -> None:
        cluster.pause()

    async def end() -> None:
        cluster.resume()

    await outage(trial, begin, end, seconds=(6.0, 60.0))


async def exhausted(trial: Trial) -> None:
    """Takes all connections of Postgres, and terminates those of the server."""
    cluster = cluster_of(trial)
    taken = []

    async def begin() -> None:
        pids = cluster.backends(trial.site.database_url)
        taken.extend(await asyncio.to_thread(cluster.take_all_connections))
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        taken.extend(await asyncio.to_thread(cluster.take_all_connections))

    async def end() -> None:
        for connection in taken:
            connection.close()

    await outage(
        trial, begin, end, seconds=(6.0, 30.0), rest_status=(200, 503)
    )  # the earlier connections are closed


async def backend_killed(trial: Trial) -> None:
    """Sends SIGKILL to busy backends: Postgres restarts all of them."""
    cluster = cluster_of(trial)
    await trial.install()
    trial.call(3)
    for _ in range(trial.rounds):
        await trial.some_time(1.0, 2.0)
        pids = cluster.backends(trial.site.database_url)
        if pids:
            os.kill(trial.random.choice(pids), signal.SIGKILL)
    await trial.some_time(1.0, 2.0)
    await trial.end_calls()


async def slow(trial: Trial) -> None:
    """Delays every answer of Postgres by 300 ms."""
    cluster = cluster_of(trial)
    async with SlowRelay(cluster.socket_folder, 0.3) as relay:
        # A file needs some twenty queries: sealing keeps up with one file every five seconds per
        # call.
        await trial.install(
            {"SEGMENT_SECONDS": "5"}, route=lambda url: cluster.behind(url, relay.folder)
        )
        trial.call(2)
        await trial.some_time(5.0, 6.0)
        await trial.end_calls(seconds=CAUGHT_UP_SECONDS)


async def locked(trial: Trial) -> None:
    """Another writer holds the lock of SQLite, which does not block readers."""

    def hold(until: asyncio.Event) -> None:
        with closing(sqlite3.connect(path_of(trial.site.database_url), timeout=30)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            loop.call_soon_threadsafe(held.set)
            asyncio.run_coroutine_threadsafe(until.wait(), loop).result()
            connection.rollback()

    loop = asyncio.get_running_loop()
    held, over = asyncio.Event(), asyncio.Event()
    holding: list[asyncio.Task[None]] = []

    async def begin() -> None:
        holding.append(asyncio.create_task(asyncio.to_thread(hold, over)))
        await held.wait()

    async def end() -> None:
        over.set()
        await asyncio.gather(*holding)

    await outage(trial, begin, end, seconds=(8.0, 30.0), rest_status=(200,))


async def terminate_while_it_hangs(trial: Trial) -> None:
    """SIGTERM while no query is answered: the process exits anyway, and the next one catches up."""
    cluster = cluster_of(trial)
    await trial.install()
    trial.call(3)
    await trial.some_time(2.0, 3.0)
    cluster.pause()
    try:
        await trial.some_time(1.0, 2.0)
        await go(trial)
    finally:
        cluster.resume()
    await trial.site.start()
    await trial.some_time(1.0, 2.0)
    await trial.end_calls(allowed_ms=200)


NOTHING = "0 ms; levels continue, memory flat, REST 503"
POSTGRES = ("postgres",)
FAULTS = (
    Fault("postgres-stopped", NOTHING, stopped, POSTGRES),
    Fault("postgres-crashed", NOTHING, crashed, POSTGRES),
    Fault("postgres-paused", NOTHING, paused, POSTGRES),
    Fault("postgres-exhausted", NOTHING, exhausted, POSTGRES),
    Fault("postgres-backend", "0 ms, no duplicate rows", backend_killed, POSTGRES, rounds_long=20),
    Fault("postgres-slow", "0 ms, caught up", slow, POSTGRES),
    Fault("sqlite-locked", "0 ms; levels continue, memory flat", locked, ("sqlite",)),
    Fault(
        "sigterm-database-hangs",
        "200 ms of sent audio, exit in 10 s",
        terminate_while_it_hangs,
        POSTGRES,
    ),
)
