"""Rows, objects and spool folders against each other: nothing without its other half, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from calls import audio
from streams.spool import AXES, LOCK

SEGMENTS = (
    "SELECT participant_id, start_sample, sample_count, sha256, audio_name FROM calls_segment"
    " ORDER BY participant_id, start_sample"
)


def faults_of(rows: Sequence[Sequence[Any]], audio_folder: Path) -> Iterator[str]:
    """`rows` as `SEGMENTS` selects them: every promise between rows and objects that does not hold."""
    for before, after in pairwise(rows):
        if before[0] == after[0] and before[1] + before[2] > after[1]:
            yield f"two segments of a track at sample {after[1]}"
    for _, _, count, sha256, name in rows:
        if fault := _fault_of(audio_folder / name, count, sha256):
            yield f"a row whose audio {fault}: {name}"
    known = {name for *_, name in rows}
    for path in sorted(audio_folder.rglob("*")):
        if path.is_file() and str(path.relative_to(audio_folder)) not in known:
            yield f"audio without a row left behind: {path.name}"


def leftovers(spool_folder: Path, processes: int = 1) -> Iterator[str]:
    """What lies in the spool when all is sealed, besides the axes and one empty folder for each living process."""
    folders = [path for path in spool_folder.iterdir() if path.name != AXES]
    if len(folders) > processes:
        yield f"{len(folders)} folders in the spool of {processes} processes"
    for folder in folders:
        for path in folder.iterdir():
            if path.name != LOCK:
                yield f"left behind in the spool: {path.name}"
    for path in (spool_folder / AXES).glob(".*"):
        yield f"left behind in the spool: axes/{path.name}"


def _fault_of(path: Path, sample_count: int, sha256: str) -> str:
    try:
        audio.decode(path.read_bytes(), sample_count=sample_count, sha256=sha256)
    except FileNotFoundError:
        return "is not there"
    except audio.DamagedAudio as error:
        return f"is damaged ({error})"
    return ""
