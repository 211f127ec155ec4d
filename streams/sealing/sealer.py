"""Finished journals become segments: audio store first, rows second, journal deleted last.

One thread per process. What is on disk tells it what to do, so sealing a call in good times,
catching up after an outage and taking over what a dead process left are one and the same code. When
a store or the database is away, the journals wait and the next round comes later; nothing is
skipped and nothing is held in memory.

Calls take turns, each with one file, so none waits for the backlog of another. The files of a turn
share what can be shared (`sealed_file`); what goes wrong for several at once is tried for each of
them alone.

What goes wrong, and what it holds up:

    StoreUnreachable, django.db.Error everything: store or database is away, the round ends, the
    next comes later DataError, IntegrityError, other  the socket whose file it is: that one is
    tried again after a while UnreadableJournal                 the file: it is set aside PlaceTaken
    the file: the next round sees what has taken its place. Nothing is wrong, so it is
                                      no failure
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

from calls.storage import StoreUnreachable, deletion
from streams.journal import spool
from streams.journal.backlog import WaitingCall, backlog_of, size_of, streams_in, waiting_calls
from streams.sealing import rows, steps
from streams.sealing.announcements import JournalUpdate, OpenJournals
from streams.sealing.failures import FailureLog, ProcessStatus
from streams.sealing.rows import OverlapFound
from streams.sealing.steps import SealJob, UnreadableJournal
from streams.stats import Backlog, SealStage

log = structlog.get_logger(__name__)
T = TypeVar("T")

ROUND_SECONDS = 0.5
GATHER_SECONDS = 0.3
"""After a file is finished: others that are finished by then share the cost. With hundreds of
calls, always some.
"""
LONGEST_BACKOFF_SECONDS = 15.0
TAKEOVER_SECONDS = 5.0
"""How often the spool is searched for folders of dead processes. No round goes on beyond that,
however much there is to seal: what belongs to its beginning and its end would never happen under a
steady load.
"""
HEARTBEAT_SECONDS = 5.0
CHECK_SECONDS = 1.0
"""How often everything in the spool is counted, how long one list of it is worked on, and how long,
at most, open streams wait while there is a backlog.
"""
CHECK_SHARE = 20
"""Counting and listing take at most one part in so many of the time."""
AXIS_SECONDS = 3600.0
"""How long the axis of a call is kept for another socket; later ones find it in the database."""
SWEEP_SECONDS = 60.0
MAX_FAILURES_PER_ROUND = 3
"""When the store or the database has failed so often in one round it is away: the rest waits for
the next one.
"""
BATCH_FILES = 20
BATCH_BYTES = 16 * 1024 * 1024
"""What is sealed together, at most: by then the rows of a file cost a tenth of what they cost
alone.
"""
BATCH_SECONDS = 2.0
"""When a store takes so long, what it has taken becomes rows before it is given more."""


class Sealer:
    """`start` it, `wake` it when a journal has been finished, `stop` it. `round` is one pass, for
    tests too.
    """

    def __init__(
        self, spool_folder: Path, own: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._spool = spool_folder
        self._own = own
        self._clock = clock
        self._due: dict[str, float] = {}
        self._open_streams = OpenJournals(own)
        self._set_back: dict[
            Path, float
        ] = {}  # files that cannot be sealed, and when they are tried again
        self._tried: set[Path] = set()  # files that have failed in this round
        self._has_more = False  # the round has ended in the middle of its work
        self._backoff_seconds = ROUND_SECONDS
        self._waking, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._failed_this_round: Counter[SealStage] = Counter()
        self._failed_work = FailureLog(spool_folder, own, timezone.now())
        self._last_error = ""
        self.segments_sealed = 0
        self.backlog = Backlog()
        self.failures: dict[SealStage, int] = {"store": 0, "database": 0, "journal": 0}

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._waking.set()

    def stop(self, timeout_seconds: float) -> bool:
        """Lets the current files end; what is left is sealed by whoever takes the folder over.

        False when they had not ended in time (store or database hangs): the thread then still works
        on them.
        """
        self._stopping.set()
        self._waking.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def round(self) -> bool:
        """One pass over everything there is to do. False when store or database was away: try again
        later.
        """
        self._failed_this_round.clear()
        self._tried.clear()
        for step in (
            self._announce_open_streams,
            self._seal_all,
            self._clean_up,
            self._measure_backlog,
        ):
            self._guarded("journal", step)
        return not self._failed_this_round

    def _run(self) -> None:
        while not self._stopping.is_set():
            well = self.round() or self._has_more
            connections.close_all()
            self._backoff_seconds = (
                ROUND_SECONDS if well else min(LONGEST_BACKOFF_SECONDS, self._backoff_seconds * 2)
            )
            if self._has_more:
                continue
            if well:
                if self._waking.wait(ROUND_SECONDS):
                    self._stopping.wait(GATHER_SECONDS)
                self._waking.clear()
            else:
                self._stopping.wait(self._backoff_seconds)

    def _seal_all(self) -> None:
        """What dead processes have left, and what this one has finished, until the spool is to be
        searched again.
        """
        self._has_more = False
        with ExitStack() as taken:
            dead = []
            for folder in (
                spool.abandoned(self._spool) if self._is_due("takeover", TAKEOVER_SECONDS) else ()
            ):
                taken.callback(folder.release, remove_empty=True)
                dead.append(folder.path)
            while (
                (anything := self._seal_listed(dead))
                and self._goes_on
                and self._clock() < self._due["takeover"]
            ):
                pass  # a backlog, or files that were finished meanwhile
            self._has_more = anything and self._goes_on
            for path in dead:
                spool.forget_leftovers(path)

    def _seal_listed(self, dead: Sequence[Path]) -> bool:
        """Seals what one list of the folders shows, for a while; whether that was anything."""
        began, anything = self._clock(), False
        streams = [stream for path in dead for stream in streams_in(path, dead=True)]
        streams += streams_in(self._own, dead=False)
        waiting = deque(waiting_calls(streams, steps.call_of))
        until = self._clock() + self._pause_after(began)
        while waiting and self._goes_on and self._clock() < until:
            batch = self._next_batch(waiting)
            outcomes = self._seal([file for _, file in batch])
            for call, file in batch:
                if outcomes.get(file):
                    call.file_is_sealed()
                elif file in outcomes:
                    self._tried.add(file.path)
            waiting.extend(call for call, _ in batch)
            anything = anything or any(outcomes.values())
        return anything

    def _next_batch(self, waiting: deque[WaitingCall]) -> list[tuple[WaitingCall, SealJob]]:
        """Takes the calls whose turn it is, each with its next file."""
        batch: list[tuple[WaitingCall, SealJob]] = []
        size = 0
        while waiting and len(batch) < BATCH_FILES and size < BATCH_BYTES:
            call = waiting.popleft()
            while call.path and self._must_wait(call.path):
                call.socket_waits()
            if call.path:
                self._set_back.pop(call.path, None)
                batch.append((call, SealJob(call.path, call.is_last)))
                size += size_of(call.path) or 0
        return batch

    def _seal(self, files: Sequence[SealJob]) -> dict[SealJob, bool]:
        """Whether each is sealed; of those that are left out nothing was tried, because others took
        so long.
        """
        begun = self._all_or_each(
            files, partial(steps.prepare, spool_folder=self._spool), self._postpone
        )
        outcomes = {file: False for file in files if file not in begun}
        until = self._clock() + BATCH_SECONDS
        for file in begun:
            if not self._goes_on or self._clock() >= until:
                break
            outcomes[file] = bool(self._all_or_each([file], store, self._postpone))
            self._housekeeping()
        added = [file for file in begun if outcomes.get(file) and file.addition]
        written = self._all_or_each(added, steps.write_rows, self._postpone)
        left = self._all_or_each(
            written, partial(steps.finish, spool_folder=self._spool), self._postpone
        )
        outcomes |= {file: file in left for file in added}
        self.segments_sealed += sum(file.segments for file in left)
        self._housekeeping()
        return outcomes

    def _all_or_each(
        self,
        things: Sequence[T],
        step: Callable[[Sequence[T]], object],
        at_fault: Callable[[T], object] | None = None,
    ) -> list[T]:
        """One step for all at once or, where that fails, for each alone: those for which it went
        well.

        `at_fault` is told of the others, unless store or database were away.
        """
        if len(things) > 1:
            try:
                step(things)
            except Exception as error:  # noqa: BLE001 - said and counted where it fails again, alone
                if is_away(error):
                    self._failed("database", error)
                    return []
                log.info("each is tried alone", error=type(error).__name__, of=len(things))
            else:
                return list(things)
        well = []
        for one in things:
            failed = self._guarded("journal", partial(step, [one]))
            if failed is None:
                well.append(one)
            elif failed == "journal" and at_fault:
                at_fault(one)
        return well

    def _must_wait(self, path: Path) -> bool:
        """Whether it has failed in this round or, being at fault itself, a while ago."""
        return path in self._tried or self._clock() < self._set_back.get(path, 0.0)

    def _postpone(self, file: SealJob) -> None:
        self._failed_work.note(file.path, self._last_error, timezone.now())
        if file.path.exists():
            self._set_back[file.path] = self._clock() + LONGEST_BACKOFF_SECONDS

    def _housekeeping(self) -> None:
        """Between two files: however long a backlog or a store takes, live calls stay live and new
        ones are there.
        """
        if self._is_due("meanwhile", CHECK_SECONDS):
            self._announce_open_streams()
            self._measure_backlog()

    def _announce_open_streams(self) -> None:
        """Calls that go on are rows too: at once, again when their first voices are there, and a
        heartbeat.
        """
        self._open_streams.list()
        news: list[JournalUpdate] = []
        for name in self._open_streams.grown():
            self._guarded("journal", partial(self._read_open, name, news))
        for start in range(0, len(news), BATCH_FILES):
            if not self._failed_this_round["database"]:
                for told in self._all_or_each(news[start : start + BATCH_FILES], announce):
                    self._open_streams.keep(told)
        stream_ids = self._open_streams.ids
        if (
            stream_ids
            and not self._failed_this_round["database"]
            and self._is_due("heartbeat", HEARTBEAT_SECONDS)
        ):
            self._guarded("database", lambda: rows.vouch_for(stream_ids, timezone.now()))
        if not self._failed_this_round["database"] and self._is_due(
            "failed work", HEARTBEAT_SECONDS
        ):
            self._guarded("journal", self._report_failures)  # what is wrong with it is no outage

    def _report_failures(self) -> None:
        said = ProcessStatus(
            len(self._open_streams.ids),
            self.segments_sealed,
            self.failures,
            self.backlog,
            self._last_error,
        )
        for path in self._failed_work.sync(said, timezone.now()):
            self._set_back.pop(path, None)

    def _read_open(self, name: str, news: list[JournalUpdate]) -> None:
        if (found := self._open_streams.read(name)) is None:
            return
        if found.announcement:
            news.append(found)
        else:
            self._open_streams.keep(found)

    def _clean_up(self) -> None:
        if self._is_due("sweep", SWEEP_SECONDS):
            spool.forget_old_axes(self._spool, AXIS_SECONDS)
            self._guarded("store", deletion.sweep)

    def _measure_backlog(self) -> None:
        began = self._clock()
        if self._is_due("look", CHECK_SECONDS):
            self.backlog = backlog_of(self._spool, time.time())
            self._due["look"] = began + self._pause_after(began)

    def _pause_after(self, began: float) -> float:
        """Seconds until the spool is looked at again: after an hour without a store tens of
        thousands of files lie in it, and whoever looks at them all the time seals none.
        """
        return max(CHECK_SECONDS, CHECK_SHARE * (self._clock() - began))

    @property
    def _goes_on(self) -> bool:
        return (
            not self._stopping.is_set() and self._failed_this_round.total() < MAX_FAILURES_PER_ROUND
        )

    def _guarded(self, stage: SealStage, work: Callable[[], object]) -> SealStage | None:
        """Whatever is wrong with one thing keeps no other from its turn: the stage that has failed,
        if one has.
        """
        try:
            work()
        except StoreUnreachable as error:
            return self._failed("store", error.__cause__ or error)
        except (
            DataError,
            IntegrityError,
        ) as error:  # the database is there; these rows it does not take
            return self._failed(stage, error)
        except OverlapFound:
            log.info("place taken, the next round finds another")
            return "database"
        except DatabaseError as error:
            return self._failed("database", error)
        except UnreadableJournal as error:
            return self._failed("journal", error)
        except Exception as error:
            log.exception("sealing failed", stage=stage)
            return self._failed(stage, error)
        return None

    def _failed(self, stage: SealStage, error: BaseException) -> SealStage:
        self.failures[stage] += 1
        self._last_error = type(error).__name__
        if stage != "journal":
            self._failed_this_round[stage] += 1
        log.warning(
            "sealing waits", stage=stage, error=type(error).__name__, tries=self.failures[stage]
        )
        connections.close_all()
        return stage

    def _is_due(self, what: str, every_seconds: float) -> bool:
        now = self._clock()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every_seconds
        return True


def is_away(error: Exception) -> bool:
    """Whether the database is, rather than that it is there and does not take these rows."""
    return isinstance(error, DatabaseError) and not isinstance(
        error, DataError | IntegrityError | OverlapFound
    )


def announce(news: Sequence[JournalUpdate]) -> None:
    rows.announce([one.announcement for one in news if one.announcement])


def store(files: Sequence[SealJob]) -> None:
    for file in files:
        steps.store_audio(file)
