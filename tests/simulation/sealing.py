"""Sealing under simulation: the real steps, interrupted between any two of them, against rows in
SQLite and a store in memory.

Several processes seal the call, each the files of its own folder and of dead ones, as the sealer
does: during the call, or all at its end. With the kind "sealing" they die between two steps, the
store refuses, the database fails at any statement, and the axes of the call are lost. Axes older
than an hour are removed, as the sealer does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from fcntl import LOCK_EX, flock
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from django.core.files.base import File
from django.db import Error as DatabaseError
from django.db import OperationalError, connection, transaction

from calls.storage import AudioStorage, StoreUnreachable, audio_store
from streams.journal.backlog import WaitingCall, streams_in, waiting_calls
from streams.journal.records import Handshake
from streams.journal.spool import AXES, JOURNALS, LOCK
from streams.sealing import steps
from streams.sealing.digest import SubscriptionFacts
from streams.sealing.rows import Announcement, OverlapFound
from streams.sealing.rows import announce as announce_sockets
from streams.sealing.sealer import AXIS_SECONDS
from streams.sealing.steps import SealJob
from tests.simulation import rows
from tests.simulation.recorder import Recorder, Stored

MAX_PASSES = 60
"""Passes without trouble, after which all files must be sealed."""


class MemoryStore(AudioStorage):
    """Objects in memory; `is_away`: nothing can be saved."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.is_away = False

    def _save(self, name: str, content: Any) -> str:
        if self.is_away:
            raise StoreUnreachable("the store is unreachable")
        self.held[name] = content.read()
        return name

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if name not in self.held:
            raise FileNotFoundError(name)
        return File(BytesIO(self.held[name]), name=name)

    def exists(self, name: str) -> bool:
        return name in self.held

    def delete(self, name: str) -> None:
        self.held.pop(name, None)


class Killed(Exception):
    """The process dies here."""


def sealed(recorder: Recorder) -> Stored:
    """Plays the call, seals its journals, and returns what rows and store contain."""
    store = audio_store()
    assert isinstance(store, MemoryStore), "the settings of the simulation name it"
    store.held.clear()
    store.is_away = False
    with transaction.atomic():
        with closing(Sealers(recorder, store)) as sealer:
            for event in recorder.run():
                if event.kind == "open":
                    announce(recorder.recordings[event.socket].stream.handshake)
                else:
                    sealer.work()
            sealer.finish()
        stored = rows.stored_rows()
        stored.faults += [("state", text) for text in rows.faults_of_state(recorder)]
        stored.faults += [("export", text) for text in rows.faults_of_export(stored)]
        transaction.set_rollback(True)
    return stored


def announce(handshake: Handshake) -> None:
    """Writes the rows of a socket that has just been opened, as its sealer does."""
    facts = SubscriptionFacts(0, handshake.connected_at_us)
    announce_sockets([Announcement(handshake, [facts], [])])


class Sealers:
    """The sealers of all processes of the call."""

    def __init__(self, recorder: Recorder, store: MemoryStore) -> None:
        plan = recorder.world.plan
        self._recorder = recorder
        self._store = store
        self._has_trouble = bool(plan.of("sealing"))
        self._random = Random(f"sealing {plan.seed} {[one.seed for one in plan.of('sealing')]}")
        self._is_live = self._random.random() < 0.5
        self._axes_until_us = 0
        self._locks: dict[int, int] = {}  # of the folders of living processes

    def work(self) -> None:
        """Seals while the call goes on, in half of the calls."""
        if not self._is_live:
            return
        self._remove_axes()
        if self._has_trouble:
            self._pass(self._with_trouble)
        else:
            self._pass(self._without_trouble)

    def finish(self) -> None:
        """Seals everything that is left; first with trouble, then without."""
        if self._has_trouble:
            for _ in range(self._random.randrange(2, 6)):
                self._remove_axes()
                self._pass(self._with_trouble)
        for _ in range(MAX_PASSES):
            if not self._files():
                return
            self._pass(self._without_trouble)
        raise AssertionError(f"never sealed: {[path.name for path in self._files()]}")

    def close(self) -> None:
        """All processes end."""
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()

    def _lock_folders(self) -> None:
        """Holds the locks of the processes that live."""
        recorder = self._recorder
        for process in {one.socket.process for one in recorder.recordings.values()}:
            if process in recorder.dead:
                if process in self._locks:
                    os.close(self._locks.pop(process))
            elif process not in self._locks:
                path = recorder.folder(process) / LOCK
                lock = self._locks[process] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                flock(lock, LOCK_EX)

    def _remove_axes(self) -> None:
        """Removes the axes of closed sockets an hour after the last one, or when they are lost."""
        axes = self._recorder.spool / AXES
        is_lost = self._has_trouble and self._random.random() < 0.2
        if axes.exists() and (is_lost or self._recorder.now_us > self._axes_until_us):
            shutil.rmtree(axes)
        self._axes_until_us = self._recorder.now_us + round(AXIS_SECONDS * 1_000_000)

    def _files(self) -> list[Path]:
        spool = self._recorder.spool
        return [path for path in spool.rglob("*") if path.suffix in JOURNALS]

    def _pass(self, seal: Callable[[SealJob], bool]) -> None:
        """One process seals its own files and those of dead processes."""
        recorder = self._recorder
        self._lock_folders()
        alive = [
            process
            for process in {one.socket.process for one in recorder.recordings.values()}
            if process not in recorder.dead
        ]
        own = [self._random.choice(alive)] if alive else []
        streams = [
            stream
            for process in [*sorted(recorder.dead), *own]
            for stream in streams_in(recorder.folder(process), dead=process in recorder.dead)
        ]
        for call in waiting_calls(streams, steps.call_of):
            self._seal_call(call, seal)

    def _seal_call(self, call: WaitingCall, seal: Callable[[SealJob], bool]) -> None:
        while path := call.path:
            job = SealJob(path, call.is_last)
            if seal(job):
                call.advance()
            else:
                call.skip_socket()

    def _without_trouble(self, job: SealJob) -> bool:
        try:
            for step in self._steps(job):
                step()
        except OverlapFound:
            return False
        return not job.follows_unsealed

    def _with_trouble(self, job: SealJob) -> bool:
        fails_at = self._random.choice((0, 1, 2, 3, 3, 4, 4))
        way = self._random.choice(("before", "store", "database"))
        try:
            for number, step in enumerate(self._steps(job)):
                _die(number == fails_at and way == "before")
                self._store.is_away = number == fails_at and way == "store"
                broken = number == fails_at and way == "database"
                with database_fails_after(self._random.randrange(12) if broken else None):
                    step()
        except (Killed, StoreUnreachable, DatabaseError):
            return False
        finally:
            self._store.is_away = False
        return not job.follows_unsealed

    def _steps(self, job: SealJob) -> Iterator[Callable[[], object]]:
        spool = self._recorder.spool
        yield lambda: steps.prepare([job], spool)
        if job.follows_unsealed:  # it waits, as long as it takes: here no process hangs
            return
        yield lambda: steps.store_audio(job)
        if job.addition:
            yield lambda: self._write([job])
            yield lambda: steps.finish([job], spool)

    def _write(self, jobs: Sequence[SealJob]) -> None:
        with transaction.atomic():
            steps.write_rows(jobs)


def _die(now: bool) -> None:
    if now:
        raise Killed


@contextmanager
def database_fails_after(statements: int | None) -> Iterator[None]:
    """Makes the database fail after this many more statements; None: never."""
    left = statements

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        if left is not None and not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            if left == 0:
                raise OperationalError("the server is down")
            left -= 1
        return run(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(execute):
        yield
