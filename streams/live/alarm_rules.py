"""What is wrong with a stream, or with this process, decided once a second from plain numbers.
PURE.

    what was counted and heard  ──▶  StreamWatch, ProcessWatch  ──▶  Alarm: raised, or over

A rule says whether something was wrong in the second that has passed. A `AlarmLatch` goes on when
it has been so for long enough, and off when it has not been so for long enough: none flaps. Times
are seconds of any monotonic clock; the wall clock (µs since the Unix epoch) is only written down.
docs/dashboard.md has the table of all alarms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from calls.audio.levels import NOTHING
from streams.journal.records import Alarm
from streams.stats import SealStage

STREAM_ALARMS = (
    *("not_written", "no_audio", "stalled", "dead_air"),
    *("one_way", "clipping", "too_low", "malformed"),
)
PROCESS_ALARMS = ("disk_low", "sealing_behind", "store_away", "database_away")


FULL_SCALE_DBFS = -0.1
"""A peak as high is clipped: the highest of 16 bits is -0.0003 dBFS."""

CLIPPING_SECONDS = 10.0
MALFORMED_SECONDS = 60.0

MAX_INTERVAL_SECONDS = 2.0
"""Where a look comes later than this the process stood still itself: the time before says nothing
about a stream.
"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on something is wrong. The first five are settings."""

    no_audio_seconds: float = 10.0
    dead_air_seconds: float = 20.0
    one_way_seconds: float = 20.0
    silence_dbfs: float = -50.0  # rms of 100 ms: at or below it nobody is heard
    low_dbfs: float = -40.0
    low_seconds: float = 60.0  # of being heard
    stalled_seconds: float = 4.0
    clipped_windows: int = 10  # of 100 ms, within CLIPPING_SECONDS
    malformed_messages: int = 60  # within MALFORMED_SECONDS
    behind_segments: float = 6.0
    away_seconds: float = 5.0


class VoiceReading(NamedTuple):
    """What was heard of a voice since the last look: its loudest window (rms, or `NOTHING`), and
    how many clipped.
    """

    loudest_dbfs: float
    clipped: int


class StreamReading(NamedTuple):
    """Totals of an open stream; `voices` by index. `is_newest`: its call has no socket here that
    opened later.
    """

    written: int
    unwritten: int
    malformed: int
    voices: Sequence[VoiceReading]
    is_newest: bool = True


class ProcessReading(NamedTuple):
    """`lag_segments`: age of the oldest journal that waits, in segment lengths. The last three are
    totals.
    """

    disk_is_low: bool
    lag_segments: float
    files: int
    sealed: int
    failures: Mapping[SealStage, int]


class Evaluation(NamedTuple):
    """The time from the last look to this one, and the wall clock at its end."""

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
    on_since_us: int | None = None
    wrong_at: float | None = None
    right_at: float | None = None

    def update(self, look: Evaluation, *, wrong: bool, since: float | None = None) -> Alarm | None:
        """What changes. `since`: when it began, where the rule knows better than by this look."""
        if wrong:
            self.right_at = None
            if self.wrong_at is None:
                self.wrong_at = look.began if since is None else since
            if self.on_since_us is None and look.now - self.wrong_at >= self.raise_seconds:
                self.on_since_us = look.us_of(self.wrong_at)
                return Alarm(self.name, self.voice, self.on_since_us)
        elif self.on_since_us is None:
            self.wrong_at = None
        else:
            return self._update(look, self.on_since_us)
        return None

    def _update(self, look: Evaluation, on_since_us: int) -> Alarm | None:
        if self.right_at is None:
            self.right_at = look.began
        if look.now - self.right_at < self.clear_seconds:
            return None
        over_us = max(
            on_since_us, look.us_of(self.right_at)
        )  # the wall clock may have been set back
        self.on_since_us = self.wrong_at = self.right_at = None
        return Alarm(self.name, self.voice, on_since_us, over_us)


