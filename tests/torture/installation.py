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
"""How long a folder of the spool may outlive the last file in it: somebody has to come by."""
ORPHAN_SECONDS = 20.0
"""How long a child may outlive its server: the file in its hands, in a store that does not
answer.
"""
SEGMENT_SECONDS = 1
GRACE_SECONDS = 1
SEGMENT_COUNT = "SELECT COUNT(*) FROM calls_segment"
ENVIRONMENT = {
    "SEGMENT_SECONDS": str(SEGMENT_SECONDS),
    "RECONNECT_GRACE_SECONDS": str(GRACE_SECONDS),
    "REST_RATE_USER": "100000/min",
    "MIN_FREE_DISK_MB": "1",
}


class NotHealed(Exception):
    """Something that had to come true by itself has not; the message says what."""


class Installation:
    """Made for one trial and thrown away after it. `server` is the one that is asked; there may be
    more of them.
    """

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
        """`route` turns the URL of the fresh database into the one that is used; `store`: the
        objects, unless files.
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
        """Another one, not started, on the same database, spool and store."""
        log = (
            Path(self._folder.name) / f"server-{len(self.servers)}.log"
        )  # not on a disk that a fault fills
        made = Server(
            self.kind, environment=self._environment, data_dir=self.data_dir, log_file=log
        )
        self.servers.append(made)
        return made

    async def start(self, server: Server | None = None) -> None:
        """Starts it, again on the same port, and waits until it answers. Raises `AssertionError`
        when it does not.
        """
        starting = asyncio.create_task(asyncio.to_thread((server or self.server).start))
        self._starting.add(starting)
        await asyncio.shield(
            starting
        )  # a thread cannot be cancelled: `stop` waits for what it starts

    async def kill(self, server: Server | None = None) -> None:
        """kill -9. Of the process alone, as in reality: its children see to their own end."""
        self._note_children()
        await asyncio.to_thread((server or self.server).kill)

    async def terminate(self, server: Server | None = None, *, seconds: float) -> None:
        """SIGTERM. Raises `AssertionError` when the process is not gone in so many seconds."""
        self._note_children()
        await asyncio.to_thread((server or self.server).terminate, seconds=seconds)

    async def stop(self) -> list[str]:
        """Ends what still runs; again, nothing. What it had to do that should not have been
        needed.
        """
        starting, self._starting = self._starting, set()
        await asyncio.gather(*starting, return_exceptions=True)
        self._note_children()
        for server in self.servers:
            await asyncio.to_thread(server.kill)
        children, self._children = self._children, set()
        alive = await asyncio.to_thread(left_of, children, self.orphan_seconds)
        await asyncio.to_thread(end, alive)
        return [
            f"a child was there {self.orphan_seconds:.0f} s after its server: {each.pid}"
            for each in alive
        ]

    def remove(self) -> None:
        self._folder.cleanup()

    def keep_log(self, name: str) -> Path:
        """Puts what the servers logged where it outlives the trial, under a name that no other run
        takes.
        """
        prefix = f"acsmedia-torture-{name}-{self.kind}-{self.database.name}-"
        descriptor, path = mkstemp(prefix=prefix, suffix=".log")
        with os.fdopen(descriptor, "w") as file:
            file.writelines(server.log for server in self.servers)
        return Path(path)

    def freeze(self, server: Server | None = None) -> None:
        """SIGSTOP; returns when the process stands still, so that nothing is read any more."""
        self._note_children()
        stand_still([psutil.Process((server or self.server).pid)])

    def cut_power(self, cut: Callable[[], object]) -> None:
        """Every process stands still, children too; `cut` takes what the disk holds; then none of
        them is there.
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
        """Waits for a first segment: with it a sealer has imported and allocated what it will.
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
            with suppress(
                FileNotFoundError
            ):  # emptied, and taken away this moment; `glob` raises that as well
                found += [path for path in folder.iterdir() if path.suffix in {".journal", ".open"}]
        return found

    async def recording(self, connection_id: str) -> Recording:
        """Pulls a call, when its state is final. Raises `NoAnswer`."""
        deadline = asyncio.get_running_loop().time() + GRACE_SECONDS + 5
        while True:
            pulled = await asyncio.to_thread(recording_of, self.server.port, connection_id)
            if pulled.state != "live" or asyncio.get_running_loop().time() > deadline:
                return pulled
            await asyncio.sleep(PAUSE_SECONDS)

    async def faults(self) -> list[str]:
        """What does not fit between rows, objects and spool, once everything is sealed."""
        deadline = asyncio.get_running_loop().time() + TIDY_SECONDS
        while left := self._leftovers():
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        return [*await asyncio.to_thread(self.misfits), *left]

    def misfits(self) -> list[str]:
        """What does not fit between rows and objects."""
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
    """The process of a server and its children; none where it has ended by itself."""
    try:
        return memory.family(psutil.Process(server.pid))
    except psutil.NoSuchProcess:
        return []


def stand_still(processes: Iterable[psutil.Process]) -> None:
    """SIGSTOP to all of them; returns when none of them runs any more."""
    for process in processes:
        try:
            process.send_signal(signal.SIGSTOP)
            while process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
                pass
        except psutil.NoSuchProcess:
            continue


def end(processes: Iterable[psutil.Process]) -> None:
    """kill -9, and waits until they are gone."""
    left = list(processes)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    left_of(left, ORPHAN_SECONDS)


def left_of(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits so long until they have ended; those that have not."""
    left = list(processes)
    deadline = time.monotonic() + seconds
    while (left := [each for each in left if not has_ended(each)]) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return left


def has_ended(process: psutil.Process) -> bool:
    """Also when nobody has asked for its exit code yet, as it is with children whose parent was
    killed.
    """
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


__all__ = ["Installation", "NoAnswer", "NotHealed"]
