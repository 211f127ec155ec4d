"""The database is away, slow, full or locked: recording and levels go on, everything is caught up
by itself.
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
"""REST has to say 503 within this: a database that does not answer for 2 s is away."""
KNOWN_SECONDS = 0.5
"""The same, once the outage is known: nothing is asked, nothing is waited for."""
REST_AGAIN = 20
"""Requests during the outage; each would cost a thread if it was let in."""
MAX_THREADS = 10
"""Threads that may come with an outage: what was under way, the watch, what grows and joins; far
from one a request.
"""
BACK_SECONDS = 2.0
"""REST has to say 200 within this of the return of the database."""
MAX_MB = 15.0
"""Memory that may come with an outage: what a first failure imports and allocates, not a queue that
grows.
"""
FEWEST_LEVELS = 5.0
"""Messages with levels a second that still count as going on; about 10 are sent."""
CAUGHT_UP_SECONDS = 90.0


async def outage(
    trial: Trial,
    begin: Callable[[], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
    *,
    seconds: tuple[float, float],
    rest_status: tuple[int, ...] = (503,),
) -> None:
    """Calls and a dashboard before, another call during; `seconds` of the outage in the short and
    the long form.
    """
    site = await trial.install()
    dashboard = Dashboard(
        site.server.port, await asyncio.to_thread(log_in, site.server.port)
    ).begin()
    trial.call(2)
    await trial.some_time(2.0, 4.0)
    memory_mb, threads, began = site.memory_mb(), site.process.num_threads(), time.monotonic()
    await begin()
    try:
        trial.call(1)
        await asyncio.gather(expect_status(trial, rest_status), asyncio.sleep(seconds[trial.long]))
        lasted = time.monotonic() - began
        heard = sum(moment > began for moment in dashboard.levels) / lasted
        grown_mb, more_threads = site.memory_mb() - memory_mb, site.process.num_threads() - threads
    finally:
        await end()
    await expect_back(trial)
    trial.expect(heard >= FEWEST_LEVELS, f"only {heard:.1f} levels a second during the outage")
    trial.expect(grown_mb < MAX_MB, f"memory grew by {grown_mb:.1f} MB in {lasted:.0f} s")
    trial.expect(more_threads <= MAX_THREADS, f"{more_threads} more threads during the outage")
    trial.note(
        f"away for {lasted:.0f} s: {heard:.1f} levels/s, memory {grown_mb:+.1f} MB, threads "
        f"{more_threads:+d}"
    )
    await dashboard.end()
    await trial.some_time(0.5, 1.0)
    ended = time.monotonic()
    await trial.end_calls(seconds=CAUGHT_UP_SECONDS)
    trial.note(f"caught up {time.monotonic() - ended:.1f} s after its return")


async def expect_status(trial: Trial, wanted: tuple[int, ...]) -> None:
    """What REST answers while the database is away, and how soon: at first, and once the outage is
    known.
    """
    status, seconds = await asked(trial)
    trial.note(f"REST answered {status or 'nothing'} after {seconds:.1f} s")
    trial.expect(
        status in wanted,
        f"REST answered {status or 'nothing'} within {seconds:.1f} s instead of {wanted[0]}",
    )
    again = await asyncio.gather(*(asked(trial) for _ in range(REST_AGAIN)))
    worst = max(seconds for _, seconds in again)
    trial.note(f"and {REST_AGAIN} times more, after {worst:.2f} s at the latest")
    trial.expect(
        all(status in wanted for status, _ in again),
        f"REST then answered {sorted({each for each, _ in again})}",
    )
    trial.expect(
        worst <= KNOWN_SECONDS or 200 in wanted, f"REST took {worst:.1f} s to answer what was known"
    )


async def expect_back(trial: Trial) -> None:
    """Pages of REST again, by themselves."""
    began = time.monotonic()
    for _ in range(round(CAUGHT_UP_SECONDS / 0.1)):
        if (await asked(trial))[0] == 200:
            break
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - began
    trial.note(f"REST answered 200 again {seconds:.1f} s after its return")
    trial.expect(seconds <= BACK_SECONDS, f"REST was back only {seconds:.1f} s after the database")


async def asked(trial: Trial) -> tuple[int, float]:
    """The status of a page of REST, 0 for none, and how long it took."""
    began = time.monotonic()
    status = await asyncio.to_thread(
        status_of, trial.site.server.port, "/api/v1/calls/", seconds=REST_SECONDS
    )
    return status, time.monotonic() - began


def cluster_of(trial: Trial) -> Postgres:
    assert isinstance(trial.database, Postgres), "the fault is for Postgres only"
    return trial.database


async def stopped(trial: Trial) -> None:
    cluster = cluster_of(trial)

    async def begin() -> None:
        await asyncio.to_thread(cluster.stop, "fast")

    async def end() -> None:
        await asyncio.to_thread(cluster.start)

    await outage(trial, begin, end, seconds=(6.0, 60.0))


async def crashed(trial: Trial) -> None:
    """`pg_ctl -m immediate`: no goodbye, and recovery at the next start."""
    cluster = cluster_of(trial)

    async def begin() -> None:
        await asyncio.to_thread(cluster.stop, "immediate")

    async def end() -> None:
        await asyncio.to_thread(cluster.start)

    await outage(trial, begin, end, seconds=(3.0, 20.0))


async def paused(trial: Trial) -> None:
    """SIGSTOP: connections stay open and nothing is answered."""
    cluster = cluster_of(trial)

    async def begin() -> None:
        cluster.pause()

    async def end() -> None:
        cluster.resume()

    await outage(trial, begin, end, seconds=(6.0, 60.0))


async def exhausted(trial: Trial) -> None:
    """All connections that Postgres gives are taken, and the server's own are ended."""
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
    )  # who was first has a connection


async def backend_killed(trial: Trial) -> None:
    """kill -9 of the backends in use: Postgres itself restarts all of them."""
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
    """Every answer of Postgres comes 300 ms later."""
    cluster = cluster_of(trial)
    async with SlowRelay(cluster.socket_folder, 0.3) as relay:
        # A file costs some twenty questions: one every five seconds for each call is what can be
        # kept up with.
        await trial.install(
            {"SEGMENT_SECONDS": "5"}, route=lambda url: cluster.behind(url, relay.folder)
        )
        trial.call(2)
        await trial.some_time(5.0, 6.0)
        await trial.end_calls(seconds=CAUGHT_UP_SECONDS)


async def locked(trial: Trial) -> None:
    """Another writer holds the lock of SQLite; readers are not held up by it."""

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
    """SIGTERM while no query is answered: the process goes all the same, and the next one catches
    up.
    """
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


NOTHING = "0 ms; levels go on, memory flat, REST says 503"
POSTGRES = ("postgres",)
FAULTS = (
    Fault("postgres-stopped", NOTHING, stopped, POSTGRES),
    Fault("postgres-crashed", NOTHING, crashed, POSTGRES),
    Fault("postgres-paused", NOTHING, paused, POSTGRES),
    Fault("postgres-exhausted", NOTHING, exhausted, POSTGRES),
    Fault("postgres-backend", "0 ms, no row twice", backend_killed, POSTGRES, rounds_long=20),
    Fault("postgres-slow", "0 ms, caught up", slow, POSTGRES),
    Fault("sqlite-locked", "0 ms; levels go on, memory flat", locked, ("sqlite",)),
    Fault(
        "sigterm-database-hangs",
        "200 ms of what was sent, gone in 10 s",
        terminate_while_it_hangs,
        POSTGRES,
    ),
)
