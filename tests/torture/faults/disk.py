"""The disk: full, read-only, or after a power cut."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

from tests.servers import Server
from tests.torture import mounts
from tests.torture.caller import Caller
from tests.torture.dashboard import Dashboard, log_in
from tests.torture.databases import path_of
from tests.torture.mounts import PowerCutDisk, SmallDisk
from tests.torture.recording import status_of
from tests.torture.trial import Fault, Trial

POWER_MS = 1_500
"""One fsync interval, plus the duration of a round on a busy disk."""
READY_SECONDS = 5.0
ALARM_SECONDS = 3.0
"""One second to the next check, plus the time a busy machine needs."""
CLEAR_SECONDS = 12.0
"""Five seconds without a problem, doubled for a busy machine."""
ALARMS_IN_LEDGER = (
    "SELECT count(*) FROM calls_ledgerentry WHERE kind = 'alarm' AND reason = 'not_written'"
)
FULL = ["disk_low", "not_written", "not_written"]
"""The alarms of a full disk with two calls."""


async def full(trial: Trial) -> None:
    """Fills a small disk with journals and audio, then frees it. The database is on
    another disk.
    """
    disk = SmallDisk(24)
    try:
        site = await trial.install(data_dir=disk.path)
        port = site.server.port
        dashboard = Dashboard(port, await asyncio.to_thread(log_in, port)).start()
        callers = trial.call(2)
        for _ in range(trial.rounds):
            await trial.some_time(1.5, 3.0)
            await asyncio.to_thread(disk.fill)
            started = time.monotonic()
            await expect_alarms(trial, dashboard, FULL, ALARM_SECONDS)
            trial.note(f"alarms after {time.monotonic() - started:.1f} s")
            await trial.some_time(2.0, 5.0)
            await expect_reported(trial)
            disk.free()
            trial.note(f"full for {time.monotonic() - started:.1f} s")
            await expect_ready(trial)
            await expect_alarms(trial, dashboard, [], CLEAR_SECONDS)
        await trial.some_time(2.0, 3.0)
        await dashboard.end()
        await trial.end_calls(allowed_ms=ALL)
        await explain(trial, callers)
    finally:
        await trial.close()
        disk.close()


async def expect_reported(trial: Trial) -> None:
    """Checks that `/readyz` fails and that the log mentions the full disk."""
    server = trial.site.server
    ready = await asyncio.to_thread(status_of, server.port, "/readyz")
    trial.expect(ready == 503, f"/readyz answered {ready} with a full disk")
    lines = server.log.splitlines()
    found = [line for line in lines if "disk" in line or "No space" in line]
    trial.expect(found, "the full disk is not in the log")


ALL = 10**9


async def expect_alarms(
    trial: Trial, dashboard: Dashboard, expected: list[str], seconds: float
) -> None:
    """Checks that a dashboard shows exactly these alarms of a full disk within `seconds`."""
    deadline = time.monotonic() + seconds
    while (shown := [name for name in dashboard.alarms if name in FULL]) != expected:
        if time.monotonic() > deadline:
            trial.expect(
                holds=False,
                otherwise=f"after {seconds:.0f} s the dashboard shows {shown}, not {expected}",
            )
            return
        await asyncio.sleep(0.05)


async def expect_ready(trial: Trial) -> None:
    """Checks that `/readyz` succeeds again without intervention."""
    port = trial.site.server.port
    deadline = time.monotonic() + READY_SECONDS
    while await asyncio.to_thread(status_of, port, "/readyz") != 200:
        if time.monotonic() > deadline:
            trial.expect(
                holds=False,
                otherwise=f"/readyz did not succeed {READY_SECONDS:.0f} s after space was freed",
            )
            return
        await asyncio.sleep(0.2)


async def explain(trial: Trial, callers: list[Caller]) -> None:
    """Checks that missing audio is a gap with a reason, and that the ledger has the alarms."""
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
        "the gaps of a full disk have the reason not_received, as if ACS had sent nothing",
    )


async def read_only(trial: Trial) -> None:
    """Starts a server on a read-only journal folder: it must report this, and record once
    it can.
    """
    disk = SmallDisk(24)
    try:
        site = trial.prepare(data_dir=disk.path)
        disk.read_only(on=True)
        error = await asyncio.to_thread(error_at_start, site.server)
        disk.read_only(on=False)
        trial.expect(
            "cannot" in error or "Read-only" in error,
            "the start does not report that nothing can be recorded",
        )
        trial.note(f"error at start: {error}")
        await site.start()
        trial.call(1)
        await trial.some_time(1.0, 2.0)
        await trial.end_calls()
    finally:
        await trial.close()
        disk.close()


def error_at_start(server: Server) -> str:
    """Returns the error of a server that cannot record: the last log line, or that of /readyz."""
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
    """Restarts from a disk without any unsynced data; the SQLite file is on it too."""
    disk = PowerCutDisk()

    def move(url: str) -> str:
        if trial.database.name != "sqlite":
            return url
        database = Path(shutil.move(path_of(url), disk.path / "db.sqlite3"))
        # else the cut may take the migrated tables too: a copied file is synced only seconds later
        with database.open("rb") as file:
            os.fsync(file.fileno())
        return f"sqlite:///{database}"

    try:
        site = trial.prepare(data_dir=disk.path, route=move)
        await site.start()
        for _ in range(trial.rounds):
            callers = trial.call(3, reconnects=False)
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
        "audio of that time; counted, a gap with reason",
        full,
        missing=mounts.missing,
        rounds_long=5,
    ),
    Fault(
        "disk-read-only",
        "reported at start; recorded once possible",
        read_only,
        missing=mounts.missing,
    ),
    Fault("power-cut", "the last second", power_cut, missing=mounts.missing, rounds_long=20),
)
