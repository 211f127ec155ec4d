"""Alarm rules of a stream and of the process, evaluated once a second on plain numbers. PURE.

    counts and levels  ──▶  StreamRules, ProcessRules  ──▶  Alarm: raised, or cleared

A rule decides whether its condition held in the last second. `AlarmLatch` debounces: it raises and
clears an alarm only after the condition has held, or not held, for a while. Times are seconds of
any monotonic clock; the wall clock (µs since the Unix epoch) is only written down.
docs/dashboard.md has the table of all alarms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from calls.audio.levels import NOTHING
from streams.journal.records import Alarm
from streams.live.rate_check import Progress, RateCheck
from streams.stats import SealStage

STREAM_ALARMS = (
    *("not_written", "no_audio", "stalled", "dead_air"),
    *("one_way", "clipping", "too_low", "malformed", "odd_timestamp", "wrong_rate"),
)
PROCESS_ALARMS = (
    *("disk_low", "not_synced", "sealing_behind", "store_away", "database_away"),
    "acs_refused",
)

FULL_SCALE_DBFS = -0.1
"""Peaks at or above this level are clipped: the highest of 16 bits is -0.0003 dBFS."""

CLIPPING_SECONDS = 10.0
MALFORMED_SECONDS = 60.0
ODD_TIMESTAMP_SECONDS = 60.0
REFUSED_SECONDS = 60.0
"""ACS tries again, and calls begin, at longer intervals than the other alarms are held."""

MAX_INTERVAL_SECONDS = 2.0
"""After a longer interval the process itself was stalled: the time before proves nothing about a
stream.
"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of the alarms. The first five are settings."""

    no_audio_seconds: float = 10.0
    dead_air_seconds: float = 20.0
    one_way_seconds: float = 20.0
    silence_dbfs: float = -50.0  # rms of 100 ms: silence is at or below it
    low_dbfs: float = -40.0
    low_seconds: float = 60.0  # of audible speech
    stalled_seconds: float = 4.0
    clipped_windows: int = 10  # of 100 ms, within CLIPPING_SECONDS
    malformed_messages: int = 60  # within MALFORMED_SECONDS
    odd_timestamps: int = 60  # within ODD_TIMESTAMP_SECONDS
    behind_segments: float = 6.0
    outage_seconds: float = 5.0


class VoiceReading(NamedTuple):
    """A voice since the last evaluation: its loudest window (rms, or `NOTHING`) and its number of
    clipped windows. `progress`: None if the newest packet has no samples or no timestamp.
    """

    loudest_dbfs: float
    clipped: int
    progress: Progress | None = None


class StreamReading(NamedTuple):
    """Totals of an open stream; `voices` by index. `is_newest`: no socket of its call was opened
    here later.
    """

    written: int
    unwritten: int
    malformed: int
    voices: Sequence[VoiceReading]
    is_newest: bool = True
    odd_timestamp: int = 0


class ProcessReading(NamedTuple):
    """Figures of the process. `lag_segments`: age of the oldest waiting journal, in segment
    lengths; the last four are totals. `refused_from_acs`: see `streams.live.refusals`.
    """

    disk_is_low: bool
    lag_segments: float
    files: int
    sealed: int
    failures: Mapping[SealStage, int]
    fsync_failures: int = 0
    refused_from_acs: int = 0


class Interval(NamedTuple):
    """The time between two evaluations, and the wall clock at its end."""

    began: float
    now: float
    now_us: int

    def us_of(self, at: float) -> int:
        return self.now_us - round((self.now - at) * 1_000_000)


@dataclass(slots=True)
class AlarmLatch:
    """One alarm of one stream, voice or process."""

    name: str
    raise_seconds: float = 0.0
    clear_seconds: float = 0.0
    voice: int | None = None
    raised_since_us: int | None = None
    active_since: float | None = None
    inactive_since: float | None = None

    def update(
        self, interval: Interval, *, active: bool, since: float | None = None
    ) -> Alarm | None:
        """Returns the alarm if it is raised or cleared. `since`: the beginning of the
        condition, if the rule knows it better than from this interval.
        """
        if active:
            self.inactive_since = None
            if self.active_since is None:
                self.active_since = interval.began if since is None else since
            if (
                self.raised_since_us is None
                and interval.now - self.active_since >= self.raise_seconds
            ):
                self.raised_since_us = interval.us_of(self.active_since)
                return Alarm(self.name, self.voice, self.raised_since_us)
        elif self.raised_since_us is None:
            self.active_since = None
        else:
            if self.inactive_since is None:
                self.inactive_since = interval.began
            if interval.now - self.inactive_since >= self.clear_seconds:
                since_us = self.raised_since_us
                # The wall clock may have been set back.
                until_us = max(since_us, interval.us_of(self.inactive_since))
                self.raised_since_us = self.active_since = self.inactive_since = None
                return Alarm(self.name, self.voice, since_us, until_us)
        return None


