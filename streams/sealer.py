"""Finished journals become segments: audio store first, rows second, journal deleted last.

One thread per process. What is on disk tells it what to do, so sealing a call in good times, catching up after an
outage and taking over what a dead process left are one and the same code. When a store or the database is away, the
journals wait and the next round comes later; nothing is skipped and nothing is held in memory.

What goes wrong, and what it holds up:

    StoreAway, django.db.Error        everything: store or database is away, the round ends, the next comes later
    DataError, IntegrityError, other  the socket whose file it is: that one is tried again after a while
    UnreadableJournal                 the file: it is set aside
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

import structlog
from django.db import DataError, IntegrityError, connections
from django.db import Error as DatabaseAway
from django.utils import timezone

from calls import deletion
from calls.storage import StoreAway
from streams import rows, spool
from streams.figures import Backlog, SealStage
from streams.journal import Record
from streams.sealed_file import UnreadableJournal, announce_file, seal_file, stream_of

log = structlog.get_logger(__name__)

ROUND_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0
TAKEOVER_SECONDS = 5.0
"""How often the spool is searched for folders of dead processes."""
HEARTBEAT_SECONDS = 5.0
AXIS_SECONDS = 3600.0
"""How long the axis of a call is kept for another socket; later ones find it in the database."""
SWEEP_SECONDS = 60.0
ANNOUNCE_BYTES = 65_536
"""A stream is announced again until its file has this size: a second or two, when everyone has been heard."""
MOST_FAILURES_PER_ROUND = 3
"""When the store or the database has failed so often in one round it is away: the rest waits for the next one."""

JOURNALS = {".journal", ".open"}


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """What lies in a folder of one socket: finished files in order; `is_over`: none will follow them."""

    stream_id: str
    finished: list[Path]
    is_over: bool


class Sealer:
    """`start` it, `wake` it when a journal has been finished, `stop` it. `round` is one pass, for tests too."""

    def __init__(self, spool_folder: Path, own: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool_folder
        self._own = own
        self._clock = clock
        self._due: dict[str, float] = {}
        self._looked_at: dict[Path, int] = {}  # open files, and how much of them was read
        self._told: dict[str, set[Record]] = {}  # open streams, and what was announced of them
        self._set_back: dict[Path, float] = {}  # files that cannot be sealed, and when they are tried again
        self._backoff_seconds = ROUND_SECONDS
        self._waking, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._failed_this_round: Counter[SealStage] = Counter()
        self.segments_sealed = 0
        self.backlog = Backlog()
        self.failures: dict[SealStage, int] = {"store": 0, "database": 0, "journal": 0}

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._waking.set()

    def stop(self, timeout_seconds: float) -> bool:
        """Lets the current file end; what is left is sealed by whoever takes the folder over.

        False when the file had not ended in time (its store or database hangs): the thread then still works on it.
        """
        self._stopping.set()
        self._waking.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def round(self) -> bool:
        """One pass over everything there is to do. False when store or database was away: try again later."""
        self._failed_this_round.clear()
        for step in (self._tell_of_open_streams, self._take_over, self._seal_own, self._clean_up, self._look_around):
            self._guarded("journal", step)
        return not self._failed_this_round

    def _run(self) -> None:
        while not self._stopping.is_set():
            well = self.round()
            connections.close_all()
            self._backoff_seconds = ROUND_SECONDS if well else min(LONGEST_BACKOFF_SECONDS, self._backoff_seconds * 2)
            if well:
                self._waking.wait(ROUND_SECONDS)
                self._waking.clear()
            else:
                self._stopping.wait(self._backoff_seconds)

    def _take_over(self) -> None:
        if not self._is_due("takeover", TAKEOVER_SECONDS):
            return
        for folder in spool.abandoned(self._spool):
            try:
                self._seal_folder(folder.path, dead=True)
                forget_leftovers(folder.path)
            finally:
                folder.release(remove_empty=True)

    def _seal_own(self) -> None:
        self._seal_folder(self._own, dead=False)

    def _clean_up(self) -> None:
        if self._is_due("sweep", SWEEP_SECONDS):
            forget_old_axes(self._spool)
            self._guarded("store", deletion.sweep)

    def _look_around(self) -> None:
        self.backlog = backlog_of(self._spool, time.time())

    def _seal_folder(self, folder: Path, *, dead: bool) -> None:
        for stream in streams_in(folder, dead=dead):
            for path in stream.finished:
                if self._stopping.is_set() or self._is_away:
                    return
                sealed = self._seal(path, last=stream.is_over and path == stream.finished[-1])
                if self._is_due("between", HEARTBEAT_SECONDS):  # a backlog, or a store that hangs: live calls stay live
                    self._tell_of_open_streams()
                if not sealed:
                    break  # what follows needs the state that this file leaves

    def _seal(self, path: Path, *, last: bool) -> bool:
        """Seals one file. One that is itself at fault is set back, and holds up no other socket."""
        if self._clock() < self._set_back.get(path, 0.0):
            return False
        self._set_back.pop(path, None)
        failed = self._guarded("journal", partial(self._seal_now, path, last=last))
        if failed == "journal" and path.exists():
            self._set_back[path] = self._clock() + LONGEST_BACKOFF_SECONDS
        return failed is None

    def _seal_now(self, path: Path, *, last: bool) -> None:
        self.segments_sealed += seal_file(path, self._spool, last=last)

    def _tell_of_open_streams(self) -> None:
        """Calls that go on are rows too: at once, again when their first voices are there, and a heartbeat."""
        files = sorted(self._own.glob("*.open"))
        stream_ids = sorted({stream_of(path) for path in files})
        self._looked_at = {path: self._looked_at[path] for path in files if path in self._looked_at}
        self._told = {stream_id: self._told.get(stream_id, set()) for stream_id in stream_ids}
        for path in files:
            if not self._failed_this_round["database"]:
                self._guarded("journal", partial(self._announce, path))
        if files and not self._failed_this_round["database"] and self._is_due("heartbeat", HEARTBEAT_SECONDS):
            self._guarded("database", lambda: rows.vouch_for(stream_ids, timezone.now()))

    def _announce(self, path: Path) -> None:
        read, size = self._looked_at.get(path, -1), size_of(path)
        if size is not None and read < min(size, ANNOUNCE_BYTES):
            told = self._told[stream_of(path)]
            self._looked_at[path] = announce_file(path, told, at_most=ANNOUNCE_BYTES)

    @property
    def _is_away(self) -> bool:
        return self._failed_this_round.total() >= MOST_FAILURES_PER_ROUND

    def _guarded(self, stage: SealStage, work: Callable[[], object]) -> SealStage | None:
        """Whatever is wrong with one thing keeps no other from its turn: the stage that has failed, if one has."""
        try:
            work()
        except StoreAway as error:
            return self._failed("store", error.__cause__ or error)
        except (DataError, IntegrityError) as error:  # the database is there; these rows it does not take
            return self._failed(stage, error)
        except DatabaseAway as error:
            return self._failed("database", error)
        except UnreadableJournal as error:
            return self._failed("journal", error)
        except Exception as error:
            log.exception("sealing failed", stage=stage)
            return self._failed(stage, error)
        return None

    def _failed(self, stage: SealStage, error: BaseException) -> SealStage:
        self.failures[stage] += 1
        if stage != "journal":
            self._failed_this_round[stage] += 1
        log.warning("sealing waits", stage=stage, error=type(error).__name__, tries=self.failures[stage])
        connections.close_all()
        return stage

    def _is_due(self, what: str, every_seconds: float) -> bool:
        now = self._clock()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every_seconds
        return True


def streams_in(folder: Path, *, dead: bool) -> Iterator[StreamFiles]:
    """The sockets with finished files, oldest first, so that a call's axis is there when its next socket is sealed.

    Of a living process only what lies before the file that is being written is finished; of a dead one everything.
    """
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in JOURNALS:
            files.setdefault(stream_of(path), []).append(path)
    streams = []
    for stream_id, paths in files.items():
        finished = paths if dead else list(takewhile(lambda path: path.suffix == ".journal", paths))
        if finished:
            is_over = dead or (finished == paths and not is_followed(paths[-1]))
            streams.append(StreamFiles(stream_id, finished, is_over))
    yield from sorted(streams, key=lambda stream: stream.finished[0].stat().st_mtime_ns)


def is_followed(path: Path) -> bool:
    """Whether the socket's next file is there. It is begun before this one is finished, so this is no race; a list of
    the folder could have missed it."""
    stream_id, number = path.name.split(".")[:2]
    following = path.with_name(f"{stream_id}.{int(number) + 1:06d}.open")
    return following.exists() or following.with_suffix(".journal").exists()


def size_of(path: Path) -> int | None:
    """Bytes; None when the file has been renamed or deleted this moment."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def backlog_of(spool_folder: Path, now: float) -> Backlog:
    """`now`: seconds since the Unix epoch, as file times are."""
    files = size = 0
    oldest = now
    for path in _files_below(spool_folder):
        try:
            status = path.stat()
        except FileNotFoundError:  # sealed this moment
            continue
        files, size = files + 1, size + status.st_size
        if path.suffix == ".journal":
            oldest = min(oldest, status.st_mtime)
    return Backlog(files, size, now - oldest)


def _files_below(spool_folder: Path) -> Iterator[Path]:
    for folder in spool_folder.iterdir():
        try:
            yield from (path for path in folder.iterdir() if path.suffix in JOURNALS)
        except (FileNotFoundError, NotADirectoryError):  # its process has ended this moment
            continue


def forget_leftovers(folder: Path) -> None:
    """Removes what a crash between two steps has left beside journals, once they are all sealed: without it the folder
    would never be empty. Journals that were set aside stay."""
    left = list(folder.iterdir())
    if any(path.suffix in JOURNALS for path in left):
        return
    for path in left:
        if path.suffix == ".state" or path.name.startswith("."):
            path.unlink(missing_ok=True)


def forget_old_axes(spool_folder: Path) -> None:
    folder = spool_folder / spool.AXES
    oldest = time.time() - AXIS_SECONDS
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:  # another process was faster
            continue
