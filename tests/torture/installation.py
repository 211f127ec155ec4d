"""The product under test: one or two servers over one database, one spool and one audio store."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import psutil

from tests.servers import Server
from tests.torture import integrity
from tests.torture.databases import Database
from tests.torture.recording import NoAnswer, Recording, recording_of

PAUSE_SECONDS = 0.05
HEAL_SECONDS = 60.0
SEGMENT_SECONDS = 1
GRACE_SECONDS = 1
ENVIRONMENT = {
    "SEGMENT_SECONDS": str(SEGMENT_SECONDS),
    "RECONNECT_GRACE_SECONDS": str(GRACE_SECONDS),
    "REST_RATE_USER": "100000/min",
    "MIN_FREE_DISK_MB": "1",
}


class NotHealed(Exception):
    """Something that had to come true by itself has not; the message says what."""


class Installation:
    """Made for one trial and thrown away after it."""

    def __init__(
        self,
        kind: str,
        database: Database,
        *,
        environment: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        route: Callable[[str], str] = str,
    ) -> None:
        """`route` turns the URL of the fresh database into the one that is used."""
        self._folder = TemporaryDirectory(prefix="acsmedia-torture-")
        self.data_dir = data_dir or Path(self._folder.name)
        self.database = database
        self.database_url = route(database.fresh())
        self.kind = kind
        wanted = {**ENVIRONMENT, "DATABASE_URL": self.database_url, **(environment or {})}
        log = Path(self._folder.name) / "server.log"  # not on a disk that a fault fills
        self.server = Server(kind, environment=wanted, data_dir=self.data_dir, log_file=log)

    @property
    def spool(self) -> Path:
        return self.data_dir / "spool"

    @property
    def audio(self) -> Path:
        return self.data_dir / "audio"

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.server.pid)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def close(self) -> None:
        await asyncio.to_thread(self.server.kill)
        self._folder.cleanup()

    def keep_log(self, name: str) -> Path:
        """Puts the server's log where it outlives the trial."""
        kept = Path(gettempdir()) / f"acsmedia-torture-{name}-{self.kind}-{self.database.name}.log"
        kept.write_text(self.server.log)
        return kept

    def freeze(self) -> None:
        """SIGSTOP; returns when the process stands still, so that nothing is read any more."""
        process = self.process
        os.kill(process.pid, signal.SIGSTOP)
        while process.status() != psutil.STATUS_STOPPED:
            pass

    async def until(self, answer: Callable[[], Any], what: str, *, seconds: float = HEAL_SECONDS) -> None:
        """Waits until `answer()` is true. Raises `NotHealed` after `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not answer():
            if loop.time() > deadline:
                raise NotHealed(f"not in {seconds:.0f} s: {what}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def sealed(self, *, seconds: float = HEAL_SECONDS) -> None:
        """Waits until no journal is left. Raises `NotHealed`."""
        await self.until(lambda: not self.journals(), "all journals sealed", seconds=seconds)

    def journals(self) -> list[Path]:
        return [path for path in self.spool.glob("*/*.*") if path.suffix in {".journal", ".open"}]

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
        return await asyncio.to_thread(self._faults)

    def _faults(self) -> list[str]:
        rows = self.database.query(self.database_url, integrity.SEGMENTS)
        return [*integrity.faults_of(rows, self.audio), *integrity.leftovers(self.spool)]

    def descriptors(self) -> int:
        return int(self.process.num_fds())

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1_000_000


__all__ = ["Installation", "NoAnswer", "NotHealed"]
