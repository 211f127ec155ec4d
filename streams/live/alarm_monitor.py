"""The lookout of one process: once a second it looks at every open stream and at the process, and
knows what is on.

streams, sealer, disk ──▶ alarms.py ──┬──▶ the stream's journal, and from there the ledger
                                      └──▶ news for the dashboards, log, /metrics
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import structlog
from django.conf import settings

from calls.audio.levels import NOTHING
from calls.live.messages import REPEAT_SECONDS, AlarmNews, step_of
from calls.times import iso_from_microseconds
from streams.ingest.stream import Stream
from streams.live.alarm_rules import (
    ProcessReading,
    ProcessRules,
    StreamReading,
    StreamRules,
    Thresholds,
    VoiceReading,
)

log = structlog.get_logger(__name__)

EVALUATE_SECONDS = 1.0

MAX_PUBLISHED = 1_000
"""Alarms of one process that dashboards are told of, the oldest first: a socket may invent 512
voices.
"""


def thresholds_from_settings() -> Thresholds:
    return Thresholds(
        no_audio_seconds=settings.ALARM_NO_AUDIO_SECONDS,
        dead_air_seconds=settings.ALARM_DEAD_AIR_SECONDS,
        one_way_seconds=settings.ALARM_ONE_WAY_SECONDS,
        silence_dbfs=settings.ALARM_SILENCE_DBFS,
        low_dbfs=settings.ALARM_LOW_DBFS,
    )


class AlarmMonitor:
    """`evaluate` when it `is_due`; `news` at every tick. Times are seconds of any monotonic
    clock.
    """

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._watches: dict[Stream, StreamRules] = {}
        self._process = ProcessRules(limits)
        self._looked_at = self._told_at = float("-inf")
        self._is_news = False
        self.on: list[AlarmNews] = []

    @property
    def counts(self) -> Counter[str]:
        """How many of each alarm are on."""
        return Counter(alarm["alarm"] for alarm in self.on)

    def is_due(self, now: float) -> bool:
        return now - self._looked_at >= EVALUATE_SECONDS

    def evaluate(
        self, streams: Iterable[Stream], process: ProcessReading, now: float, now_us: int
    ) -> None:
        """`streams`: all that are open, in the order in which they were opened."""
        self._looked_at = now
        streams = list(streams)
        newest = {stream.handshake.call_id: stream for stream in streams}
        before, self._watches = self._watches, {}
        changed = False
        for stream in streams:
            watch = before.pop(stream) if stream in before else StreamRules(self._limits)
            self._watches[stream] = watch
            seen = _reading_of(stream, is_newest=newest[stream.handshake.call_id] is stream)
            for alarm in watch.evaluate(seen, now, now_us):
                stream.note(alarm)
                changed = True
        changed = self._evaluate_process(process, now, now_us) or changed
        if changed or any(
            lamp.on_since_us for watch in before.values() for lamp in watch.latches
        ):  # closed with it
            self._redraw()

    def repeat(self) -> None:
        """The next news say what is on, if anything is."""
        self._is_news = self._is_news or bool(self.on)

    def news(self, now: float) -> list[AlarmNews] | None:
        """All that are on, when that has changed, every second while any is, and else every
        `REPEAT_SECONDS`.

        None where there is nothing to say. Who opens a dashboard late is to know what is wrong
        within a second.
        """
        if not self._is_news and now - self._told_at < (
            EVALUATE_SECONDS if self.on else REPEAT_SECONDS
        ):
            return None
        self._is_news, self._told_at = False, now
        return self.on

    def _evaluate_process(self, seen: ProcessReading, now: float, now_us: int) -> bool:
        changes = self._process.evaluate(seen, now, now_us)
        for alarm in changes:
            if alarm.until_us is None:
                log.warning("alarm raised", alarm=alarm.name)
            else:
                log.info("alarm is over", alarm=alarm.name)
        return bool(changes)

    def _redraw(self) -> None:
        on: dict[tuple[str | None, str | None, str], AlarmNews] = {}
        for alarm in sorted(self._all_on(), key=lambda alarm: alarm["since"]):
            on.setdefault(
                (alarm["call"], alarm["participant"], alarm["alarm"]), alarm
            )  # of two sockets, the elder
        self.on = list(on.values())[:MAX_PUBLISHED]
        self._is_news = True

    def _all_on(self) -> Iterator[AlarmNews]:
        for lamp in self._process.latches:
            if lamp.on_since_us is not None:
                yield _news(None, None, lamp.name, lamp.on_since_us)
        for stream, watch in self._watches.items():
            participants = [speaker.participant_id for speaker in stream.speakers.values()]
            for lamp in watch.latches:
                if lamp.on_since_us is not None:
                    whose = None if lamp.voice is None else participants[lamp.voice]
                    yield _news(stream.handshake.call_id, whose, lamp.name, lamp.on_since_us)


def _news(call: str | None, participant: str | None, name: str, since_us: int) -> AlarmNews:
    return {
        "call": call,
        "participant": participant,
        "alarm": name,
        "since": iso_from_microseconds(since_us),
    }


def _reading_of(stream: Stream, *, is_newest: bool) -> StreamReading:
    """Takes what the voices have heard since the last look."""
    voices = []
    for speaker in stream.speakers.values():
        voices.append(VoiceReading(speaker.loudest_dbfs, speaker.clipped))
        speaker.minute.append(step_of(speaker.loudest_dbfs))
        speaker.loudest_dbfs, speaker.clipped = NOTHING, 0
    tally = stream.tally
    return StreamReading(tally.audio, tally.unwritten, tally.malformed, voices, is_newest)
