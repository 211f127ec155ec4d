"""The product under test: one or two servers over one database, one spool and one audio store."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import Any

import psutil

from calls.storage import AudioStorage
from calls.storage.local import DurableFileStorage
from tests.servers import Server
from tests.torture import integrity, memory
from tests.torture.databases import Database
from tests.torture.recording import NoAnswer, Recording, recording_of

PAUSE_SECONDS = 0.05
HEAL_SECONDS = 60.0
TIDY_SECONDS = 15.0
"""How long an empty folder of the spool may remain: another process removes it."""
ORPHAN_SECONDS = 20.0
"""How long a child may outlive its server: it may be storing a file in a store that hangs."""
SEGMENT_SECONDS = 1
GRACE_SECONDS = 10
"""Longer than a server takes to start: a caller that reconnects later begins a new call."""
SEGMENT_COUNT = "SELECT COUNT(*) FROM calls_segment"
ENVIRONMENT = {
    "SEGMENT_SECONDS": str(SEGMENT_SECONDS),
    "RECONNECT_GRACE_SECONDS": str(GRACE_SECONDS),
    "REST_RATE_USER": "100000/min",
    "MIN_FREE_DISK_MB": "1",
}


class NotHealed(Exception):
    """A condition that should have become true by itself; the message names it."""


class Installation:
    """An installation for one trial. `server` is the one that is queried; there may be more."""

    def __init__(
        self,
        kind: str,
        database: Database,
        *,
        environment: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        route: Callable[[str], str] = str,
        store: AudioStorage | None = None,
    ) -> None:
        """`route` maps the URL of the fresh database to the one used; `store` holds the objects,
        unless they are files.
        """
        self._folder = TemporaryDirectory(prefix="acsmedia-torture-")
        self.data_dir = data_dir or Path(self._folder.name)
        self.database = database
        self.database_url = route(database.fresh())
        self.kind = kind
        self.store = store or DurableFileStorage(location=str(self.audio))
        self.orphan_seconds = ORPHAN_SECONDS
        self._environment = {
            **ENVIRONMENT,
            "DATABASE_URL": self.database_url,
            **(environment or {}),
        }
        self._children: set[psutil.Process] = set()
        self._starting: set[asyncio.Task[Server]] = set()
        self.servers: list[Server] = []
        self.server = self.add_server()

    @property
    def spool(self) -> Path:
        return self.data_dir / "spool"

    @property
    def audio(self) -> Path:
        return self.data_dir / "audio"

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.server.pid)

    def add_server(self) -> Server:
        """Adds another server, not started, on the same database, spool and store."""
        log = (
            Path(self._folder.name) / f"server-{len(self.servers)}.log"
        )  # not on a disk that is filled by a fault
        server = Server(
            self.kind, environment=self._environment, data_dir=self.data_dir, log_file=log
        )
        self.servers.append(server)
        return server

    async def start(self, server: Server | None = None) -> None:
        """Starts a server on its port and waits until it answers; else raises `AssertionError`."""
        starting = asyncio.create_task(asyncio.to_thread((server or self.server).start))
        self._starting.add(starting)
        await asyncio.shield(starting)  # a thread cannot be cancelled: `stop` waits for it

    async def kill(self, server: Server | None = None) -> None:
        """Sends SIGKILL to the process alone, as in reality; its children must end by
        themselves.
        """
        self._note_children()
        await asyncio.to_thread((server or self.server).kill)

    async def terminate(self, server: Server | None = None, *, seconds: float) -> None:
        """Sends SIGTERM. Raises `AssertionError` if the process is still running after
        `seconds`.
        """
        self._note_children()
        await asyncio.to_thread((server or self.server).terminate, seconds=seconds)

    async def stop(self) -> list[str]:
        """Stops all processes and returns findings for those that should have ended. Idempotent."""
        starting, self._starting = self._starting, set()
        await asyncio.gather(*starting, return_exceptions=True)
        self._note_children()
        for server in self.servers:
            await asyncio.to_thread(server.kill)
        children, self._children = self._children, set()
        alive = await asyncio.to_thread(left_of, children, self.orphan_seconds)
        await asyncio.to_thread(end, alive)
        return [
            f"a child was running {self.orphan_seconds:.0f} s after its server: {each.pid}"
            for each in alive
        ]

    def remove(self) -> None:
        self._folder.cleanup()

    def keep_log(self, name: str) -> Path:
        """Copies the servers' logs to a unique file that outlives the trial."""
        prefix = f"acsmedia-torture-{name}-{self.kind}-{self.database.name}-"
        descriptor, path = mkstemp(prefix=prefix, suffix=".log")
        with os.fdopen(descriptor, "w") as file:
            file.writelines(server.log for server in self.servers)
        return Path(path)

    def freeze(self, server: Server | None = None) -> None:
        """Sends SIGSTOP; returns once the process is stopped, so that nothing more is read."""
        self._note_children()
        stand_still([psutil.Process((server or self.server).pid)])

    def cut_power(self, cut: Callable[[], object]) -> None:
        """Stops all processes, children too; calls `cut`, which copies the disk; then
        kills them.
        """
        everyone = [each for server in self.servers if server.runs for each in family_of(server)]
        stand_still(everyone)
        try:
            cut()
        finally:
            end(everyone)
            for server in self.servers:
                server.kill()

    async def until(
        self, answer: Callable[[], Any], what: str, *, seconds: float = HEAL_SECONDS
    ) -> None:
        """Waits until `answer()` is true. Raises `NotHealed` after `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not answer():
            if loop.time() > deadline:
                raise NotHealed(f"not in {seconds:.0f} s: {what}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def warm(self) -> None:
        """Waits for a first segment, when a sealer has imported and allocated all it needs.

        Raises `NotHealed`.
        """
        await self.until(lambda: self.segment_count() > 0, "a first segment")

    def segment_count(self) -> int:
        ((count,),) = self.database.query(self.database_url, SEGMENT_COUNT)
        return int(count)

    async def sealed(self, *, seconds: float = HEAL_SECONDS) -> None:
        """Waits until no journal is left. Raises `NotHealed`."""
        await self.until(lambda: not self.journals(), "all journals sealed", seconds=seconds)

    def journals(self) -> list[Path]:
        found: list[Path] = []
        for folder in self.spool.iterdir() if self.spool.is_dir() else ():
            with suppress(FileNotFoundError):  # deleted at this moment; `glob` raises this too
                found += [path for path in folder.iterdir() if path.suffix in {".journal", ".open"}]
        return found

    async def recording(self, connection_id: str) -> Recording:
        """Exports a call once its state is final. Raises `NoAnswer`."""
        deadline = asyncio.get_running_loop().time() + GRACE_SECONDS + 5
        while True:
            pulled = await asyncio.to_thread(recording_of, self.server.port, connection_id)
            if pulled.state != "live" or asyncio.get_running_loop().time() > deadline:
                return pulled
            await asyncio.sleep(PAUSE_SECONDS)

    async def faults(self) -> list[str]:
        """Returns all inconsistencies between rows, objects and spool, once all is sealed."""
        deadline = asyncio.get_running_loop().time() + TIDY_SECONDS
        while left := self._leftovers():
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        return [*await asyncio.to_thread(self.misfits), *left]

    def misfits(self) -> list[str]:
        """Returns all inconsistencies between rows and objects."""
        rows = self.database.query(self.database_url, integrity.SEGMENTS)
        return list(integrity.faults_of(rows, self.store))

    def descriptors(self) -> int:
        return memory.descriptors(self.process)

    def memory_mb(self) -> float:
        return memory.memory_bytes(self.process) / 1_000_000

    def _leftovers(self) -> list[str]:
        return list(integrity.leftovers(self.spool, sum(server.runs for server in self.servers)))

    def _note_children(self) -> None:
        self._children.update(
            child for server in self.servers if server.runs for child in family_of(server)[1:]
        )


def family_of(server: Server) -> list[psutil.Process]:
    """Returns a server's process and its children, or nothing if it has ended by itself."""
    try:
        return memory.family(psutil.Process(server.pid))
    except psutil.NoSuchProcess:
        return []


def stand_still(processes: Iterable[psutil.Process]) -> None:
    """Sends SIGSTOP to all; returns once none of them runs."""
    for process in processes:
        try:
            process.send_signal(signal.SIGSTOP)
            while process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
                pass
        except psutil.NoSuchProcess:
            continue


def end(processes: Iterable[psutil.Process]) -> None:
    """Sends SIGKILL to all and waits until they have ended."""
    left = list(processes)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    left_of(left, ORPHAN_SECONDS)


def left_of(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits up to `seconds` for their end; returns the processes still running."""
    left = list(processes)
    deadline = time.monotonic() + seconds
    while (left := [each for each in left if not has_ended(each)]) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return left


def has_ended(process: psutil.Process) -> bool:
    """Returns whether it has ended, also if its exit code was not collected yet, as for children of
    a killed parent.
    """
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


__all__ = ["Installation", "NoAnswer", "NotHealed"]
