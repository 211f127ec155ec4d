"""One participant's packets on their way to the axis: a queue of what is not decided yet, then runs and gaps. PURE.

A packet waits until the track has been heard `LOOK_AHEAD_US` further. Only then is it known whether it was merely
delayed (a later packet lies closer to the contiguous audio) or whether time is missing (all later ones agree): the
lower envelope of place minus contiguous position, over what waits. Decisions depend on the packets alone, never on
when somebody looks, so sealing in pieces or in one go places every sample alike.
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b

from msgspec import Struct, field

TOLERANCE_US = 60_000
"""Law 3 and 4: what is off by more is moved, and missing time of more is a gap."""

CROWDED_US = 40_000
"""Law 5: late packets that overlap the audio already there by more (two packets) are no disorder."""

LOOK_AHEAD_US = 2_500_000
"""Law 2 and 5: stalls and disorder of up to 2 s change nothing; half a second more covers jitter on top."""

LONGEST_WAIT_SECONDS = 40
MOST_WAITING = 8_192
"""Bounds of the queue in seconds of audio and in packets: a sender whose clock stands still is placed as it comes."""

DUPLICATE_MEMORY_US = 30_000_000
MOST_REMEMBERED = 8_192
"""An exact duplicate is recognised within this time and number of packets, also on a reconnected socket."""

LONGEST_STREAK = 256
"""Late packets in a row (5 s of them) that are still taken for disorder."""


class Run(Struct):
    """Contiguous audio: `pieces` of PCM that start at `start_sample` (since the Unix epoch, at `sample_rate`)."""

    start_sample: int
    sample_rate: int
    pieces: list[bytes]
    sample_count: int


class Gap(Struct, frozen=True):
    """Missing time between two runs of one track."""

    start_sample: int
    sample_count: int
    sample_rate: int
    reason: str


class Waiting(Struct):
    """A packet that is not placed yet. `before`: samples of the track queued ahead of it."""

    place_us: int
    timed: bool
    pcm: bytes
    arrival: int
    before: int = 0
    doubtful: bool = False  # equal to another packet: a duplicate, unless there is time for it


class Track(Struct):
    """State and rules of one track. Everything in it is plain data, so that it can be written to disk as it is."""

    sample_rate: int
    shift_us: int = 0  # added to timestamps: the clock's epoch that this track follows (law 6)
    end: int | None = None  # where contiguous audio ends, in samples on the axis; None: nothing placed yet
    newest_us: int | None = None  # the youngest place heard
    newest_end_us: int = 0  # its place and its length: where an untimed packet goes
    queued: int = 0  # samples queued, from any start: only differences matter
    held: int = 0  # samples that wait
    disordered: bool = False  # a packet was put between others: `before` and `lows` must be counted anew
    waiting: list[Waiting] = field(default_factory=list)  # ordered by place, then arrival
    lows: list[tuple[int, int]] = field(default_factory=list)  # lower envelope: (place - before, before), both rising
    streak: list[int] = field(default_factory=list)  # arrivals that came late one after another
    strays: list[tuple[int, bytes]] = field(default_factory=list)  # (timestamp, PCM) no clock explains yet
    recent: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # packet -> timestamp, how often it came
    arrivals: int = 0
    gap_reason: str = "not_received"
    duplicate: int = 0
    late: int = 0
    runs: list[Run] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def repeats(self, timestamp_us: int, pcm: bytes) -> int:
        """How often this timestamp with these bytes has come within `DUPLICATE_MEMORY_US`. Remembers it."""
        key = timestamp_us.to_bytes(8, "little", signed=True) + blake2b(pcm, digest_size=16).digest()
        repeat = self.recent[key][1] if key in self.recent else 0
        self.recent[key] = (timestamp_us, repeat + 1)
        for _ in range(2):  # two out for one in: the memory shrinks to what is young, or to its bound
            oldest = next(iter(self.recent))
            if self.recent[oldest][0] < timestamp_us - DUPLICATE_MEMORY_US or len(self.recent) > MOST_REMEMBERED:
                del self.recent[oldest]
        return repeat

    def insert(self, place_us: int, pcm: bytes, *, doubtful: bool = False) -> None:
        """Queues a timed packet at its place; at one place the order of arrival stands."""
        packet = Waiting(place_us, timed=True, pcm=pcm, arrival=self._next_arrival(), doubtful=doubtful)
        if self.newest_us is None or place_us >= self.newest_us:
            self.streak.clear()
            self._append(packet)
            return
        if not doubtful:
            self.late += 1
            self.streak.append(packet.arrival)
        self.waiting.insert(bisect_right(self.waiting, place_us, key=_place), packet)
        self.held += len(pcm) // 2
        self.disordered = True

    def insert_repeated(self, place_us: int, pcm: bytes, repeats: int) -> None:
        """Law 1: an exact duplicate is dropped, and counted.

        But a burst of silence, or a clock of whole seconds, gives many packets one timestamp and the same bytes. What
        is silent, or comes for the third time (a network repeats a packet once), waits: when its turn comes it is known
        whether there is time for it.
        """
        in_reach = self.newest_us is not None and place_us >= self.newest_us - LOOK_AHEAD_US
        if in_reach and (repeats > 1 or not any(pcm)):
            self.insert(place_us, pcm, doubtful=True)
        else:
            self.duplicate += 1

    def append(self, pcm: bytes, otherwise_us: int) -> None:
        """Queues a packet without a usable place behind the youngest one (law 7); a first one at `otherwise_us`."""
        place_us = otherwise_us if self.newest_us is None else self.newest_end_us
        self._append(Waiting(place_us, timed=False, pcm=pcm, arrival=self._next_arrival()))

    def take_displaced(self) -> list[tuple[int, bytes]]:
        """Late packets whose place is taken by other audio (law 5), as (timestamp, PCM); they leave the queue.

        In true disorder the late packets fill holes. After a step back of the clock they and the audio already there
        are together longer than the time they span, and than the time that has passed: the first alone may be a burst.
        """
        streak = set(self.streak)
        late = [packet for packet in self.waiting if packet.arrival in streak]
        if not late or self.newest_us is None or self.newest_us - late[0].place_us <= TOLERANCE_US:
            return []
        if (
            not (self._is_overfull() and self._is_crowded_from(late[0].place_us, streak))
            and len(late) <= LONGEST_STREAK
        ):
            return []
        late.sort(key=lambda packet: packet.arrival)
        self.waiting = [packet for packet in self.waiting if packet.arrival not in streak]
        self.held -= sum(len(packet.pcm) // 2 for packet in late)
        self.streak.clear()
        self.disordered = True
        return [(packet.place_us - self.shift_us, packet.pcm) for packet in late]

    def _is_crowded_from(self, lowest_us: int, streak: set[int]) -> bool:
        beyond = (packet for packet in self.waiting if packet.place_us > lowest_us or packet.arrival in streak)
        audio_us = sum(self._duration_us(packet.pcm) for packet in beyond)
        return audio_us - (self.newest_end_us - lowest_us) > CROWDED_US

    def _is_overfull(self) -> bool:
        """Whether all that waits would end later than the youngest packet says."""
        start = self.waiting[0].place_us * self.sample_rate // 1_000_000 if self.end is None else self.end
        return (start + self.held) * 1_000_000 // self.sample_rate - self.newest_end_us > CROWDED_US

    def settle(self) -> None:
        """Places what has waited long enough, and half of a queue that has reached its bounds."""
        longest = self.sample_rate * LONGEST_WAIT_SECONDS
        if self.held > longest or len(self.waiting) > MOST_WAITING:
            while self.held > longest // 2 or len(self.waiting) > MOST_WAITING // 2:
                self._place_first()
        horizon_us = (self.newest_us or 0) - LOOK_AHEAD_US
        while self.waiting and self.waiting[0].place_us <= horizon_us:
            self._place_first()

    def settle_all(self) -> None:
        """Places everything that waits: nothing more comes."""
        while self.waiting:
            self._place_first()

    def change_rate(self, sample_rate: int) -> None:
        """Continues the axis at another rate (law 7)."""
        self.settle_all()
        if self.end is not None:
            self.end = -(-self.end * sample_rate // self.sample_rate)  # the next whole sample
        self.sample_rate = sample_rate

    def _append(self, packet: Waiting) -> None:
        self.newest_us = packet.place_us
        self.newest_end_us = packet.place_us + self._duration_us(packet.pcm)
        self.waiting.append(packet)
        self.held += len(packet.pcm) // 2
        self._queue(packet)

    def _queue(self, packet: Waiting) -> None:
        """Counts the packet behind those before it, and keeps the envelope of all that wait."""
        packet.before = self.queued
        self.queued += len(packet.pcm) // 2
        if packet.timed:
            low = packet.place_us * self.sample_rate // 1_000_000 - packet.before
            while self.lows and self.lows[-1][0] >= low:
                self.lows.pop()
            self.lows.append((low, packet.before))

    def _requeue(self) -> None:
        """Counts anew after the order has changed, however often it has."""
        self.disordered = False
        self.queued = 0
        self.lows.clear()
        for packet in self.waiting:
            self._queue(packet)

    def _place_first(self) -> None:
        if self.disordered:
            self._requeue()
        packet = self.waiting.pop(0)
        self.held -= len(packet.pcm) // 2
        low = self.lows[0][0] + packet.before if self.lows else packet.place_us * self.sample_rate // 1_000_000
        if self.lows and self.lows[0][1] <= packet.before:
            self.lows.pop(0)
        if self.end is None:
            self.end = low
        missing = low - self.end
        if packet.doubtful and missing <= -len(packet.pcm) // 4:  # half of its length is too much
            self.duplicate += 1
            return
        if missing * 1_000_000 > TOLERANCE_US * self.sample_rate and packet.timed:
            self.gaps.append(Gap(self.end, missing, self.sample_rate, self.gap_reason))
            self.end = low
        self.gap_reason = "not_received"
        self._place(packet.pcm, self.end)

    def _place(self, pcm: bytes, start: int) -> None:
        count = len(pcm) // 2
        last = self.runs[-1] if self.runs else None
        if last and last.sample_rate == self.sample_rate and last.start_sample + last.sample_count == start:
            last.pieces.append(pcm)
            last.sample_count += count
        else:
            self.runs.append(Run(start, self.sample_rate, [pcm], count))
        self.end = start + count

    def _next_arrival(self) -> int:
        self.arrivals += 1
        return self.arrivals

    def _duration_us(self, pcm: bytes) -> int:
        return len(pcm) * 500_000 // self.sample_rate


def _place(packet: Waiting) -> int:
    return packet.place_us
