"""The recorder of one process: its spool folder, its open streams, and the three things that look
after them.

streams ──▶ journals ──▶ syncer (thread: fsync every second)
   │            └──────▶ sealer (process: finished journals -> store, rows)
   └──▶ board, lookout ──▶ ticker (task: rotates journals, looks for what is wrong, publishes news)
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from calls import identity
from calls.live import channel
from calls.live.messages import AlarmNews, News, Totals
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
from streams.live.requests import serve_requests
from streams.sealing.process import SealerHandle
from streams.sealing.sealer import Sealer
from streams.stats import Backlog, HandshakeOutcome, MessageOutcome, RateMeter, RecorderStats

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1
PUBLISH_TIMEOUT_SECONDS = 1.0
STOP_SECONDS = 3.0
MAX_FILE_BYTES = 8 * 1024 * 1024
"""A journal file is also rotated at this size, a minute of four speakers at 16 kHz: it is sealed in
one piece, which takes five times its size in memory, and a flood must not make large ones.
"""


@dataclass(frozen=True, slots=True)
class Running:
    """What a started recorder owns."""

    folder: spool.Folder
    syncer: Syncer
    sealer: SealerHandle


class Recorder:
    """`start` once per process; `open` a stream per socket, `close` it; `stop` at the end."""

    def __init__(
        self,
        spool_folder: Path,
        *,
        segment_seconds: float,
        fsync_seconds: float,
        grace_seconds: float,
        room: DiskQuota | None = None,
        alarms: Thresholds | None = None,
        publish: Callable[[News], Awaitable[None]] = channel.publish,
        sealer: Callable[[Path, Path], SealerHandle] = Sealer,
    ) -> None:
        """`sealer` makes one for the spool and the folder of this process: `Sealer`, a thread, or
        `SealerProcess`.
        """
        self._spool_folder = spool_folder
        self._segment_seconds = segment_seconds
        self._fsync_seconds = fsync_seconds
        self._room = room or DiskQuota()
        self._lacking = ""
        self._publish = publish
        self._sealer_for = sealer
        self.process = str(uuid4())
        self.board = Board(self.process, grace_seconds)
        self._lookout = AlarmMonitor(alarms or Thresholds())
        self._streams: dict[Stream, float] = {}  # open ones, and when their file began
        self._ticker: asyncio.Task[None] | None = None
        self._gathering = ReadCoalescing()
        self._ears = AudioTap()
        self._layer_away = False
        self._totals: Counter[str] = Counter()
        self._handshakes: Counter[HandshakeOutcome] = Counter()
        self._journal_bytes = 0
        self._pace = RateMeter()
        self._running: Running | None = None

    def start(self) -> None:
        """Claims a folder of the spool and starts the threads; again, nothing. Raises `OSError`
        without a spool.
        """
        if self._running is None:
            folder = spool.claim(self._spool_folder)
            sealer = self._sealer_for(self._spool_folder, folder.path)
            self._running = Running(folder, Syncer(folder.path, self._fsync_seconds), sealer)
            self._running.syncer.start()
            self._running.sealer.start()
            log.info("recorder started", process=self.process)

    def open(self, call_connection_id: str, correlation_id: str, sender: Sender) -> Stream:
        """A stream for an admitted socket. Raises `JournalUnwritable`: nothing could be
        recorded.
        """
        if self._running is None:
            raise JournalUnwritable("the recorder does not run")
        self._check_disk_quota()
        stream_id = uuid4()
        handshake = Handshake(
            stream_id=str(stream_id),
            call_id=str(identity.call_id_of(call_connection_id, stream_id, sender.source)),
            call_connection_id=call_connection_id,
            correlation_id=correlation_id,
            connected_at_us=microseconds_now(),
            segment_seconds=self._segment_seconds,
        )
        journal = Journal(self._running.folder.path, handshake)
        self._running.syncer.add(journal.descriptor)
        stream = Stream(journal, handshake, sender)
        self._streams[stream] = time.monotonic()
        self.board.add(stream)
        self._ensure_ticking()
        return stream

    def close(self, stream: Stream, code: int | None, reason: str = "") -> None:
        """Ends the stream's journal; it is sealed at once. Again, or after `stop` has done it,
        nothing.
        """
        if self._streams.pop(stream, None) is None:
            return
        assert self._running, "a stream is open only while the recorder runs"
        self._running.syncer.retire(stream.close(code, reason))
        self._count(stream)
        self._running.sealer.wake()

    def note_handshake(self, outcome: HandshakeOutcome) -> None:
        self._handshakes[outcome] += 1

    def tick(self, now: float, now_us: int) -> News:
        """Rotates journals that are due and collects the news. Called ten times a second, and by
        tests.
        """
        for stream, began in self._streams.items():
            if (
                now - began >= self._segment_seconds - TICK_SECONDS
                or stream.journal.size >= MAX_FILE_BYTES
            ):
                self._rotate(stream, now)
        listeners = self._ears.news(self.board, now)
        return self.board.tick(
            now, now_us, self._alarms(now, now_us), self._rate_and_lag(now), listeners
        )

    def accept_request(self, message: dict[str, Any]) -> None:
        """What another process wishes: that somebody hears a call, or that news are repeated at the
        next tick.
        """
        if "wish" in message:
            self._ears.accept(message["wish"], time.monotonic())
        else:
            self._ears.repeat()
            self._lookout.repeat()

    def stats(self) -> RecorderStats:
        tallies = [stream.tally for stream in self._streams]
        outcomes: tuple[MessageOutcome, ...] = ("audio", "dtmf", "metadata", "unknown", "malformed")
        messages = {
            name: self._totals[name] + sum(getattr(tally, name) for tally in tallies)
            for name in outcomes
        }
        sealer = self._running.sealer if self._running else None
        backlog = sealer.backlog if sealer else Backlog()
        return RecorderStats(
            packets=messages["audio"],
            messages=messages,
            handshakes=dict(self._handshakes),
            journal_bytes=self._journal_bytes
            + sum(stream.journal.bytes_written for stream in self._streams),
            segments_sealed=sealer.segments_sealed if sealer else 0,
            seal_failures=dict(sealer.failures) if sealer else {},
            open_streams=len(self._streams),
            seal_lag_seconds=backlog.lag_seconds,
            spool_bytes=backlog.size_bytes,
            spool_files=backlog.files,
            lacks_room=bool(self._room.refusal_reason(self._spool_folder, backlog.size_bytes)),
            alarms=self._lookout.counts,
        )

    async def aclose(self) -> None:
        """`stop` for servers that tell of their end: sockets are closed already, the sealer gets a
        moment.
        """
        if self._ticker:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        self._close_streams()  # here, because the loop may be closing some of them itself
        await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Ends syncer and sealer and gives the folder up; what is not sealed yet is sealed by
        whoever takes it over.
        """
        if self._running is None:
            return
        self._close_streams()
        idle = self._running.sealer.stop(STOP_SECONDS)
        self._running.syncer.stop()
        # else the lock is held until the process has ended: nobody takes over what is still being
        # sealed
        if idle:
            self._running.folder.release(remove_empty=True)
        self._running = None
        log.info("recorder stopped", process=self.process)

    def _check_disk_quota(self) -> None:
        """Raises `JournalUnwritable`: what is open is recorded on, nothing is begun. Logged once,
        not each time.
        """
        assert self._running, "the recorder was started"
        spool_bytes = self._running.sealer.backlog.size_bytes
        before, self._lacking = (
            self._lacking,
            self._room.refusal_reason(self._spool_folder, spool_bytes),
        )
        if self._lacking and not before:
            log.error("no room for new calls", reason=self._lacking)
        if before and not self._lacking:
            log.info("room for new calls again")
        if self._lacking:
            raise JournalUnwritable(self._lacking)

    def _close_streams(self) -> None:
        for stream in list(self._streams):
            self.close(stream, None, "recorder stopped")

    def _rotate(self, stream: Stream, now: float) -> None:
        assert self._running, "the stream was opened"
        try:
            finished = stream.rotate()
        except (JournalUnwritable, OSError) as error:  # of one stream: the others have their turn
            log.error("journal not rotated", stream=stream.handshake.stream_id, error=str(error))
            finished = None
        if finished is not None:
            self._running.syncer.retire(finished)
            self._running.syncer.add(stream.journal.descriptor)
            self._running.sealer.wake()
        self._streams[stream] = now

    def _alarms(self, now: float, now_us: int) -> list[AlarmNews] | None:
        if self._running and self._lookout.is_due(now):
            sealer, backlog = self._running.sealer, self._running.sealer.backlog
            seen = ProcessReading(
                disk_is_low=self._room.is_low(self._spool_folder, backlog.size_bytes),
                lag_segments=backlog.lag_seconds / self._segment_seconds,
                files=backlog.files,
                sealed=sealer.segments_sealed,
                failures=sealer.failures,
            )
            self._lookout.evaluate(self._streams, seen, now, now_us)
        return self._lookout.news(now)

    def _rate_and_lag(self, now: float) -> Totals | None:
        """About once a second; None between."""
        if self._running is None or not self._pace.is_due(now):
            return None
        packets = self._totals["audio"] + sum(stream.tally.audio for stream in self._streams)
        lag = self._running.sealer.backlog.lag_seconds
        return {
            "packets_per_second": round(self._pace.per_second(packets, now), 1),
            "seal_lag_seconds": round(lag, 1),
        }

    def _count(self, stream: Stream) -> None:
        for name in ("audio", "dtmf", "metadata", "unknown", "malformed"):
            self._totals[name] += getattr(stream.tally, name)
        self._journal_bytes += stream.journal.bytes_written

    def _ensure_ticking(self) -> None:
        """The ticker lives as long as there is a call on the board or an alarm is on; the recorder
        owns it.
        """
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.get_running_loop().create_task(
                self._run_ticker(), name="recorder-ticker"
            )
            self._ticker.add_done_callback(self._ticker_ended)

    def _ticker_ended(self, ticker: asyncio.Task[None]) -> None:
        """A ticker that fails would end rotation and levels in silence: it is said, and another one
        takes over.
        """
        if not ticker.cancelled() and (error := ticker.exception()) is not None:
            log.error("ticker failed", exc_info=error)
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._ensure_ticking)

    async def _run_ticker(self) -> None:
        due = time.monotonic()
        wishes = asyncio.get_running_loop().create_task(
            serve_requests(self.accept_request), name="recorder-wishes"
        )
        try:
            while self.board or (self._running and self._lookout.on):
                self._gathering.adjust(len(self._streams))
                news = self.tick(time.monotonic(), microseconds_now())
                if is_worth_publishing(news):
                    await self._publish_news(news)
                await self._ears.publish(self._streams, time.monotonic())
                due = max(
                    due + TICK_SECONDS, time.monotonic()
                )  # after a stall the rhythm goes on, none is made up for
                await asyncio.sleep(due - time.monotonic())
        finally:
            wishes.cancel()
            self._gathering.adjust(0)

    async def _publish_news(self, news: News) -> None:
        """Levels must never queue: a layer that does not take them in time has missed them."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await self._publish(news)
        # news are news: whatever befalls them must not keep journals from being rotated
        except Exception as error:
            if not self._layer_away:  # once, not ten times a second
                unexpected = None if isinstance(error, channel.LAYER_ERRORS) else error
                log.warning(
                    "dashboards stand still", error=type(error).__name__, exc_info=unexpected
                )
            self._layer_away = True
        else:
            self._layer_away = False
