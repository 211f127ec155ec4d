"""Contents of the spool by file names, sizes and times: finished files, their order, totals.

A folder can contain thousands of open files and is scanned twice a second: names are read in one
go, and only finished files are examined further.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from streams.journal.spool import JOURNALS, is_owned
from streams.stats import Backlog

MAX_LISTED = 64
"""Files of one socket listed at a time; the rest is listed once these are sealed."""


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """Finished files of one socket, in order; `is_over`: no other file will follow."""

    stream_id: str
    finished: list[Path]
    is_over: bool


class WaitingCall:
    """Sockets of one call that have finished files, one after the other: where one ends the next
    continues.
    """

    def __init__(self) -> None:
        self._streams: deque[StreamFiles] = deque()
        self._place = 0

    def add(self, stream: StreamFiles) -> None:
        self._streams.append(stream)

    @property
    def path(self) -> Path | None:
        """The next file; None when there is no more."""
        return self._streams[0].finished[self._place] if self._streams else None

    @property
    def is_last(self) -> bool:
        """Whether the next file is the last one of its socket."""
        stream = self._streams[0]
        return stream.is_over and self._place == len(stream.finished) - 1

    def advance(self) -> None:
        self._place += 1
        if self._place == len(self._streams[0].finished):
            self.skip_socket()

    def skip_socket(self) -> None:
        """Skips the current socket: its later files need the state left by the next one; other
        sockets do not.
        """
        self._streams.popleft()
        self._place = 0


def stream_of(name: str) -> str:
    """Returns the id of the stream from one of its file names."""
    return name.partition(".")[0]


def streams_in(folder: Path, *, dead: bool) -> Iterator[StreamFiles]:
    """Yields the sockets with finished files.

    In the folder of a dead process all files are finished; otherwise only those before the file
    being written.
    """
    names = [name for name in os.listdir(folder) if name.endswith(JOURNALS)]  # noqa: PTH208 - thousands of names
    relevant = {stream_of(name) for name in names if dead or name.endswith(".journal")}
    files: dict[str, list[str]] = {}
    for name in sorted(name for name in names if stream_of(name) in relevant):
        files.setdefault(stream_of(name), []).append(name)
    for stream_id, of_stream in files.items():
        finished = (
            of_stream
            if dead
            else list(takewhile(lambda name: name.endswith(".journal"), of_stream))
        )
        if finished:
            paths = [folder / name for name in finished[:MAX_LISTED]]
            is_all = len(paths) == len(of_stream)
            yield StreamFiles(stream_id, paths, is_all and (dead or not is_followed(paths[-1])))


def is_followed(path: Path) -> bool:
    """Whether the socket's next file exists. It is created before this one is finished, so there is
    no race, while a folder listing could have missed it.
    """
    stream_id, number = path.name.split(".")[:2]
    following = path.with_name(f"{stream_id}.{int(number) + 1:06d}.open")
    return following.exists() or following.with_suffix(".journal").exists()


def size_of(path: Path) -> int | None:
    """Returns the size in bytes; None if the file has just been renamed or deleted."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def waiting_calls(
    streams: Iterable[StreamFiles], call_of: Callable[[Path], str]
) -> list[WaitingCall]:
    """Groups streams by call, oldest first, so that a call's axis exists when its next socket is
    sealed.
    """
    calls: dict[str, WaitingCall] = {}
    for stream in sorted(streams, key=lambda stream: stream.finished[0].stat().st_mtime_ns):
        calls.setdefault(call_of(stream.finished[0]), WaitingCall()).add(stream)
    return list(calls.values())


def backlog_of(
    spool_folder: Path, now: float, own: Path | None = None, held: Iterable[Path] = ()
) -> Backlog:
    """Measures the backlog; `now` is in seconds since the Unix epoch, like file times.

    The share of the process with the folder `own` is what lies there and in the folders that it
    holds. What no process holds is counted by the first of those that live.
    """
    # one whose name is hidden belongs to a process that is just starting
    folders = [folder for folder in spool_folder.iterdir() if not folder.name.startswith(".")]
    measured = {folder: _measure(folder) for folder in folders}
    oldest = min([now, *(one.oldest for one in measured.values())])
    ours = _share_of(own, folders, held) if own else ()
    shares = [measured[folder] for folder in ours if folder in measured]
    return Backlog(
        sum(one.files for one in measured.values()),
        sum(one.size_bytes for one in measured.values()),
        now - oldest,
        sum(one.files for one in shares),
        sum(one.size_bytes for one in shares),
    )


class _Measured(NamedTuple):
    """Journals of a folder. `oldest`: time of the oldest finished one, infinite without one."""

    files: int = 0
    size_bytes: int = 0
    oldest: float = float("inf")


def _measure(folder: Path) -> _Measured:
    files, size, oldest = 0, 0, float("inf")
    try:
        with os.scandir(folder) as entries:
            journals = [entry for entry in entries if entry.name.endswith(JOURNALS)]
    except (FileNotFoundError, NotADirectoryError):  # its process has just ended
        return _Measured()
    for journal in journals:
        try:
            status = journal.stat()
        except FileNotFoundError:  # just sealed
            continue
        files, size = files + 1, size + status.st_size
        if journal.name.endswith(".journal"):
            oldest = min(oldest, status.st_mtime)
    return _Measured(files, size, oldest)


def _share_of(own: Path, folders: Iterable[Path], held: Iterable[Path]) -> set[Path]:
    """Returns the folders whose journals this process counts."""
    ours = {own, *held}
    others = {folder: is_owned(folder) for folder in folders if folder not in ours}
    living = [folder for folder, is_held in others.items() if is_held]
    is_first = own.name < min((folder.name for folder in living), default="~")
    return ours | {folder for folder, is_held in others.items() if is_first and not is_held}
