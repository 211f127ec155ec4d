"""The disk: full, read-only, and without power."""

from __future__ import annotations

import asyncio
import shutil
import time

from tests.servers import Server
from tests.torture import mounts
from tests.torture.caller import Caller
from tests.torture.dashboard import Dashboard, log_in
from tests.torture.databases import path_of
from tests.torture.mounts import PowerCutDisk, SmallDisk
from tests.torture.recording import status_of
from tests.torture.trial import Fault, Trial

POWER_MS = 1_500
"""One interval, and what a round of the syncer itself may take on a busy disk."""
READY_SECONDS = 5.0
ALARM_SECONDS = 3.0
"""A second until somebody looks, and what a busy machine takes."""
CLEAR_SECONDS = 12.0
"""Five seconds in which all is well, twice as long on a busy machine."""
ALARMS_IN_LEDGER = (
    "SELECT count(*) FROM calls_ledgerentry WHERE kind = 'alarm' AND reason = 'not_written'"
)
FULL = ["disk_low", "not_written", "not_written"]
"""The alarms of a full disk and two calls."""


async def full(trial: Trial) -> None:
    """Journals and audio lie on a small disk that fills up, and gets room again. The database is
    elsewhere.
    """
    disk = SmallDisk(24)
    try:
        site = await trial.install(data_dir=disk.path)
        port = site.server.port
        dashboard = Dashboard(port, await asyncio.to_thread(log_in, port)).begin()
        callers = trial.call(2)
        for _ in range(trial.rounds):
            await trial.some_time(1.5, 3.0)
            await asyncio.to_thread(disk.fill)
            began = time.monotonic()
            await expect_alarms(trial, dashboard, FULL, ALARM_SECONDS)
            trial.note(f"alarms after {time.monotonic() - began:.1f} s")
            await trial.some_time(2.0, 5.0)
            ready = await asyncio.to_thread(status_of, site.server.port, "/readyz")
            trial.expect(ready == 503, f"/readyz answered {ready} with a full disk")
            alarmed = [
                line
                for line in site.server.log.splitlines()
                if "disk" in line or "No space" in line
            ]
            trial.expect(alarmed, "nothing in the log of a full disk")
            disk.free()
            trial.note(f"full for {time.monotonic() - began:.1f} s")
            await expect_ready(trial)
            await expect_alarms(trial, dashboard, [], CLEAR_SECONDS)
        await trial.some_time(2.0, 3.0)
        await dashboard.end()
        await trial.end_calls(allowed_ms=ALL)
        await explain(trial, callers)
    finally:
        await trial.close()
        disk.close()


ALL = 10**9


async def expect_alarms(
    trial: Trial, dashboard: Dashboard, wanted: list[str], seconds: float
) -> None:
    """A dashboard shows these alarms, and no others of a full disk, in time."""
    deadline = time.monotonic() + seconds
    while (shown := [name for name in dashboard.alarms if name in FULL]) != wanted:
        if time.monotonic() > deadline:
            what = (
                f"after {seconds:.0f} s the dashboard shows the alarms {shown} instead of {wanted}"
            )
            trial.expect(holds=False, what=what)
            return
        await asyncio.sleep(0.05)


async def expect_ready(trial: Trial) -> None:
    """`/readyz` says well again by itself."""
    port = trial.site.server.port
    deadline = time.monotonic() + READY_SECONDS
    while await asyncio.to_thread(status_of, port, "/readyz") != 200:
        if time.monotonic() > deadline:
            trial.expect(
                holds=False,
                what=f"/readyz is not well {READY_SECONDS:.0f} s after there is room again",
            )
            return
        await asyncio.sleep(0.2)


async def explain(trial: Trial, callers: list[Caller]) -> None:
    """What is missing is a gap that says why, and the ledger has the alarms."""
    reasons: set[str] = set()
    for caller in callers:
        recording = await trial.site.recording(caller.connection_id)
        reasons |= {gap["reason"] for track in recording.tracks.values() for gap in track.gaps}
    trial.note(f"gaps say: {', '.join(sorted(reasons))}")
    ((entries,),) = trial.site.database.query(trial.site.database_url, ALARMS_IN_LEDGER)
    trial.expect(
        entries >= len(callers) * trial.rounds, f"{entries} alarms of a full disk in the ledger"
    )
    trial.expect(
        reasons - {"not_received"},
        "the gaps of a full disk say not_received, as if nothing had come",
    )


async def read_only(trial: Trial) -> None:
    """A journal folder that takes nothing when the server starts: it says so, and records once it
    can.
    """
    disk = SmallDisk(24)
    try:
        site = trial.prepare(data_dir=disk.path)
        disk.read_only(on=True)
        said = await asyncio.to_thread(start_in_vain, site.server)
        disk.read_only(on=False)
        trial.expect(
            "cannot" in said or "Read-only" in said,
            "the start does not say that nothing can be recorded",
        )
        trial.note(f"said: {said}")
        await site.start()
        trial.call(1)
        await trial.some_time(1.0, 2.0)
        await trial.end_calls()
    finally:
        await trial.close()
        disk.close()


def start_in_vain(server: Server) -> str:
    """What a server says that cannot record: the last line of its log, or its answer to /readyz."""
    try:
        server.start()
        status = status_of(server.port, "/readyz")
    except AssertionError:
        return server.log.strip().rpartition("\n")[2]
    finally:
        server.kill()
    return (
        f"cannot record: /readyz answers {status}" if status == 503 else f"/readyz answers {status}"
    )


async def power_cut(trial: Trial) -> None:
    """The disk without anything that was not synced; the machine starts again, with the file of
    SQLite on it too.
    """
    disk = PowerCutDisk()

    def move(url: str) -> str:
        if trial.database.name != "sqlite":
            return url
        return f"sqlite:///{shutil.move(path_of(url), disk.path / 'db.sqlite3')}"

    try:
        site = trial.prepare(data_dir=disk.path, route=move)
        await site.start()
        for _ in range(trial.rounds):
            callers = trial.call(3, goes_on=False)
            await trial.some_time(2.0, 5.0)
            await asyncio.to_thread(site.cut_power, disk.cut)
            await asyncio.gather(*(caller.over() for caller in callers))
            await asyncio.to_thread(disk.power_on)
            await site.start()
            await trial.end_calls(allowed_ms=POWER_MS, seconds=30)
    finally:
        await trial.close()
        disk.close()


FAULTS = (
    Fault(
        "disk-full",
        "what came meanwhile; counted, a gap with reason",
        full,
        missing=mounts.missing,
        rounds_long=5,
    ),
    Fault(
        "disk-read-only",
        "said at the start; recorded once it can be",
        read_only,
        missing=mounts.missing,
    ),
    Fault("power-cut", "the last second", power_cut, missing=mounts.missing, rounds_long=20),
)