@dataclass(slots=True)
class SlidingCount:
    """How many there were within so many seconds."""

    seconds: float
    total: int = 0
    _counted: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, number: int, now: float) -> int:
        """The total, with `number` more. One entry a look at most, so the memory is bounded."""
        if number:
            self._counted.append((now, number))
            self.total += number
        while self._counted and self._counted[0][0] <= now - self.seconds:
            self.total -= self._counted.popleft()[1]
        return self.total


class Evaluator:
    """Looks come about once a second; the first one only begins."""

    def __init__(self) -> None:
        self._looked_at: float | None = None

    def _interval(self, now: float, now_us: int) -> Evaluation:
        before, self._looked_at = self._looked_at, now
        return Evaluation(
            now if before is None else max(before, now - MAX_INTERVAL_SECONDS), now, now_us
        )


class VoiceRules:
    """Of one voice on one stream."""

    def __init__(self, voice: int, limits: Thresholds) -> None:
        self._limits = limits
        self._one_way = AlarmLatch("one_way", clear_seconds=3.0, voice=voice)
        self._clipping = AlarmLatch("clipping", clear_seconds=CLIPPING_SECONDS, voice=voice)
        self._too_low = AlarmLatch("too_low", voice=voice)
        self._clipped = SlidingCount(CLIPPING_SECONDS)
        self._ever_heard = False
        self._unheard: tuple[float, float] | None = (
            None  # since when others are heard and it is not; how long in all
        )
        self._low: tuple[float, float] | None = (
            None  # since when it is heard, and too low; how long in all
        )

    @property
    def latches(self) -> tuple[AlarmLatch, ...]:
        return self._one_way, self._clipping, self._too_low

    def evaluate(
        self, seen: VoiceReading, look: Evaluation, *, others_heard: bool
    ) -> list[Alarm | None]:
        heard = seen.loudest_dbfs > self._limits.silence_dbfs
        clipped = (
            self._clipped.add(seen.clipped, look.now) if seen.clipped or self._clipped.total else 0
        )
        return [
            self._update_one_way(seen, look, heard=heard, others_heard=others_heard),
            self._clipping.update(look, wrong=clipped >= self._limits.clipped_windows),
            self._update_low_speech(seen, look, heard=heard),
        ]

    def _update_one_way(
        self, seen: VoiceReading, look: Evaluation, *, heard: bool, others_heard: bool
    ) -> Alarm | None:
        """Of a voice that was never heard; who has spoken before and listens now is not what is
        meant.
        """
        self._ever_heard = self._ever_heard or heard
        sends = seen.loudest_dbfs > NOTHING
        if sends and others_heard and not self._ever_heard:
            self._unheard = _longer(self._unheard, look)
        since, seconds = self._unheard or (look.now, 0.0)
        wrong = sends and not self._ever_heard and seconds >= self._limits.one_way_seconds
        return self._one_way.update(look, wrong=wrong, since=since)

    def _update_low_speech(
        self, seen: VoiceReading, look: Evaluation, *, heard: bool
    ) -> Alarm | None:
        """One second that is loud enough ends it; pauses count neither way."""
        if heard:
            self._low = (
                _longer(self._low, look) if seen.loudest_dbfs < self._limits.low_dbfs else None
            )
        since, seconds = self._low or (look.now, 0.0)
        return self._too_low.update(look, wrong=seconds >= self._limits.low_seconds, since=since)


def _longer(spell: tuple[float, float] | None, look: Evaluation) -> tuple[float, float]:
    since, seconds = spell or (look.began, 0.0)
    return since, seconds + look.now - look.began


