"""Finished journals become segments: audio store first, rows second, journal deleted last.

One thread per process. What is on disk tells it what to do, so sealing a call in good times, catching up after an
outage and taking over what a dead process left are one and the same code. When a store or the database is away, the
journals wait and the next round comes later; nothing is skipped and nothing is held in memory.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog
from django.db import Error as DatabaseAway
from django.db import connections
from django.utils import timezone

from calls import audio, deletion, identity, storage
from streams import journal, rows, sealing, spool
from streams.figures import SealStage
from streams.journal import Handshake, Record
from streams.meter import level_of
from streams.rows import StoredSegment
from streams.sealing import StreamState
from streams.seats import seated

log = structlog.get_logger(__name__)

ROUND_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0
TAKEOVER_SECONDS = 5.0
"""How often the spool is searched for folders of dead processes."""
HEARTBEAT_SECONDS = 5.0
AXIS_SECONDS = 3600.0
"""How long the axis of a call is kept for another socket; later ones find it in the database."""
SWEEP_SECONDS = 60.0


MOST_FAILURES_PER_ROUND = 3
"""When the store or the database has failed so often in one round it is away: the rest waits for the next one."""


class StoreAway(Exception):
    """The audio store refused or could not be reached."""


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """What lies in a folder of one socket: finished files in order, and whether one is still being written."""

    stream_id: str
    finished: list[Path]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """All journals on disk, of every process of this spool; `lag_seconds` is the age of the oldest finished one."""

    files: int = 0
    size_bytes: int = 0
    lag_seconds: float = 0.0


class Sealer:
    """`start` it, `wake` it when a journal has been finished, `stop` it. `round` is one pass, for tests too."""

    def __init__(self, spool_folder: Path, own: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool_folder
        self._own = own
        self._clock = clock
        self._due: dict[str, float] = {}
        self._announced: dict[Path, int] = {}
        self._backoff_seconds = ROUND_SECONDS
        self._waking, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._failed_this_round = 0
        self.segments_sealed = 0
        self.backlog = Backlog()
        self.failures: dict[SealStage, int] = {"store": 0, "database": 0, "journal": 0}

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._waking.set()

    def stop(self, timeout_seconds: float) -> None:
        """Lets the current file end; what is left is sealed by whoever takes the folder over."""
        self._stopping.set()
        self._waking.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def round(self) -> bool:
        """One pass over everything there is to do. False when something was away and must be tried again."""
        well, self._failed_this_round = True, 0
        if self._is_due("takeover", TAKEOVER_SECONDS):
            for folder in spool.abandoned(self._spool):
                well &= self._seal_folder(folder.path, dead=True)
                folder.release(remove_empty=True)
        well &= self._tell_of_open_streams()
        well &= self._seal_folder(self._own, dead=False)
        if self._is_due("sweep", SWEEP_SECONDS):
            well &= self._guarded("database", deletion.sweep)
            forget_old_axes(self._spool)
        self.backlog = backlog_of(self._spool, time.time())
        return well

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

    def _is_due(self, what: str, every_seconds: float) -> bool:
        now = self._clock()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every_seconds
        return True

    def _seal_folder(self, folder: Path, *, dead: bool) -> bool:
        well = True
        for stream in streams_in(folder, dead=dead):
            for path in stream.finished:
                if self._stopping.is_set():
                    return well
                last = dead and path == stream.finished[-1]
                sealed = self._guarded_seal(path, last=last)
                well &= sealed
                if not sealed:  # what follows needs the state that this file leaves
                    break
            if self._failed_this_round >= MOST_FAILURES_PER_ROUND:
                return False
        return well

    def _guarded_seal(self, path: Path, *, last: bool) -> bool:
        """Seals one file; whatever is wrong with it keeps no other stream from its turn."""
        try:
            self.segments_sealed += seal_file(path, self._spool, last=last)
        except StoreAway as error:
            return self._failed("store", error.__cause__)
        except DatabaseAway as error:
            return self._failed("database", error)
        except Exception as error:
            log.exception("journal not sealed", journal=path.name)
            return self._failed("journal", error)
        return True

    def _guarded(self, stage: SealStage, work: Callable[[], object]) -> bool:
        try:
            work()
        except (DatabaseAway, OSError) as error:
            return self._failed(stage, error)
        return True

    def _failed(self, stage: SealStage, error: BaseException | None) -> bool:
        self.failures[stage] += 1
        self._failed_this_round += stage != "journal"
        log.warning("sealing waits", stage=stage, error=type(error).__name__, tries=self.failures[stage])
        connections.close_all()
        return False

    def _tell_of_open_streams(self) -> bool:
        """Calls that go on are rows too: at once, again when their first voices are there, and a heartbeat."""
        files = sorted(self._own.glob("*.open"))
        self._announced = {path: size for path, size in self._announced.items() if path in files}
        well = self._guarded("database", lambda: self._announce(files))
        if files and self._is_due("heartbeat", HEARTBEAT_SECONDS):
            ids = sorted({path.name.partition(".")[0] for path in files})
            well &= self._guarded("database", lambda: rows.vouch_for(ids, timezone.now()))
        return well

    def _announce(self, files: list[Path]) -> None:
        for path in files:
            known = self._announced.get(path)
            status = status_of(path)
            if status and (known is None or (known < ANNOUNCE_BYTES and status.st_size != known)):
                self._announced[path] = announce_file(path)


ANNOUNCE_BYTES = 65_536
"""A stream is announced again until its file has this size: a second or two, when everyone has been heard."""


def backlog_of(spool_folder: Path, now: float) -> Backlog:
    """`now`: seconds since the Unix epoch, as file times are."""
    files = [(path, status_of(path)) for path in spool_folder.glob("*/*.*") if path.suffix in {".journal", ".open"}]
    there = [(path, status) for path, status in files if status is not None]
    finished = [status.st_mtime for path, status in there if path.suffix == ".journal"]
    return Backlog(len(there), sum(status.st_size for _, status in there), now - min(finished, default=now))


def status_of(path: Path) -> os.stat_result | None:
    """None when the file has been renamed or deleted this moment."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def announce_file(path: Path) -> int:
    """Writes the rows of a stream that is open, as far as its file tells; the number of bytes that were read."""
    try:
        with path.open("rb") as file:
            content = file.read(ANNOUNCE_BYTES)
    except FileNotFoundError:  # finished this moment: sealing it writes the rows
        return 0
    records = [record for record in journal.parse(content) if not isinstance(record, journal.Audio)]
    handshake = sealing.handshake_in(records)
    if handshake is not None:
        state = StreamState()
        sealing.digest(records, handshake, state, last=False)
        if handshake.sequence > 0:  # a later file repeats the metadata in force, not the connection
            state.subscriptions.pop(0)
        rows.announce(handshake, state.subscriptions.values(), state.voices.values())
    return len(content)


