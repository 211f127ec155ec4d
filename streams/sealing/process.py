"""The sealer in a process of its own, so that FLAC and rows do not slow down the sockets.

As a thread it would share the interpreter with the event loop: each time a packet is written the
loop releases the lock, and waits up to 5 ms to get it back. A process also has a lower priority, so
sockets come first when there is one core for all.

    recorder ── stdin: a dot wakes, a line has counts or rows of refused handshakes, or active
                alarms, "!" means that the recorder is being stopped in good order, the end of the
                pipe ends ──▶ sealer
             ◀── stdout: a `SealerReport` in a line, twice a second ──

The pipe closes with the recorder's process, however it died, so no sealer outlives its recorder
by more than its current file. Until then it holds a lock of its own (`spool.SEALER_LOCK`), so that
no other process takes the folder over while it still works there. A sealer that dies is started
again.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from msgspec import Struct

from calls.live.messages import AlarmNews, Refusals
from streams import alarm_lines
from streams.alarm_lines import AlarmSource, ReceivedAlarms
from streams.journal.backlog import backlog_of
from streams.refused import ReceivedRows, RefusedSource, lines_of, rows_in
from streams.sealing.backlog_watch import BacklogWatch
from streams.stats import Backlog, SealStage

if TYPE_CHECKING:
    from calls.worker.worker import Worker
    from streams.sealing.sealer import Sealer

log = structlog.get_logger(__name__)

REPORT_SECONDS = 0.5
RESTART_SECONDS = 1.0
STOP_SECONDS = 3.0
"""Time to finish the current file after the recorder is gone."""
NICE = 5
GOODBYE = b"!"
"""Its row is deleted: a row without reports would mean that the process has died."""
TAKES_ROWS = b'"refused_written"'
"""A member of reports. A sealer of the version before, which lacks it, would end at a line with
rows of refusals or alarms: while an installation is upgraded or set back, one may run here.
"""
ROOT = Path(__file__).resolve().parent.parent.parent


class SealerHandle(Protocol):
    """The interface of a sealer to its recorder, whether it is a thread or a process."""

    refusals: Callable[[], Refusals]
    """Returns the refused handshakes of the last hour. Set by the recorder, called in a thread."""
    refused: RefusedSource
    """Rows of refused handshakes, which the sealer writes. Set by the recorder."""
    alarms: AlarmSource
    """The active alarms, which the sealer writes. Set by the recorder."""

    @property
    def backlog(self) -> Backlog: ...

    @property
    def segments_sealed(self) -> int: ...

    @property
    def failures(self) -> dict[SealStage, int]: ...

    def start(self) -> None: ...

    def wake(self) -> None: ...

    def stop(self, timeout_seconds: float) -> bool:
        """Returns False while it still works on a file: its folder must not be released."""


class SealerReport(Struct, frozen=True):
    """Totals of a sealer since it started, and the backlog. `refused_written`: the revision up to
    which the rows of refused handshakes have been written.
    """

    segments_sealed: int
    failures: dict[SealStage, int]
    backlog: Backlog
    refused_written: int = 0


def no_refusals() -> Refusals:
    return Refusals(from_acs={}, others={})


class SealerProcess:
    """`start` it, `wake` it when a journal has been finished, `stop` it. Its figures are those of
    the last report.
    """

    def __init__(self, spool_folder: Path, own: Path, command: Sequence[str] | None = None) -> None:
        default = [sys.executable, "-m", "streams.sealing.process", str(spool_folder), str(own)]
        self._command = list(command or default)
        self._spool, self._own = spool_folder, own
        self._thread = threading.Thread(target=self._supervise, name="sealer-watch", daemon=True)
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        # No child is started once `stop` has begun, and none is woken whose pipe is closed.
        self._lock = threading.Lock()
        self._totals_before: Counter[str] = Counter()  # of sealers that have died
        self._report = SealerReport(0, {}, Backlog())
        self.refusals: Callable[[], Refusals] = no_refusals
        self.refused: RefusedSource = ReceivedRows()
        self.alarms: AlarmSource = lambda: None
        self._takes_rows = False  # whether the present child has said so
        self._refused_sent = 0  # revision of the last row that the present child was sent

    @property
    def backlog(self) -> Backlog:
        return self._report.backlog

    @property
    def segments_sealed(self) -> int:
        return self._totals_before["segments_sealed"] + self._report.segments_sealed

    @property
    def failures(self) -> dict[SealStage, int]:
        stages: tuple[SealStage, ...] = ("store", "database", "journal")
        return {
            stage: self._totals_before[stage] + self._report.failures.get(stage, 0)
            for stage in stages
        }

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._write(b".")  # if the pipe is full, it has been woken often enough

    def stop(self, timeout_seconds: float) -> bool:
        """Lets the current file finish, and kills the process after the timeout: that is harmless
        at any moment.
        """
        self._send_refused()
        with self._lock:
            self._stopping.set()
            child = self._child
            if child and child.stdin:
                with suppress(OSError, ValueError):  # it has died; its pipe is closed
                    os.write(child.stdin.fileno(), GOODBYE)
                child.stdin.close()
        if child:
            try:
                child.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                child.kill()
        if self._thread.is_alive():
            self._thread.join()
        return True

    def _send_refused(self) -> None:
        """Sends rows of refused handshakes that the child has not been sent, until its pipe is
        full.
        """
        if not self._takes_rows:
            return
        for line, revision in lines_of(self.refused.unwritten(self._refused_sent)):
            if not self._write(line):
                return
            self._refused_sent = revision

    def _send_alarms(self, alarms: Sequence[AlarmNews]) -> bool:
        """Sends a report of all active alarms; False if the pipe is full."""
        return all(self._write(line) for line in alarm_lines.lines_of(alarms))

    def _write(self, message: bytes) -> bool:
        """Writes to the child; False if the pipe is full or the child has died. At most 4096 bytes:
        then all or nothing is written.
        """
        with self._lock:
            if self._child and self._child.stdin and not self._child.stdin.closed:
                with suppress(OSError):
                    return os.write(self._child.stdin.fileno(), message) == len(message)
        return False

    def _supervise(self) -> None:
        """Starts the sealer, restarts it whenever it has died, and reads its reports."""
        while not self._stopping.is_set():
            pipe = subprocess.PIPE
            try:
                with self._lock:
                    if self._stopping.is_set():
                        return
                    # the command is our own
                    child = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe)  # noqa: S603
                    assert child.stdin, "it was asked for"
                    os.set_blocking(child.stdin.fileno(), False)
                    self._child = child
            except OSError as error:  # out of memory or descriptors: there may be some again
                log.error("sealer not started", error=error.strerror)
            else:
                self._follow(child)
            if not self._stopping.is_set():
                # A dead sealer must not look like one that has nothing to do.
                self._report = SealerReport(0, {}, self._measured())
            self._stopping.wait(RESTART_SECONDS)

    def _measured(self) -> Backlog:
        return backlog_of(self._spool, time.time(), self._own)

    def _follow(self, child: subprocess.Popen[bytes]) -> None:
        """Reads the reports of a sealer until it ends, then adds its totals to those before it."""
        assert child.stdout, "it was asked for"
        told = no_refusals()
        active: list[AlarmNews] | None = None
        self._takes_rows, self._refused_sent = False, 0
        for line in child.stdout:
            self._takes_rows |= TAKES_ROWS in line
            if (refusals := self.refusals()) != told:
                told = refusals if self._write(msgspec.json.encode(refusals) + b"\n") else told
            self._send_refused()
            alarms = self.alarms() if self._takes_rows else None
            if alarms is not None and alarms != active:
                active = alarms if self._send_alarms(alarms) else active
            try:
                self._report = msgspec.json.decode(line, type=SealerReport)
            except msgspec.DecodeError:
                log.warning("sealer output unreadable")
            else:
                self.refused.confirm(self._report.refused_written)
        code = child.wait()
        with self._lock:
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()
        self._totals_before.update(
            segments_sealed=self._report.segments_sealed, **self._report.failures
        )
        if not self._stopping.is_set():
            log.error("sealer died", code=code)


def main(spool_folder: Path, own: Path) -> int:
    """Seals until standard input ends. Returns 1 if a file was not finished in time, or if another
    process holds the folder.
    """
    import django

    django.setup()
    # models, which need the app registry
    from calls.worker.worker import Worker
    from streams.journal import spool
    from streams.sealing.sealer import Sealer

    for number in (signal.SIGINT, signal.SIGTERM):
        # A terminal or a service sends them to the whole group; the recorder decides when to end.
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    if not spool.lock_for_sealing(own):
        return 1
    gc.collect()
    # imported modules are never garbage, and a full collection would visit all of them: 90 ms
    gc.freeze()
    return _seal(Sealer(spool_folder, own), Worker(), spool_folder, own)


def _seal(sealer: Sealer, worker: Worker, spool_folder: Path, own: Path) -> int:
    from streams.sealing.failures import forget_process, write_last_refused  # models, as above

    sealer.start()
    worker.start()
    # Measured beside the sealer, which may hang in a query of a database that does not answer.
    watch = BacklogWatch(spool_folder, own, sealer.held)
    inbox = Inbox(sealer)
    with suppress(BrokenPipeError):  # the recorder has gone
        is_running = True  # the first report at once: the recorder then sends what waits
        while is_running:
            written = inbox.refused.written
            report = SealerReport(sealer.segments_sealed, sealer.failures, watch.backlog(), written)
            os.write(sys.stdout.fileno(), msgspec.json.encode(report) + b"\n")
            is_running = inbox.wait()
    worker.stop()
    is_done = sealer.stop(STOP_SECONDS)
    write_last_refused(own, inbox.refused)
    if inbox.has_goodbye:
        forget_process(own)
    return 0 if is_done else 1


class Inbox:
    """Reads what the recorder writes to standard input."""

    def __init__(self, sealer: SealerHandle) -> None:
        self._sealer = sealer
        self._sealer.refused = self.refused = ReceivedRows()
        self._alarms = ReceivedAlarms()
        self._sealer.alarms = lambda: self._alarms.alarms
        self._unread = b""
        self.has_goodbye = False

    def wait(self) -> bool:
        """Waits up to `REPORT_SECONDS` for the recorder; False at the end of the pipe."""
        if not select.select([sys.stdin], [], [], REPORT_SECONDS)[0]:
            return True
        read = os.read(sys.stdin.fileno(), 65_536)
        *lines, rest = (self._unread + read).split(b"\n")
        for line in lines:
            self._take_line(self._take_signs(line))
        self._unread = self._take_signs(rest)
        return bool(read)

    def _take_signs(self, line: bytes) -> bytes:
        """Obeys the dots and "!" before a line, and returns the line without them."""
        content = line.lstrip(b"." + GOODBYE)
        signs = line[: len(line) - len(content)]
        if b"." in signs:
            self._sealer.wake()
        self.has_goodbye |= GOODBYE in signs
        return content

    def _take_line(self, line: bytes) -> None:
        if line.startswith(b"["):
            self.refused.receive(rows_in(line))
        elif line.startswith(alarm_lines.MARK):
            self._alarms.receive(line)
        else:
            refusals = msgspec.json.decode(line, type=Refusals)
            self._sealer.refusals = lambda: refusals


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acsmedia.settings")
    # Not `sys.exit`: a thread that hangs in the database must not keep the process alive.
    os._exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
