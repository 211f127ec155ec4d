"""What lies in the spool, as names, sizes and times tell: finished files, in what order, and how
much of everything.

A folder can hold thousands of open files, and it is looked at twice a second: names are read in one
go, and only what is finished is looked at further.
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
"""Files of one socket that are listed at a time. What is beyond them is there when these are
sealed.
"""


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """What lies in a folder of one socket: finished files in order; `is_over`: none will follow
    them.
    """

    stream_id: str
    finished: list[Path]
    is_over: bool


class WaitingCall:
    """The sockets of one call that have finished files, one after the other: where one has ended
    the next goes on.
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
        """Whether no other file of the socket follows the next one."""
        stream = self._streams[0]
        return stream.is_over and self._place == len(stream.finished) - 1

    def file_is_sealed(self) -> None:
        self._place += 1
        if self._place == len(self._streams[0].finished):
            self.socket_waits()

    def socket_waits(self) -> None:
        """What follows in the socket needs the state that the next file leaves; other sockets of
        the call do not.
        """
        self._streams.popleft()
        self._place = 0


def stream_of(name: str) -> str:
    """The id of the stream whose file has this name."""
    return name.partition(".")[0]


def streams_in(folder: Path, *, dead: bool) -> Iterator[StreamFiles]:
    """The sockets with finished files.

    Of a living process only what lies before the file that is being written is finished; of a dead
    one everything.
    """
    names = [name for name in os.listdir(folder) if name.endswith(JOURNALS)]  # noqa: PTH208 - thousands of names
    concerned = {stream_of(name) for name in names if dead or name.endswith(".journal")}
    files: dict[str, list[str]] = {}
    for name in sorted(name for name in names if stream_of(name) in concerned):
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
    """Whether the socket's next file is there. It is begun before this one is finished, so this is
    no race; a list of the folder could have missed it.
    """
    stream_id, number = path.name.split(".")[:2]
    following = path.with_name(f"{stream_id}.{int(number) + 1:06d}.open")
    return following.exists() or following.with_suffix(".journal").exists()


def size_of(path: Path) -> int | None:
    """Bytes; None when the file has been renamed or deleted this moment."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def waiting_calls(
    streams: Iterable[StreamFiles], call_of: Callable[[Path], str]
) -> list[WaitingCall]:
    """Oldest first, so that a call's axis is there when its next socket is sealed."""
    calls: dict[str, WaitingCall] = {}
    for stream in sorted(streams, key=lambda stream: stream.finished[0].stat().st_mtime_ns):
        calls.setdefault(call_of(stream.finished[0]), WaitingCall()).add(stream)
    return list(calls.values())


def backlog_of(spool_folder: Path, now: float) -> Backlog:
    """`now`: seconds since the Unix epoch, as file times are."""
    files = size = 0
    oldest = now
    for entry in _files_below(spool_folder):
        try:
            status = entry.stat()
        except FileNotFoundError:  # sealed this moment
            continue
        files, size = files + 1, size + status.st_size
        if entry.name.endswith(".journal"):
            oldest = min(oldest, status.st_mtime)
    return Backlog(files, size, now - oldest)


def _files_below(spool_folder: Path) -> Iterator[os.DirEntry[str] | Path]:
    for folder in spool_folder.iterdir():
        try:
            with os.scandir(folder) as entries:
                yield from (entry for entry in entries if entry.name.endswith(JOURNALS))
        except (FileNotFoundError, NotADirectoryError):  # its process has ended this moment
            continue