@dataclass(slots=True)
class SlidingCount:
    """The number of events in the last `seconds`."""

    seconds: float
    total: int = 0
    _counted: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, number: int, now: float) -> int:
        """Returns the total with `number` more. At most one entry per evaluation, so the memory is
        bounded.
        """
        if number:
            self._counted.append((now, number))
            self.total += number
        while self._counted and self._counted[0][0] <= now - self.seconds:
            self.total -= self._counted.popleft()[1]
        return self.total


class Evaluator:
    """Keeps the time of the last evaluation. Evaluations come about once a second; the first
    one has an empty interval.
    """

    def __init__(self) -> None:
        self._evaluated_at: float | None = None

    def _interval(self, now: float, now_us: int) -> Interval:
        before, self._evaluated_at = self._evaluated_at, now
        began = now if before is None else max(before, now - MAX_INTERVAL_SECONDS)
        return Interval(began, now, now_us)


class VoiceRules:
    """The rules of one voice on one stream."""

    def __init__(self, voice: int, limits: Thresholds) -> None:
        self._limits = limits
        self._one_way = AlarmLatch("one_way", clear_seconds=3.0, voice=voice)
        self._clipping = AlarmLatch("clipping", clear_seconds=CLIPPING_SECONDS, voice=voice)
        self._too_low = AlarmLatch("too_low", voice=voice)
        self._wrong_rate = AlarmLatch("wrong_rate", voice=voice)
        self._rate_check = RateCheck()
        self._clipped = SlidingCount(CLIPPING_SECONDS)
        self._ever_heard = False
        # Beginning and total seconds while only others are heard, and while speech is too low.
        self._unheard: tuple[float, float] | None = None
        self._low: tuple[float, float] | None = None

    @property
    def latches(self) -> tuple[AlarmLatch, ...]:
        return self._one_way, self._clipping, self._too_low, self._wrong_rate

    def evaluate(
        self, reading: VoiceReading, interval: Interval, *, others_heard: bool
    ) -> list[Alarm | None]:
        heard = reading.loudest_dbfs > self._limits.silence_dbfs
        sends = reading.loudest_dbfs > NOTHING
        # One way: never heard while others were. A voice that has spoken may just be listening.
        self._ever_heard = self._ever_heard or heard
        if sends and others_heard and not self._ever_heard:
            self._unheard = _extended(self._unheard, interval)
        unheard_since, unheard = self._unheard or (interval.now, 0.0)
        one_way = sends and not self._ever_heard and unheard >= self._limits.one_way_seconds
        clipped = (
            self._clipped.add(reading.clipped, interval.now)
            if reading.clipped or self._clipped.total
            else 0
        )
        if heard:  # one loud second clears the alarm; pauses do not count
            is_low = reading.loudest_dbfs < self._limits.low_dbfs
            self._low = _extended(self._low, interval) if is_low else None
        low_since, low = self._low or (interval.now, 0.0)
        too_low = low >= self._limits.low_seconds
        rate_check = self._rate_check
        if reading.progress:
            rate_check.update(reading.progress, interval.began)
        return [
            self._one_way.update(interval, active=one_way, since=unheard_since),
            self._clipping.update(interval, active=clipped >= self._limits.clipped_windows),
            self._too_low.update(interval, active=too_low, since=low_since),
            self._wrong_rate.update(interval, active=rate_check.is_wrong, since=rate_check.since),
        ]


def _extended(spell: tuple[float, float] | None, interval: Interval) -> tuple[float, float]:
    since, seconds = spell or (interval.began, 0.0)
    return since, seconds + interval.now - interval.began


