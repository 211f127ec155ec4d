"""The recorder of one process: its spool folder, its open streams, and three workers.

streams ──▶ journals ──▶ syncer (thread: fsync every second)
   │            └──────▶ sealer (process: finished journals -> store, rows)
   └──▶ board, alarms ──▶ ticker (task: rotates journals, evaluates alarms, publishes news)
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from calls import identity
from calls.live import channel
from calls.live.messages import AlarmNews, News, Totals
from streams.call_lookup import CallLookup, Question
from streams.ingest.call_chains import NO_CALL, CallChains, Decision, FoundCall
from streams.ingest.call_clocks import KEPT_SECONDS, CallClocks, HostClocks
from streams.ingest.disk_quota import DiskQuota
from streams.ingest.packets import Sender
from streams.ingest.read_coalescing import ReadCoalescing
from streams.ingest.stream import Stream, microseconds_now
from streams.journal import spool
from streams.journal.files import Journal, JournalUnwritable
from streams.journal.fsync import Syncer
from streams.journal.records import Handshake
from streams.live.alarm_monitor import AlarmMonitor
from streams.live.alarm_rules import ProcessReading, Thresholds
from streams.live.audio_tap import AudioTap
from streams.live.board import Board, is_worth_publishing
from streams.live.publisher import Publisher
from streams.live.refusals import RefusalCounts
from streams.live.requests import RequestListener
from streams.log_limiter import LogLimiter
from streams.refused import NOBODY, Origin, RefusedHandshakes
from streams.sealing.process import SealerHandle
from streams.sealing.sealer import Sealer
from streams.stats import (
    MESSAGE_OUTCOMES,
    Backlog,
    HandshakeOutcome,
    MessageOutcome,
    RateMeter,
    RecorderStats,
)

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1
STOP_SECONDS = 3.0
MAX_FILE_BYTES = 8 * 1024 * 1024
"""Size at which a journal file is also rotated, a minute of four speakers at 16 kHz: a file is
sealed in one piece, which takes five times its size in memory, so a flood must not make large ones.
"""


@dataclass(frozen=True, slots=True)
class Running:
    """The resources of a started recorder."""

    folder: spool.Folder
    syncer: Syncer
    sealer: SealerHandle


@dataclass(slots=True)
class _Totals:
    """Counters of handshakes and of closed streams."""

    handshakes: Counter[HandshakeOutcome] = field(default_factory=Counter)
    messages: Counter[MessageOutcome] = field(default_factory=Counter)
    journal_bytes: int = 0

    def add(self, stream: Stream) -> None:
        """Adds a stream. Of a canary call only the bytes count: it is no call of people."""
        if not stream.is_canary:
            for outcome in MESSAGE_OUTCOMES:
                self.messages[outcome] += getattr(stream.tally, outcome)
        self.journal_bytes += stream.journal.bytes_written


class Recorder:
    """Records the media sockets of one process.

    `start` once per process; `open` a stream per socket, `close` it; `stop` at the end. `sealer`
    builds the sealer from the spool and the folder of this process: `Sealer`, a thread, or
    `SealerProcess`.
    """

    _ticker: asyncio.Task[None] | None = None
    _running: Running | None = None

    def __init__(
        self,
        spool_folder: Path,
        *,
        segment_seconds: float,
        fsync_seconds: float,
        grace_seconds: float,
        disk_quota: DiskQuota | None = None,
        alarms: Thresholds | None = None,
        publish: Callable[[News], Awaitable[None]] = channel.publish,
        sealer: Callable[[Path, Path], SealerHandle] = Sealer,
        lookup: CallLookup | None = None,
        host_clocks: HostClocks | None = None,
    ) -> None:
        self.process, self._refused = str(process := uuid4()), RefusedHandshakes(process)
        self.board, self.refusal_lines = Board(self.process, grace_seconds), LogLimiter()
        self._spool_folder, self._sealer_for = spool_folder, sealer
        self._segment_seconds, self._fsync_seconds = segment_seconds, fsync_seconds
        self._call_clocks = CallClocks(host_clocks, max(KEPT_SECONDS, grace_seconds))
        self._call_chains, self._lookup = CallChains(grace_seconds, KEPT_SECONDS), lookup
        self._disk_quota = disk_quota or DiskQuota()
        self._refusal_reason = ""  # why new sockets are refused; "" if they are not
        self._alarm_monitor = AlarmMonitor(alarms or Thresholds())
        self._publisher, self._audio_tap = Publisher(publish), AudioTap()
        self._read_coalescing, self._rate_meter = ReadCoalescing(), RateMeter()
        self._totals, self._refusals = _Totals(), RefusalCounts()
        self._has_new_refusal = False  # from ACS, which the alarms have not seen yet
        self._streams: dict[Stream, float] = {}  # open streams -> start of their current file
        self._requests = RequestListener(self.accept_request)

    def start(self) -> None:
        """Claims a folder of the spool and starts the threads; does nothing if started. Raises
        `OSError` without a spool.
        """
        if self._running is None:
            folder = spool.claim(self._spool_folder)
            sealer = self._sealer_for(self._spool_folder, folder.path)
            sealer.refusals = lambda: self._refusals.last_hour(time.monotonic())
            sealer.refused = self._refused
            sealer.alarms = lambda: self._alarm_monitor.on
            self._running = Running(folder, Syncer(folder.path, self._fsync_seconds), sealer)
            self._running.syncer.start()
            self._running.sealer.start()
            log.info("recorder started", process=self.process)

    async def find_call(self, connection_id: str, sender: Sender) -> FoundCall:
        """Finds the latest call with this connection id, for `open`; waits 1 s at most."""
        first_id = identity.call_id_of(connection_id, uuid4(), sender.source)
        if not self._lookup or not connection_id or self._call_chains.is_decided(first_id):
            return NO_CALL
        known = self._call_chains.closed_sockets(first_id)
        return await self._lookup.find(Question(first_id, connection_id, known))

    def open(
        self, connection_id: str, correlation_id: str, sender: Sender, found: FoundCall = NO_CALL
    ) -> Stream:
        """Opens a stream for an authenticated socket; `found`: by `find_call`. Raises
        `JournalUnwritable`: nothing could be recorded.
        """
        if self._running is None:
            raise JournalUnwritable("the recorder is not running")
        self._check_disk_quota()
        self._note_host_step()
        stream_id = uuid4()
        first_id = identity.call_id_of(connection_id, stream_id, sender.source)
        decision = self._call_chains.decide(first_id, found)
        call_id = str(decision.link.id)
        clock = self._call_clocks.open(call_id, {one.handshake.call_id for one in self._streams})
        ids = str(stream_id), connection_id, correlation_id
        handshake = self._handshake(*ids, decision, clock.now_us())
        journal = Journal(self._running.folder.path, handshake)
        self._running.syncer.add(journal.descriptor)
        stream = Stream(journal, handshake, sender, clock.now_us)
        if by_us := self._call_clocks.stepped_us(clock):
            stream.note_step(by_us)
        self._streams[stream] = time.monotonic()
        self._call_chains.open(decision, handshake.stream_id, clock.now_us)
        self.board.add(stream)
        self._ensure_ticking()
        return stream

    def close(self, stream: Stream, code: int | None, reason: str = "") -> None:
        """Ends the stream's journal, which is then sealed. Does nothing if the stream is closed."""
        if self._streams.pop(stream, None) is None:
            return
        assert self._running, "a stream is open only while the recorder runs"
        self._running.syncer.retire(stream.close(code, reason))
        self._call_clocks.close(stream.handshake.call_id)
        assert stream.closed, "it has just been closed"
        self._call_chains.close(stream.handshake.stream_id, stream.closed.at_us)
        self._totals.add(stream)
        self._running.sealer.wake()

    def note_handshake(self, outcome: HandshakeOutcome) -> None:
        self._totals.handshakes[outcome] += 1

    def note_refusal(self, reason: str, *, from_acs: bool, origin: Origin = NOBODY) -> None:
        """Counts a refused handshake by its reason (`calls.wording.REFUSALS`). One from ACS is a
        lost call: the ticker raises the alarm, also while no call is open.
        """
        self._refused.add(reason, from_acs=from_acs, origin=origin, now=time.time())
        self._refusals.add(reason, from_acs=from_acs, now=time.monotonic())
        if from_acs and self._running:
            self._has_new_refusal = True
            self._ensure_ticking()

    def tick(self, now: float, now_us: int) -> News:
        """Rotates journals that are due and collects the news. Called ten times a second, and by
        tests.
        """
        self._note_host_step()
        for stream, started in self._streams.items():
            if (
                now - started < self._segment_seconds - TICK_SECONDS
                and stream.journal.size < MAX_FILE_BYTES
            ):
                continue
            assert self._running, "the stream was opened"
            try:
                finished = stream.rotate()
            except (JournalUnwritable, OSError) as error:  # affects only this stream
                stream_id = stream.handshake.stream_id
                log.error("journal not rotated", stream=stream_id, error=str(error))
            else:
                if finished is not None:
                    self._running.syncer.retire(finished)
                    self._running.syncer.add(stream.journal.descriptor)
                    self._running.sealer.wake()
            self._streams[stream] = now
        listeners = self._audio_tap.news(self.board, now)
        return self.board.tick(now, self._alarms(now, now_us), self._rate_and_lag(now), listeners)

    def accept_request(self, message: dict[str, Any]) -> None:
        """Applies a request from another process: `streams.live.requests`."""
        if "wish" in message:
            self._audio_tap.accept(message["wish"], time.monotonic())
        elif "ends" in message:
            self.board.end(message["ends"])
        else:
            self._audio_tap.repeat()
            self._alarm_monitor.repeat()

    def stats(self) -> RecorderStats:
        totals = replace(self._totals, messages=self._totals.messages.copy())
        for stream in self._streams:
            totals.add(stream)
        sealer = self._running.sealer if self._running else None
        backlog = sealer.backlog if sealer else Backlog()
        return RecorderStats(
            packets=totals.messages["audio"],
            messages={outcome: totals.messages[outcome] for outcome in MESSAGE_OUTCOMES},
            handshakes=dict(totals.handshakes),
            refusals=dict(self._refusals.totals),
            journal_bytes=totals.journal_bytes,
            segments_sealed=sealer.segments_sealed if sealer else 0,
            seal_failures=dict(sealer.failures) if sealer else {},
            fsync_failures=self._running.syncer.failures if self._running else 0,
            open_streams=sum(not stream.is_canary for stream in self._streams),
            seal_lag_seconds=backlog.lag_seconds,
            spool_bytes=backlog.own_bytes,
            spool_files=backlog.own_files,
            is_disk_quota_reached=bool(
                self._disk_quota.refusal_reason(self._spool_folder, backlog.size_bytes)
            ),
            alarms=self._alarm_monitor.counts,
        )

    async def aclose(self) -> None:
        """Graceful stop for servers with ASGI lifespan: sockets are closed already, the sealer gets
        a moment.
        """
        if self._ticker:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
            await self._requests.wait()
        self._close_streams()  # here, because the loop may be closing some of them itself
        await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Ends syncer and sealer and releases the folder; the process that takes it over seals the
        rest.
        """
        if self._running is None:
            return
        self._close_streams()
        idle = self._running.sealer.stop(STOP_SECONDS)
        self._running.syncer.stop()
        # else the lock is held until the process ends, so that no other seals the same files
        if idle:
            self._running.folder.release(remove_empty=True)
        self._running = None
        log.info("recorder stopped", process=self.process)

    def _handshake(
        self, stream_id: str, connection_id: str, correlation_id: str, call: Decision, now_us: int
    ) -> Handshake:
        return Handshake(
            stream_id=stream_id,
            call_id=str(call.link.id),
            call_connection_id=connection_id,
            correlation_id=correlation_id,
            connected_at_us=now_us,
            segment_seconds=self._segment_seconds,
            continued_from=str(call.link.continued_from or ""),
            continuation=call.link.number,
            is_guess=call.is_guess,
        )

    def _check_disk_quota(self) -> None:
        """Raises `JournalUnwritable` if no stream may be opened; open ones continue. Logs changes
        only.
        """
        assert self._running, "the recorder was started"
        spool_bytes = self._running.sealer.backlog.size_bytes
        before = self._refusal_reason
        self._refusal_reason = self._disk_quota.refusal_reason(self._spool_folder, spool_bytes)
        if self._refusal_reason and not before:
            log.error("disk quota reached", reason=self._refusal_reason)
        if before and not self._refusal_reason:
            log.info("disk quota cleared")
        if self._refusal_reason:
            raise JournalUnwritable(self._refusal_reason)

    def _note_host_step(self) -> None:
        """Writes a step of the host's clock to the journals of all open streams."""
        if by_us := self._call_clocks.step_us():
            log.warning("host clock stepped", seconds=round(by_us / 1_000_000, 1))
            for stream in self._streams:
                stream.note_step(by_us)

    def _close_streams(self) -> None:
        for stream in list(self._streams):
            self.close(stream, None, "recorder stopped")

    def _alarms(self, now: float, now_us: int) -> list[AlarmNews] | None:
        if self._running and self._alarm_monitor.is_due(now):
            sealer, backlog = self._running.sealer, self._running.sealer.backlog
            seen = ProcessReading(
                disk_is_low=self._disk_quota.is_low(self._spool_folder, backlog.size_bytes),
                lag_segments=backlog.lag_seconds / self._segment_seconds,
                files=backlog.files,
                sealed=sealer.segments_sealed,
                failures=sealer.failures,
                fsync_failures=self._running.syncer.failures,
                refused_from_acs=self._refusals.from_acs,
            )
            self._has_new_refusal = False
            going_on = [one for one in self._streams if one.handshake.call_id in self.board]
            self._alarm_monitor.evaluate(going_on, seen, now, now_us)
        return self._alarm_monitor.news(now)

    def _rate_and_lag(self, now: float) -> Totals | None:
        """Returns totals about once a second, else None."""
        if self._running is None or not self._rate_meter.is_due(now):
            return None
        packets = self._totals.messages["audio"]
        packets += sum(one.tally.audio for one in self._streams if not one.is_canary)
        lag = self._running.sealer.backlog.lag_seconds
        return {
            "packets_per_second": round(self._rate_meter.per_second(packets, now), 1),
            "seal_lag_seconds": round(lag, 1),
        }

    def _ensure_ticking(self) -> None:
        """Starts the ticker, which runs while it `_has_work`; the recorder owns it."""
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.get_running_loop().create_task(
                self._run_ticker(), name="recorder-ticker"
            )
            self._ticker.add_done_callback(self._ticker_ended)

    @property
    def _has_work(self) -> bool:
        """Whether a stream is open, a call is shown, or an alarm is active or may be raised."""
        alarms = self._running and (self._alarm_monitor.on or self._has_new_refusal)
        return bool(self._streams or self.board or alarms)

    def _ticker_ended(self, ticker: asyncio.Task[None]) -> None:
        """Logs a failed ticker and starts another, else rotation and levels stop unnoticed."""
        if not ticker.cancelled() and (error := ticker.exception()) is not None:
            log.error("ticker failed", exc_info=error)
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._ensure_ticking)

    async def _run_ticker(self) -> None:
        due = time.monotonic()
        self._requests.start()
        try:
            while self._has_work:
                self._read_coalescing.adjust(len(self._streams))
                news = self.tick(time.monotonic(), microseconds_now())
                if is_worth_publishing(news):
                    await self._publisher.publish(news)
                await self._audio_tap.publish(self._streams, time.monotonic())
                # after a stall keep the period; do not catch up
                due = max(due + TICK_SECONDS, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
        finally:
            self._requests.stop()
            self._read_coalescing.adjust(0)
