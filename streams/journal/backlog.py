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

from streams.journal.spool import JOURNALS
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


def backlog_of(spool_folder: Path, now: float) -> Backlog:
    """Measures the backlog; `now` is in seconds since the Unix epoch, like file times."""
    files = size = 0
    oldest = now
    for folder in spool_folder.iterdir():
        try:
            with os.scandir(folder) as entries:
                journals = [entry for entry in entries if entry.name.endswith(JOURNALS)]
        except (FileNotFoundError, NotADirectoryError):  # its process has just ended
            continue
        for journal in journals:
            try:
                status = journal.stat()
            except FileNotFoundError:  # just sealed
                continue
            files, size = files + 1, size + status.st_size
            if journal.name.endswith(".journal"):
                oldest = min(oldest, status.st_mtime)
    return Backlog(files, size, now - oldest)
