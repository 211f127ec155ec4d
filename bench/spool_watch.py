"""Watches the journals of a server while it is under load, from outside.

- Some files are kept by a second name, so that their records can be read after the sealer has
  removed the first.
- What waits for the sealer is counted once a second.
- Files are sampled at many moments: a record that should be there and is not yet shows how much
  later it is written than it says (`arrived_us` is the recorder's own word).
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

LOOK_SECONDS = 1.0
PROBE_SECONDS = 0.005
KEPT_CALL_SECONDS = 6_000.0
"""Calls times seconds that are kept at most: 64 kB each."""
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Waiting:
    """Finished journals that were not sealed at one moment; how old the oldest was."""

    at: float
    files: int
    lag_seconds: float


@dataclass(slots=True)
class Kept:
    """A file of one call; `probes`: (moment in µs before the look, size seen)."""

    connection_id: str
    path: Path
    probes: list[tuple[int, int]] = field(default_factory=list)


class SpoolWatch:
    """`run` it beside the load; `kept` and `waiting` are there afterwards."""

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
        look_at = time.monotonic()
        turn = 0
        while True:
            if time.monotonic() >= look_at:
                self.look()
                look_at = time.monotonic() + LOOK_SECONDS
            if kept := list(self._open.values()):
                self._probe(kept[turn % len(kept)])
                turn += 1
            await asyncio.sleep(PROBE_SECONDS)

    def look(self) -> None:
        """Keeps what is new and counts what waits."""
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
        """All that lie in the spool now, of every process."""
        return [path for path in self._spool.glob("*/*") if path.suffix in {".open", ".journal"}]

    def _take(self, path: Path) -> None:
        """A second name for the file, which is renamed and then removed under its first."""
        kept = self._folder / path.stem
        try:
            os.link(path, kept)
        except FileNotFoundError:  # finished or sealed this moment: another one will do
            return
        with kept.open("rb") as file:
            head = file.read(HEAD_BYTES)
        handshake = next(islice(records.parse(head), 1), None)
        if not isinstance(handshake, Handshake) or handshake.call_connection_id not in self._keep:
            kept.unlink()
            return
        one = Kept(handshake.call_connection_id, kept)
        self.kept.append(one)
        self._open[handshake.call_connection_id] = one  # in place of the call's file before

    def _probe(self, kept: Kept) -> None:
        now_us = time.time_ns() // 1000
        kept.probes.append((now_us, kept.path.stat().st_size))


def to_keep(connection_ids: list[str], seconds: float) -> set[str]:
    """Calls whose journals are kept: evenly spread, and no more than there is room for."""
    most = max(1, int(KEPT_CALL_SECONDS / max(1.0, seconds)))
    step = -(-len(connection_ids) // most)
    return set(connection_ids[::step])