class StreamRules(Evaluator):
    """Of one open stream. What is on when it closes is over with it."""

    def __init__(self, limits: Thresholds) -> None:
        super().__init__()
        self._limits = limits
        self._seen = StreamReading(0, 0, 0, ())
        self._voices: list[VoiceRules] = []
        self._malformed_lately = SlidingCount(MALFORMED_SECONDS)
        self._not_written = AlarmLatch("not_written", clear_seconds=5.0)
        self._no_audio = AlarmLatch("no_audio", raise_seconds=limits.no_audio_seconds)
        self._stalled = AlarmLatch(
            "stalled", raise_seconds=limits.stalled_seconds, clear_seconds=3.0
        )
        self._malformed = AlarmLatch("malformed", clear_seconds=MALFORMED_SECONDS)
        self._dead_air = AlarmLatch("dead_air", raise_seconds=limits.dead_air_seconds)

    @property
    def latches(self) -> list[AlarmLatch]:
        own = [self._not_written, self._no_audio, self._stalled, self._malformed, self._dead_air]
        return own + [lamp for voice in self._voices for lamp in voice.latches]

    def evaluate(self, seen: StreamReading, now: float, now_us: int) -> list[Alarm]:
        """What has changed."""
        look = self._interval(now, now_us)
        before, self._seen = self._seen, seen
        packets, packets_before = seen.written + seen.unwritten, before.written + before.unwritten
        malformed = seen.malformed - before.malformed
        lately = (
            self._malformed_lately.add(malformed, now)
            if malformed or self._malformed_lately.total
            else 0
        )
        changes = [
            self._not_written.update(look, wrong=seen.unwritten > before.unwritten),
            self._no_audio.update(look, wrong=seen.is_newest and not packets),
            self._stalled.update(look, wrong=seen.is_newest and 0 < packets <= packets_before),
            self._malformed.update(look, wrong=lately > self._limits.malformed_messages),
            *self._update_dead_air(seen.voices, look),
        ]
        return [change for change in changes if change]

    def _update_dead_air(
        self, voices: Sequence[VoiceReading], look: Evaluation
    ) -> list[Alarm | None]:
        levels = [voice.loudest_dbfs for voice in voices]
        heard = sum(level > self._limits.silence_dbfs for level in levels)
        sends = max(levels, default=NOTHING) > NOTHING
        changes = [self._dead_air.update(look, wrong=sends and not heard)]
        while len(self._voices) < len(voices):
            self._voices.append(VoiceRules(len(self._voices), self._limits))
        for watch, seen in zip(self._voices, voices, strict=True):
            others = heard - (seen.loudest_dbfs > self._limits.silence_dbfs)
            changes += watch.evaluate(seen, look, others_heard=others > 0)
        return changes


class ProcessRules(Evaluator):
    """Of the process: what concerns no call alone."""

    def __init__(self, limits: Thresholds) -> None:
        super().__init__()
        self._limits = limits
        self._sealed = 0
        self._failures: dict[SealStage, int] = {}
        self._failing: set[SealStage] = set()
        self._disk_low = AlarmLatch("disk_low", clear_seconds=5.0)
        self._behind = AlarmLatch("sealing_behind", clear_seconds=5.0)
        self._away: dict[SealStage, AlarmLatch] = {
            "store": AlarmLatch("store_away", raise_seconds=limits.away_seconds),
            "database": AlarmLatch("database_away", raise_seconds=limits.away_seconds),
        }

    @property
    def latches(self) -> list[AlarmLatch]:
        return [self._disk_low, self._behind, *self._away.values()]

    def evaluate(self, seen: ProcessReading, now: float, now_us: int) -> list[Alarm]:
        """What has changed."""
        look = self._interval(now, now_us)
        changes = [
            self._disk_low.update(look, wrong=seen.disk_is_low),
            self._behind.update(look, wrong=seen.lag_segments > self._limits.behind_segments),
        ]
        for stage, lamp in self._away.items():
            changes.append(lamp.update(look, wrong=self._fails(stage, seen)))
        self._sealed = seen.sealed
        return [change for change in changes if change]

    def _fails(self, stage: SealStage, seen: ProcessReading) -> bool:
        """From a failure on, for as long as journals wait and none is sealed: tries come ever more
        rarely.
        """
        failures = seen.failures.get(stage, 0)
        if failures > self._failures.get(stage, 0):
            self._failing.add(stage)
        elif seen.sealed > self._sealed or not seen.files:
            self._failing.discard(stage)
        self._failures[stage] = failures
        return stage in self._failing
