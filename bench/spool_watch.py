"""Watches the journals of a server under load, from outside.

- Some files are kept under a second name, so that their records can be read after the sealer has
  removed the first.
- Files that wait for the sealer are counted once a second.
- Growing files are sampled often: a missing record shows the delay between its `arrived_us`, as
  reported by the recorder, and the write.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from streams.journal import records
from streams.journal.records import Handshake

CHECK_SECONDS = 1.0
PROBE_SECONDS = 0.005
KEPT_CALL_SECONDS = 6_000.0
"""Maximum of calls times seconds that are kept: 64 kB each."""
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Waiting:
    """Finished journals not sealed at one moment, and the age of the oldest."""

    at: float
    files: int
    lag_seconds: float


@dataclass(slots=True)
class Kept:
    """A file of one call; `probes` are (time in µs before the sample, size)."""

    connection_id: str
    path: Path
    probes: list[tuple[int, int]] = field(default_factory=list)


class SpoolWatch:
    """`run` it during the load; read `kept` and `waiting` afterwards."""

    def __init__(self, spool: Path, folder: Path, keep: set[str]) -> None:
        self._spool = spool
        self._folder = folder
        self._keep = keep
        self._seen: set[str] = set()
        self._open: dict[str, Kept] = {}
        self.kept: list[Kept] = []
        self.waiting: list[Waiting] = []
        folder.mkdir()

    async def run(self) -> None:
        check_at = time.monotonic()
        turn = 0
        while True:
            if time.monotonic() >= check_at:
                self.check()
                check_at = time.monotonic() + CHECK_SECONDS
            if kept := list(self._open.values()):
                self._probe(kept[turn % len(kept)])
                turn += 1
            await asyncio.sleep(PROBE_SECONDS)

    def check(self) -> None:
        """Keeps new files and counts the waiting ones."""
        files, oldest, now = 0, time.time(), time.time()
        for path in self.journals():
            if path.suffix == ".journal":
                files += 1
                with suppress(FileNotFoundError):
                    oldest = min(oldest, path.stat().st_mtime)
            if path.stem not in self._seen:
                self._seen.add(path.stem)
                self._take(path)
        self.waiting.append(Waiting(now, files, now - oldest))

    def journals(self) -> list[Path]:
        """Returns all files in the spool, of every process."""
        return [path for path in self._spool.glob("*/*") if path.suffix in {".open", ".journal"}]

    def _take(self, path: Path) -> None:
        """Adds a second name to the file, whose first is renamed and then removed."""
        kept = self._folder / path.stem
        try:
            os.link(path, kept)
        except FileNotFoundError:  # just finished or sealed: another will do
            return
        with kept.open("rb") as file:
            head = file.read(HEAD_BYTES)
        handshake = next(islice(records.parse(head), 1), None)
        if not isinstance(handshake, Handshake) or handshake.call_connection_id not in self._keep:
            kept.unlink()
            return
        one = Kept(handshake.call_connection_id, kept)
        self.kept.append(one)
        self._open[handshake.call_connection_id] = one  # replaces the previous file of the call

    def _probe(self, kept: Kept) -> None:
        now_us = time.time_ns() // 1000
        kept.probes.append((now_us, kept.path.stat().st_size))


def to_keep(connection_ids: list[str], seconds: float) -> set[str]:
    """Returns the calls whose journals are kept: evenly spread, within the limit."""
    most = max(1, int(KEPT_CALL_SECONDS / max(1.0, seconds)))
    step = -(-len(connection_ids) // most)
    return set(connection_ids[::step])
