"""Sealing of finished journals: audio store first, rows second, journal deleted last.

One thread per process. The files on disk decide what it does, so sealing a live call, catching up
after an outage and taking over the folder of a dead process are the same code. While the store or
the database is unreachable, journals wait and a later round tries again; nothing is skipped, and
nothing is held in memory.

Calls take turns, one file each, so no call waits for the backlog of another. The files of a turn
share the cost of each step (`steps`); when a step fails for several files at once, it is repeated
for each of them alone.

Errors, and the work that each of them delays:

    StoreUnreachable, django.db.Error     everything: the store or the database is unreachable,
                                          the round ends and a later one tries again
    DataError, IntegrityError, any other  the socket of the file, which is retried after a while
    UnreadableJournal                     the file, which is set aside
    OverlapFound                          the file; the next round finds the audio it overlaps.
                                          Nothing is wrong, so it does not count as a failure
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from django.db import DataError, IntegrityError, connections
from django.db import Error as DatabaseError
from django.utils import timezone

from calls.live.messages import AlarmNews, Refusals
from calls.storage import StoreUnreachable, cause_of
from calls.storage.sweeper import Sweeper
from streams.journal import spool
from streams.journal.backlog import WaitingCall, size_of, streams_in, waiting_calls
from streams.refused import ReceivedRows, RefusedSource
from streams.sealing import announcements, steps
from streams.sealing.announcements import Heartbeat, JournalUpdate, OpenJournals
from streams.sealing.backlog_watch import CHECK_SECONDS, BacklogWatch, pause_after
from streams.sealing.failures import FailureLog, ProcessStatus
from streams.sealing.rows import OverlapFound
from streams.sealing.steps import SealJob, UnreadableJournal
from streams.stats import Backlog, SealStage

log = structlog.get_logger(__name__)
T = TypeVar("T")

ROUND_SECONDS = 0.5
GATHER_SECONDS = 0.3
"""Wait after a file is finished, so that files finished by then share the cost. With hundreds of
calls there always are some.
"""
LONGEST_BACKOFF_SECONDS = 15.0
TAKEOVER_SECONDS = 5.0
"""Interval between searches of the spool for folders of dead processes, and the longest round:
under a steady load a longer one would delay the work at its beginning and its end for ever.
"""
FAILURES_SECONDS = 5.0
AXIS_SECONDS = 3600.0
"""How long the axis of a call is kept for another socket; later ones read it from the database."""
AXES_SECONDS = 60.0
LONGEST_CAUSE = 200
"""Characters of a cause that are kept, as in its column."""
MAX_FAILURES_PER_ROUND = 3
"""After this many failures of the store or the database it counts as unreachable, and the rest
waits for the next round.
"""
BATCH_FILES = 20
BATCH_BYTES = 16 * 1024 * 1024
"""Bounds of one batch; at this size the rows of a file cost a tenth of their cost alone."""
WAIT_SECONDS = 60.0
"""How long a socket waits for the one before it: the process that seals that one may hang."""
BATCH_SECONDS = 2.0
"""When storing takes longer, the audio stored so far becomes rows before more is stored."""


class Sealer:
    """`start` it, `wake` it when a journal has been finished, `stop` it. Tests call `round`."""

    def __init__(
        self,
        spool_folder: Path,
        own: Path,
        clock: Callable[[], float] = time.monotonic,
        wall_clock_lead: Callable[[], float] = lambda: time.time() - time.monotonic(),
    ) -> None:
        self._spool = spool_folder
        self._heartbeat = Heartbeat(own, clock, wall_clock_lead)
        self.sweeper = Sweeper(clock)
        self._own = own
        self._clock = clock
        self._due: dict[str, float] = {}
        self._open_journals = OpenJournals(own)
        self._retry_at: dict[Path, float] = {}  # files that failed by their own fault
        self._failed_files: set[Path] = set()  # in this round
        self._waits_until: dict[Path, float] = {}  # files whose socket waits for an earlier one
        self._has_more, self._last_error = False, ""  # the round ended with files left to seal
        self._backoff_seconds = ROUND_SECONDS
        self._waking, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._failed_this_round: Counter[SealStage] = Counter()
        self._failure_log = FailureLog(spool_folder, own, timezone.now())
        self.held: list[Path] = []  # folders of dead processes that are being sealed
        self._backlog_watch = BacklogWatch(spool_folder, own, self.held, clock)
        self.refusals: Callable[[], Refusals] = lambda: Refusals(from_acs={}, others={})
        self.refused: RefusedSource = ReceivedRows()
        self.alarms: Callable[[], list[AlarmNews] | None] = lambda: None
        self.segments_sealed, self.backlog = 0, Backlog()
        self.failures: dict[SealStage, int] = {"store": 0, "database": 0, "journal": 0}

    def start(self) -> None:
        self._thread.start()
        self._heartbeat.start()

    def wake(self) -> None:
        self._waking.set()

    def stop(self, timeout_seconds: float) -> bool:
        """Finishes the current files; the process that takes the folder over seals the rest.

        Returns False when they were not finished in time (the store or the database hangs): the
        thread is then still working on them.
        """
        self._stopping.set()
        self._heartbeat.stop()
        self.sweeper.stop()
        self._waking.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def round(self) -> bool:
        """Makes one pass over all work; False when the store or the database was unreachable."""
        self._failed_this_round.clear()
        self._failed_files.clear()
        self._guarded("journal", self._announce_open_streams)
        self._guarded("journal", self._seal_all)
        self.sweeper.start_if_due()
        if self._is_due("axes", AXES_SECONDS):
            self._guarded("journal", partial(steps.remove_axes, self._spool, AXIS_SECONDS))
        self._guarded("journal", self._measure_backlog)
        waiting = {} if self._failed_this_round else self._waits_until  # others cannot seal either
        self._waits_until = {path: until for path, until in waiting.items() if path.exists()}
        return not self._failed_this_round

    def _run(self) -> None:
        while not self._stopping.is_set():
            succeeded = self.round() or self._has_more
            connections.close_all()
            if succeeded:
                self._backoff_seconds = ROUND_SECONDS
            else:
                self._backoff_seconds = min(LONGEST_BACKOFF_SECONDS, self._backoff_seconds * 2)
            if self._has_more:
                continue
            if succeeded:
                if self._waking.wait(ROUND_SECONDS):
                    self._stopping.wait(GATHER_SECONDS)
                self._waking.clear()
            else:
                self._stopping.wait(self._backoff_seconds)

    def _seal_all(self) -> None:
        """Seals the files of this process and of dead ones, until the next search of the spool."""
        self._has_more = False
        with ExitStack() as taken_over:
            dead = self.held
            taken_over.callback(dead.clear)
            for folder in (
                spool.abandoned(self._spool) if self._is_due("takeover", TAKEOVER_SECONDS) else ()
            ):
                taken_over.callback(folder.release, remove_empty=True)
                dead.append(folder.path)
            while (
                (sealed_any := self._seal_listed(dead))
                and self._may_continue
                and self._clock() < self._due["takeover"]
            ):
                pass  # a backlog, or files finished in the meantime
            self._has_more = sealed_any and self._may_continue
            for path in dead:
                spool.remove_leftovers(path)

    def _seal_listed(self, dead: Sequence[Path]) -> bool:
        """Lists the folders once and seals from that list for a while; returns whether it sealed
        anything.
        """
        began, sealed_any = self._clock(), False
        streams = [stream for path in dead for stream in streams_in(path, dead=True)]
        streams += streams_in(self._own, dead=False)
        waiting = deque(waiting_calls(streams, steps.call_of))
        listed = self._clock()
        until = listed + pause_after(listed - began)
        while waiting and self._may_continue and self._clock() < until:
            batch = self._next_batch(waiting)
            outcomes = self._seal([file for _, file in batch])
            for call, file in batch:
                if outcomes.get(file):
                    call.advance()
                elif file in outcomes:
                    self._failed_files.add(file.path)
            waiting.extend(call for call, _ in batch)
            sealed_any = sealed_any or any(outcomes.values())
        return sealed_any

    def _next_batch(self, waiting: deque[WaitingCall]) -> list[tuple[WaitingCall, SealJob]]:
        """Removes the next calls from `waiting` and returns each with its next file."""
        batch: list[tuple[WaitingCall, SealJob]] = []
        size = 0
        while waiting and len(batch) < BATCH_FILES and size < BATCH_BYTES:
            call = waiting.popleft()
            while call.path and (
                call.path in self._failed_files
                or self._clock() < self._retry_at.get(call.path, 0.0)
            ):
                call.skip_socket()
            if call.path:
                self._retry_at.pop(call.path, None)
                batch.append((call, SealJob(call.path, call.is_last)))
                size += size_of(call.path) or 0
        return batch

    def _seal(self, files: Sequence[SealJob]) -> dict[SealJob, bool]:
        """Seals a batch and returns whether each file is sealed.

        Files that are not in the result were not tried, because the others took too long.
        """
        prepare = partial(steps.prepare, spool_folder=self._spool)
        prepared = self._all_or_each(files, prepare, self._postpone)
        prepared = [file for file in prepared if not self._must_wait(file)]
        outcomes = {file: False for file in files if file not in prepared}
        until = self._clock() + BATCH_SECONDS
        for file in prepared:
            if not self._may_continue or self._clock() >= until:
                break
            outcomes[file] = bool(self._all_or_each([file], store, self._postpone))
            self._housekeeping()
        stored = [file for file in prepared if outcomes.get(file) and file.addition]
        written = self._all_or_each(stored, steps.write_rows, self._postpone)
        finished = self._all_or_each(
            written, partial(steps.finish, spool_folder=self._spool), self._postpone
        )
        outcomes |= {file: file in finished for file in stored}
        self.segments_sealed += sum(file.segments for file in finished)
        self._housekeeping()
        return outcomes

    def _must_wait(self, file: SealJob) -> bool:
        if file.follows_unsealed:
            until = self._waits_until.setdefault(file.path, self._clock() + WAIT_SECONDS)
            return self._clock() < until
        self._waits_until.pop(file.path, None)
        return False

    def _all_or_each(
        self,
        items: Sequence[T],
        step: Callable[[Sequence[T]], object],
        on_fault: Callable[[T], object] | None = None,
    ) -> list[T]:
        """Runs a step for all items at once or, if that fails, for each alone; returns the items
        it succeeded for.

        Calls `on_fault` for each other item, unless the store or the database was unreachable.
        """
        if len(items) > 1:
            try:
                step(items)
            except Exception as error:  # noqa: BLE001 - logged and counted when it fails alone
                if is_unreachable(error):
                    self._note_failure("database", error)
                    return []
                log.info("retrying one by one", error=type(error).__name__, of=len(items))
            else:
                return list(items)
        succeeded = []
        for item in items:
            failed = self._guarded("journal", partial(step, [item]))
            if failed is None:
                succeeded.append(item)
            elif failed == "journal" and on_fault:
                on_fault(item)
        return succeeded

    def _postpone(self, file: SealJob) -> None:
        self._failure_log.note(file.path, self._last_error, timezone.now())
        if file.path.exists():
            self._retry_at[file.path] = self._clock() + LONGEST_BACKOFF_SECONDS

    def _housekeeping(self) -> None:
        """Keeps live calls live and announces new ones between two files, however long a backlog
        or a store takes.
        """
        if self._is_due("housekeeping", CHECK_SECONDS):
            self._announce_open_streams()
            self._measure_backlog()

    def _announce_open_streams(self) -> None:
        """Writes rows of live calls: at once, again with their first voices, and a heartbeat."""
        self._open_journals.list()
        updates: list[JournalUpdate] = []
        for name in self._open_journals.grown():
            self._guarded("journal", partial(self._read_open, name, updates))
        updates.sort(key=announcements.connected_at)
        for start in range(0, len(updates), BATCH_FILES):
            if not self._failed_this_round["database"]:
                batch = updates[start : start + BATCH_FILES]
                for update in self._all_or_each(batch, announcements.announce):
                    self._open_journals.keep(update)
        if not self._failed_this_round["database"]:
            self._guarded("database", self._heartbeat.beat)
        if not self._failed_this_round["database"] and self._is_due("failures", FAILURES_SECONDS):
            self._guarded("journal", self._report_failures)  # its own faults are no outage

    def _report_failures(self) -> None:
        status = ProcessStatus(
            len(self._open_journals.ids),
            self.segments_sealed,
            self.failures,
            self.backlog,
            self._last_error,
            self.refusals(),
        )
        for path in self._failure_log.sync(status, timezone.now()):
            self._retry_at.pop(path, None)
        self._failure_log.write_news(self.refused, self.alarms(), timezone.now())

    def _read_open(self, name: str, updates: list[JournalUpdate]) -> None:
        if (update := self._open_journals.read(name)) is None:
            return
        if update.announcement:
            updates.append(update)
        else:
            self._open_journals.keep(update)

    def _measure_backlog(self) -> None:
        self.backlog = self._backlog_watch.backlog()

    @property
    def _may_continue(self) -> bool:
        return (
            not self._stopping.is_set() and self._failed_this_round.total() < MAX_FAILURES_PER_ROUND
        )

    def _guarded(self, stage: SealStage, work: Callable[[], object]) -> SealStage | None:
        """Runs `work`, isolating its failure; returns the failed stage, or None."""
        try:
            work()
        except StoreUnreachable as error:
            return self._note_failure("store", error)
        except (DataError, IntegrityError) as error:  # reachable, but it rejects these rows
            return self._note_failure(stage, error)
        except OverlapFound:
            log.info("overlap found, retrying")
            return "database"
        except DatabaseError as error:
            return self._note_failure("database", error)
        except UnreadableJournal as error:
            return self._note_failure("journal", error)
        except Exception as error:
            log.exception("sealing failed", stage=stage)
            return self._note_failure(stage, error)
        return None

    def _note_failure(self, stage: SealStage, error: BaseException) -> SealStage:
        self.failures[stage] += 1
        self._last_error = cause_of(error)[:LONGEST_CAUSE]
        if stage != "journal":
            self._failed_this_round[stage] += 1
        log.warning(
            "sealing delayed", stage=stage, error=self._last_error, tries=self.failures[stage]
        )
        connections.close_all()
        return stage

    def _is_due(self, name: str, every_seconds: float) -> bool:
        now = self._clock()
        if now < self._due.get(name, now):
            return False
        self._due[name] = now + every_seconds
        return True


def is_unreachable(error: Exception) -> bool:
    """Whether the database is unreachable, rather than rejecting these rows."""
    return isinstance(error, DatabaseError) and not isinstance(
        error, DataError | IntegrityError | OverlapFound
    )


def store(files: Sequence[SealJob]) -> None:
    for file in files:
        steps.store_audio(file)