def streams_in(folder: Path, *, dead: bool) -> Iterator[StreamFiles]:
    """The sockets of a folder, oldest first, so that a call's axis is there when its next socket is sealed."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in {".journal", ".open"}:
            files.setdefault(path.name.partition(".")[0], []).append(path)
    streams = [
        StreamFiles(
            stream_id,
            [path for path in paths if dead or path.suffix == ".journal"],
            any(path.suffix == ".open" for path in paths),
        )
        for stream_id, paths in files.items()
    ]
    yield from sorted(streams, key=lambda stream: files[stream.stream_id][0].stat().st_mtime_ns)


def seal_file(path: Path, spool_folder: Path, *, last: bool) -> int:
    """Seals one journal file and deletes it; the number of segments. `last`: its process is dead, nothing follows.

    Raises `StoreAway`, `django.db.Error`, `OSError`; the file is then still there, and trying again is harmless.
    """
    stream_id, sequence = path.name.split(".")[0], int(path.name.split(".")[1])
    records = list(journal.read(path))
    state, handshake = _before(path, stream_id, sequence, records, spool_folder)
    if handshake is None:
        log.error("journal without a handshake set aside", journal=path.name)
        path.rename(path.with_suffix(".unreadable"))
        return 0
    digest = sealing.digest(records, handshake, state, last=last)
    stored: list[StoredSegment] = []
    if not rows.is_sealed(stream_id, sequence):
        segments, duplicate = seated(digest.segments, rows.stored_near(handshake, digest.segments))
        state.subscriptions[state.current].duplicate += duplicate
        stored = [_store(handshake, segment) for segment in segments]
    voices, subscriptions = state.voices.values(), list(state.subscriptions.values())
    rows.write(digest, subscriptions, stored, voices, state.last_us, timezone.now())
    _leave(path, sequence, state, spool_folder, over=bool(digest.closed) or last)
    return len(stored)


def _before(
    path: Path, stream_id: str, sequence: int, records: list[Record], spool_folder: Path
) -> tuple[StreamState, Handshake | None]:
    """The state that the files before have left, and the handshake of this one or, damaged, of those."""
    state_path = _state_path(path, stream_id, sequence)
    handshake = sealing.handshake_in(records)
    if state_path.exists():
        state = sealing.load(state_path.read_bytes())
        return state, handshake or state.handshake
    if handshake is None:
        return StreamState(), None
    axis = spool_folder / spool.AXES / handshake.call_id
    if axis.exists():
        return StreamState(timeline=sealing.load(axis.read_bytes()).timeline), handshake
    return StreamState(timeline=rows.axis_of(handshake)), handshake


def _store(handshake: Handshake, segment: sealing.Segment) -> StoredSegment:
    call_id = handshake.call_id
    participant_id = identity.participant_id_of(UUID(call_id), segment.raw_id)
    name = f"{call_id}/{participant_id}/{segment.start_sample}.{audio.EXTENSION}"
    content = audio.encode(segment.pcm, segment.sample_rate)
    try:
        storage.write_object(name, content)
    except DatabaseAway:
        raise
    except Exception as error:  # every store has exceptions of its own; all of them mean: not stored
        raise StoreAway from error
    level = level_of(segment.pcm)
    return StoredSegment(segment, audio.pcm_hash(segment.pcm), level.peak_dbfs, level.rms_dbfs, name, len(content))


def _leave(path: Path, sequence: int, state: StreamState, spool_folder: Path, *, over: bool) -> None:
    """What the next file, or the call's next socket, needs is on disk before the journal is deleted."""
    stream_id = path.name.partition(".")[0]
    assert state.handshake, "a digest has been made"
    if over:
        (spool_folder / spool.AXES).mkdir(exist_ok=True)
        spool.write_whole(spool_folder / spool.AXES / state.handshake.call_id, sealing.dump(state))
    else:
        spool.write_whole(_state_path(path, stream_id, sequence + 1), sealing.dump(state))
    path.unlink()
    _state_path(path, stream_id, sequence).unlink(missing_ok=True)


def _state_path(path: Path, stream_id: str, sequence: int) -> Path:
    return path.with_name(f"{stream_id}.{sequence:06d}.state")


def forget_old_axes(spool_folder: Path) -> None:
    folder = spool_folder / spool.AXES
    oldest = time.time() - AXIS_SECONDS
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
