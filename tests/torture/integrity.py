"""Consistency of rows, objects and spool folders: no row or object without the other, no
leftovers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from calls.audio import codec
from calls.storage import AudioStorage
from streams.journal.spool import AXES

LOCKS = ".lock"
"""Suffixes of lock files: of a recorder and of its sealer."""

SEGMENTS = (
    "SELECT participant_id, start_sample, sample_count, sha256, audio_name FROM calls_segment"
    " ORDER BY participant_id, start_sample"
)


def faults_of(rows: Sequence[Sequence[Any]], store: AudioStorage) -> Iterator[str]:
    """Yields every broken promise between rows, as selected by `SEGMENTS`, and objects."""
    for before, after in pairwise(rows):
        if before[0] == after[0] and before[1] + before[2] > after[1]:
            yield f"two segments of a track at sample {after[1]}"
    for _, _, count, sha256, name in rows:
        if fault := _fault_of(store, name, count, sha256):
            yield f"a row whose audio {fault}: {name}"
    known = {name for *_, name in rows}
    for found in store.objects():
        if found.name not in known:
            yield f"audio without a row left behind: {found.name}"


def leftovers(spool_folder: Path, processes: int = 1) -> Iterator[str]:
    """Yields files in the spool after sealing, except the axes and one empty folder per process."""
    folders = (
        [path for path in spool_folder.iterdir() if path.name != AXES]
        if spool_folder.is_dir()
        else []
    )
    if len(folders) > processes:
        yield f"{len(folders)} folders in the spool of {processes} processes"
    for folder in folders:
        for path in _entries(folder):
            if path.suffix != LOCKS:
                yield f"left behind in the spool: {path.name}"
    for path in (spool_folder / AXES).glob(".*"):
        yield f"left behind in the spool: axes/{path.name}"


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:  # deleted at this moment
        return []


def _fault_of(store: AudioStorage, name: str, sample_count: int, sha256: str) -> str:
    try:
        with store.open(name) as file:
            codec.decode(file.read(), sample_count=sample_count, sha256=sha256)
    except FileNotFoundError:
        return "is not there"
    except codec.DamagedAudio as error:
        return f"is damaged ({error})"
    return ""
