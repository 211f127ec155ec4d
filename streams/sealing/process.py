"""The sealer in a process of its own, so that FLAC and rows cost the sockets nothing.

In a thread it shares the interpreter with the event loop: each time a packet is written the loop
lets go of the lock, and waits up to 5 ms to have it back. As a process it has a lower priority
besides, so sockets come first when there is one core for all.

    recorder ── stdin: a byte wakes, the end of the pipe ends ──▶ sealer
             ◀── stdout: a `SealerReport` in a line, twice a second ──

The pipe ends with the recorder's process, whatever has killed it, so no sealer outlives its
recorder by more than the file it is at. Until it is gone it holds a lock of its own
(`spool.SEALER_LOCK`), so that nobody takes the folder over while it still works there. One that
dies is started again.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from streams.journal.backlog import backlog_of
from streams.stats import Backlog, SealStage

log = structlog.get_logger(__name__)

REPORT_SECONDS = 0.5
RESTART_SECONDS = 1.0
STOP_SECONDS = 3.0
"""What the file that is being sealed gets to end, when the recorder has gone."""
CHECK_SHARE = 20
NICE = 5
ROOT = Path(__file__).resolve().parent.parent.parent


class SealerHandle(Protocol):
    """What a recorder asks of its sealer, wherever that runs."""

    @property
    def backlog(self) -> Backlog: ...

    @property
    def segments_sealed(self) -> int: ...

    @property
    def failures(self) -> dict[SealStage, int]: ...

    def start(self) -> None: ...

    def wake(self) -> None: ...

    def stop(self, timeout_seconds: float) -> bool:
        """False when it still works on a file: its folder must not be given up."""


class SealerReport(Struct, frozen=True):
    """What a sealer has done since it began, and what lies before it."""

    segments_sealed: int
    failures: dict[SealStage, int]
    backlog: Backlog


class SealerProcess:
    """`start` it, `wake` it when a journal has been finished, `stop` it. Its figures are those of
    its last report.
    """

    def __init__(self, spool_folder: Path, own: Path, command: Sequence[str] | None = None) -> None:
        here = [sys.executable, "-m", "streams.sealing.process", str(spool_folder), str(own)]
        self._command = list(command or here)
        self._spool = spool_folder
        self._thread = threading.Thread(target=self._supervise, name="sealer-watch", daemon=True)
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = (
            threading.Lock()
        )  # none is started once `stop` has begun, none woken whose pipe is closed
        self._before: Counter[str] = Counter()  # totals of sealers that have died
        self._report = SealerReport(0, {}, Backlog())

    @property
    def backlog(self) -> Backlog:
        return self._report.backlog

    @property
    def segments_sealed(self) -> int:
        return self._before["segments_sealed"] + self._report.segments_sealed

    @property
    def failures(self) -> dict[SealStage, int]:
        stages: tuple[SealStage, ...] = ("store", "database", "journal")
        return {
            stage: self._before[stage] + self._report.failures.get(stage, 0) for stage in stages
        }

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        with self._lock:
            if self._child and self._child.stdin and not self._child.stdin.closed:
                with suppress(OSError):  # full: it has been woken often enough; broken: it has died
                    os.write(self._child.stdin.fileno(), b".")

    def stop(self, timeout_seconds: float) -> bool:
        """Lets the current file end, and kills what has not ended in time: that is harmless at any
        moment.
        """
        with self._lock:
            self._stopping.set()
            child = self._child
            if child and child.stdin:
                child.stdin.close()
        if child:
            try:
                child.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                child.kill()
        if self._thread.is_alive():
            self._thread.join()
        return True

    def _supervise(self) -> None:
        """Starts the sealer, again whenever it has died, and listens to it."""
        while not self._stopping.is_set():
            try:
                child = self._start_child()
            except OSError as error:  # no memory, no descriptors: there may be some again
                log.error("sealer not started", error=error.strerror)
            else:
                if child is None:
                    return
                self._listen(child)
                self._reap(child)
            if not self._stopping.is_set():
                # A sealer that is not there must not look like one that has nothing to do.
                self._report = SealerReport(0, {}, backlog_of(self._spool, time.time()))
            self._stopping.wait(RESTART_SECONDS)

    def _reap(self, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        with self._lock:
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()
        self._before.update(segments_sealed=self._report.segments_sealed, **self._report.failures)
        if not self._stopping.is_set():
            log.error("sealer died", code=code)

    def _start_child(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            pipe = subprocess.PIPE
            child = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe)  # noqa: S603 - our own words
            assert child.stdin, "it was asked for"
            os.set_blocking(child.stdin.fileno(), False)
            self._child = child
            return child

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout, "it was asked for"
        for line in child.stdout:
            try:
                self._report = msgspec.json.decode(line, type=SealerReport)
            except msgspec.DecodeError:
                log.warning("sealer said something else")


class BacklogWatch:
    """What lies before the sealer, looked at beside it: it may hang in a query of a database that
    answers nothing.
    """

    def __init__(self, spool_folder: Path) -> None:
        self._spool = spool_folder
        self._seen = Backlog()
        self._due = 0.0

    def backlog(self) -> Backlog:
        """At most a second old, or twenty times as old as a look takes."""
        began = time.monotonic()
        if began >= self._due:
            self._seen = backlog_of(self._spool, time.time())
            self._due = began + max(1.0, CHECK_SHARE * (time.monotonic() - began))
        return self._seen


def main(spool_folder: Path, own: Path) -> int:
    """Seals until standard input ends. 1 when a file had not ended in time, or the folder is
    somebody else's.
    """
    import django

    django.setup()
    from streams.journal import spool
    from streams.sealing.sealer import Sealer  # models, which need the app registry

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, signal.SIG_IGN
        )  # told to all of a terminal or a service; the recorder says when to end
    os.nice(NICE)
    if not spool.lock_for_sealing(own):
        return 1
    gc.collect()
    # what is imported is never garbage, and a full collection would look at all of it: 90 ms
    gc.freeze()
    sealer = Sealer(spool_folder, own)
    sealer.start()
    lookout = BacklogWatch(spool_folder)
    with suppress(BrokenPipeError):  # the recorder has gone
        while _is_wanted(sealer):
            _tell(SealerReport(sealer.segments_sealed, sealer.failures, lookout.backlog()))
    return 0 if sealer.stop(STOP_SECONDS) else 1


def _is_wanted(sealer: SealerHandle) -> bool:
    """Waits to be woken, at most for `REPORT_SECONDS`. False at the end of the pipe."""
    if not select.select([sys.stdin], [], [], REPORT_SECONDS)[0]:
        return True
    sealer.wake()
    return bool(os.read(sys.stdin.fileno(), 65_536))


def _tell(report: SealerReport) -> None:
    os.write(sys.stdout.fileno(), msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acsmedia.settings")
    os._exit(
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    )  # a thread that hangs in the database must not hold it
