"""Evaluates the alarm rules once a second and keeps the set of active alarms.

streams, sealer, disk ──▶ alarm_rules ──┬──▶ the stream's journal, and from there the ledger
                                        └──▶ news for the dashboards, log, /metrics
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import structlog
from django.conf import settings

from calls.audio.levels import NOTHING
from calls.live.messages import REPEAT_SECONDS, AlarmNews, step_of
from calls.times import iso_from_microseconds
from streams.ingest.stream import Speaker, Stream
from streams.live.alarm_rules import (
    ProcessReading,
    ProcessRules,
    StreamReading,
    StreamRules,
    Thresholds,
    VoiceReading,
)
from streams.live.rate_check import Progress

log = structlog.get_logger(__name__)

EVALUATE_SECONDS = 1.0

MAX_PUBLISHED = 1_000
"""Published alarms of one process, the oldest first: a socket may invent 512 voices."""


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
        self._rules: dict[Stream, StreamRules] = {}
        self._process_rules = ProcessRules(limits)
        self._evaluated_at = self._published_at = float("-inf")
        self._must_publish = False
        self.on: list[AlarmNews] = []

    @property
    def counts(self) -> Counter[str]:
        """Number of active alarms by name."""
        return Counter(alarm["alarm"] for alarm in self.on)

    def is_due(self, now: float) -> bool:
        return now - self._evaluated_at >= EVALUATE_SECONDS

    def evaluate(
        self, streams: Iterable[Stream], process: ProcessReading, now: float, now_us: int
    ) -> None:
        """Evaluates all rules. `streams`: all open ones, in the order in which they were opened."""
        self._evaluated_at = now
        streams = list(streams)
        newest = {stream.handshake.call_id: stream for stream in streams}
        before, self._rules = self._rules, {}
        changed = False
        for stream in streams:
            rules = before.pop(stream) if stream in before else StreamRules(self._limits)
            self._rules[stream] = rules
            reading = _reading_of(stream, is_newest=newest[stream.handshake.call_id] is stream)
            # on the clock of the call, like all times in its journal
            for alarm in rules.evaluate(reading, now, now_us - stream.host_step_us):
                stream.note(alarm)
                changed = True
        for alarm in self._process_rules.evaluate(process, now, now_us):
            changed = True
            if alarm.until_us is None:
                log.warning("alarm raised", alarm=alarm.name)
            else:
                log.info("alarm cleared", alarm=alarm.name)
        closed_with_stream = any(
            latch.raised_since_us for rules in before.values() for latch in rules.latches
        )
        if changed or closed_with_stream:
            self._update_active()

    def repeat(self) -> None:
        """Makes the next news include the active alarms, if there are any."""
        self._must_publish = self._must_publish or bool(self.on)

    def news(self, now: float) -> list[AlarmNews] | None:
        """Returns all active alarms when they have changed, every second while there are any, and
        otherwise every `REPEAT_SECONDS`; None in between.

        A dashboard that opens later thus shows them within a second.
        """
        if not self._must_publish and now - self._published_at < (
            EVALUATE_SECONDS if self.on else REPEAT_SECONDS
        ):
            return None
        self._must_publish, self._published_at = False, now
        return self.on

    def _update_active(self) -> None:
        alarms = [
            _news(None, None, latch.name, latch.raised_since_us)
            for latch in self._process_rules.latches
            if latch.raised_since_us is not None
        ]
        for stream, rules in self._rules.items():
            call = stream.handshake.call_id
            participants = [speaker.participant_id for speaker in stream.speakers.values()]
            for latch in rules.latches:
                if latch.raised_since_us is not None:
                    participant = None if latch.voice is None else participants[latch.voice]
                    alarms.append(_news(call, participant, latch.name, latch.raised_since_us))
        on: dict[tuple[str | None, str | None, str], AlarmNews] = {}
        for alarm in sorted(alarms, key=lambda alarm: alarm["since"]):
            # On two sockets of a call: the older alarm.
            on.setdefault((alarm["call"], alarm["participant"], alarm["alarm"]), alarm)
        self.on = list(on.values())[:MAX_PUBLISHED]
        self._must_publish = True


def _news(call: str | None, participant: str | None, name: str, since_us: int) -> AlarmNews:
    return {
        "call": call,
        "participant": participant,
        "alarm": name,
        "since": iso_from_microseconds(since_us),
    }


def _progress_of(speaker: Speaker, stream: Stream) -> Progress | None:
    packet = speaker.newest
    if packet is None or packet.timestamp_us is None or not packet.pcm:
        return None
    documented_rate = stream.rates.get(len(packet.pcm))
    return Progress(
        speaker.meter.sample_rate, speaker.samples, packet.timestamp_us, documented_rate
    )


def _reading_of(stream: Stream, *, is_newest: bool) -> StreamReading:
    """Takes the levels of the voices since the last evaluation, and resets them."""
    voices = []
    for speaker in stream.speakers.values():
        progress = _progress_of(speaker, stream)
        voices.append(VoiceReading(speaker.loudest_dbfs, speaker.clipped, progress))
        speaker.minute.append(step_of(speaker.loudest_dbfs))
        speaker.loudest_dbfs, speaker.clipped = NOTHING, 0
    tally = stream.tally
    return StreamReading(
        tally.audio, tally.unwritten, tally.malformed, voices, is_newest, tally.odd_timestamp
    )