class StreamRules(Evaluator):
    """The rules of one open stream. Its alarms end when it closes."""

    def __init__(self, limits: Thresholds) -> None:
        super().__init__()
        self._limits = limits
        self._reading = StreamReading(0, 0, 0, ())
        self._voices: list[VoiceRules] = []
        self._recent_malformed = SlidingCount(MALFORMED_SECONDS)
        self._recent_odd = SlidingCount(ODD_TIMESTAMP_SECONDS)
        self._not_written = AlarmLatch("not_written", clear_seconds=5.0)
        self._no_audio = AlarmLatch("no_audio", raise_seconds=limits.no_audio_seconds)
        self._stalled = AlarmLatch(
            "stalled", raise_seconds=limits.stalled_seconds, clear_seconds=3.0
        )
        self._malformed = AlarmLatch("malformed", clear_seconds=MALFORMED_SECONDS)
        self._odd = AlarmLatch("odd_timestamp", clear_seconds=ODD_TIMESTAMP_SECONDS)
        self._dead_air = AlarmLatch("dead_air", raise_seconds=limits.dead_air_seconds)

    @property
    def latches(self) -> list[AlarmLatch]:
        own = [self._not_written, self._no_audio, self._stalled, self._malformed, self._odd]
        own.append(self._dead_air)
        return own + [latch for voice in self._voices for latch in voice.latches]

    def evaluate(self, reading: StreamReading, now: float, now_us: int) -> list[Alarm]:
        """Returns the alarms that are raised or cleared."""
        interval = self._interval(now, now_us)
        before, self._reading = self._reading, reading
        packets = reading.written + reading.unwritten
        packets_before = before.written + before.unwritten
        malformed = self._recent_malformed.add(reading.malformed - before.malformed, now)
        odd = self._recent_odd.add(reading.odd_timestamp - before.odd_timestamp, now)
        changes = [
            self._not_written.update(interval, active=reading.unwritten > before.unwritten),
            self._no_audio.update(interval, active=reading.is_newest and not packets),
            self._stalled.update(
                interval, active=reading.is_newest and 0 < packets <= packets_before
            ),
            self._malformed.update(interval, active=malformed > self._limits.malformed_messages),
            self._odd.update(interval, active=odd > self._limits.odd_timestamps),
            *self._update_dead_air(reading.voices, interval),
        ]
        return [change for change in changes if change]

    def _update_dead_air(
        self, voices: Sequence[VoiceReading], interval: Interval
    ) -> list[Alarm | None]:
        levels = [voice.loudest_dbfs for voice in voices]
        heard = sum(level > self._limits.silence_dbfs for level in levels)
        sends = max(levels, default=NOTHING) > NOTHING
        changes = [self._dead_air.update(interval, active=sends and not heard)]
        while len(self._voices) < len(voices):
            self._voices.append(VoiceRules(len(self._voices), self._limits))
        for rules, reading in zip(self._voices, voices, strict=True):
            others = heard - (reading.loudest_dbfs > self._limits.silence_dbfs)
            changes += rules.evaluate(reading, interval, others_heard=others > 0)
        return changes


class ProcessRules(Evaluator):
    """The rules of the process: alarms that concern all its calls."""

    def __init__(self, limits: Thresholds) -> None:
        super().__init__()
        self._limits = limits
        self._sealed = self._fsync_failures = self._refused_from_acs = 0
        self._failures: dict[SealStage, int] = {}
        self._failing: set[SealStage] = set()
        self._disk_low = AlarmLatch("disk_low", clear_seconds=5.0)
        self._not_synced = AlarmLatch("not_synced", clear_seconds=5.0)
        self._behind = AlarmLatch("sealing_behind", clear_seconds=5.0)
        self._refused = AlarmLatch("acs_refused", clear_seconds=REFUSED_SECONDS)
        self._outages: dict[SealStage, AlarmLatch] = {
            "store": AlarmLatch("store_away", raise_seconds=limits.outage_seconds),
            "database": AlarmLatch("database_away", raise_seconds=limits.outage_seconds),
        }

    @property
    def latches(self) -> list[AlarmLatch]:
        own = [self._disk_low, self._not_synced, self._behind, self._refused]
        return [*own, *self._outages.values()]

    def evaluate(self, reading: ProcessReading, now: float, now_us: int) -> list[Alarm]:
        """Returns the alarms that are raised or cleared."""
        interval = self._interval(now, now_us)
        changes = [
            self._disk_low.update(interval, active=reading.disk_is_low),
            self._not_synced.update(interval, active=reading.fsync_failures > self._fsync_failures),
            self._behind.update(
                interval, active=reading.lag_segments > self._limits.behind_segments
            ),
            self._refused.update(
                interval, active=reading.refused_from_acs > self._refused_from_acs
            ),
        ]
        for stage, latch in self._outages.items():
            # Failing: it has failed and no journal was sealed since, although some wait. Attempts
            # become ever rarer.
            failures = reading.failures.get(stage, 0)
            if failures > self._failures.get(stage, 0):
                self._failing.add(stage)
            elif reading.sealed > self._sealed or not reading.files:
                self._failing.discard(stage)
            self._failures[stage] = failures
            changes.append(latch.update(interval, active=stage in self._failing))
        self._sealed, self._fsync_failures = reading.sealed, reading.fsync_failures
        self._refused_from_acs = reading.refused_from_acs
        return [change for change in changes if change]
