"""One participant's packets on their way to the axis: a queue of what is not decided yet, then runs
and gaps. PURE.

A packet waits until the track has been heard `LOOK_AHEAD_US` further. Only then is it known whether
it was merely delayed (a later packet lies closer to the contiguous audio) or whether time is
missing (all later ones agree): the lower envelope of place minus contiguous position, over what
waits. Decisions depend on the packets alone, never on when somebody looks, so sealing in pieces or
in one go places every sample alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter

from msgspec import Struct, field

from streams.timeline.duplicates import DuplicateFilter

TOLERANCE_US = 60_000
"""Law 3 and 4: what is off by more is moved, and missing time of more is a gap."""

CROWDED_US = 40_000
"""Law 5: late packets that are longer (than two) and overlap the audio already there by more are no
disorder.
"""

LOOK_AHEAD_US = 2_500_000
"""Law 2 and 5: stalls and disorder of up to 2 s change nothing; half a second more covers jitter on
top.
"""

LONGEST_WAIT_SECONDS = 40
MAX_WAITING = 8_192
"""Bounds of the queue in seconds of audio and in packets: a sender whose clock stands still is
placed as it comes.
"""

FEW = 16
"""Packets that are looked at one by one, before all that wait are counted for the envelope."""

LONGEST_STREAK = 256
"""Late packets in a row (5 s of them) that are still taken for disorder."""


class Run(Struct):
    """Contiguous audio: `pieces` of PCM that start at `start_sample` (since the Unix epoch, at
    `sample_rate`).
    """

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


class Waiting(Struct, gc=False):
    """A packet that is not placed yet."""

    place_us: int
    pcm: bytes
    arrival: int
    timed: bool = True
    doubtful: bool = False  # equal to another packet: a duplicate, unless there is time for it


place_of = attrgetter("place_us")


class Streak(Struct):
    """Packets that came late one after another, and what tells without a search that they are no
    step of the clock.
    """

    arrivals: list[int] = field(default_factory=list)
    lowest_us: int = 0  # place of the one that is the furthest behind
    samples: int = 0

    def add(self, packet: Waiting) -> None:
        if not self.arrivals or packet.place_us < self.lowest_us:
            self.lowest_us = packet.place_us
        self.arrivals.append(packet.arrival)
        self.samples += len(packet.pcm) // 2


class Track(Struct):
    """State and rules of one track. Everything in it is plain data, so that it can be written to
    disk as it is.
    """

    sample_rate: int
    shift_us: int = 0  # added to timestamps: the clock's epoch that this track follows (law 6)
    end: int | None = (
        None  # where contiguous audio ends, in samples on the axis; None: nothing placed yet
    )
    newest_us: int | None = None  # the youngest place heard
    newest_end_us: int = 0  # its place and its length: where an untimed packet goes
    held: int = 0  # samples that wait
    waiting: list[Waiting] = field(default_factory=list)  # ordered by place, then arrival
    counted: bool = (
        False  # whether `queued` and `lows` are those of what waits: counted when they are needed
    )
    queued: int = 0  # samples queued, from any start: only differences matter
    lows: list[tuple[int, int]] = field(
        default_factory=list
    )  # lower envelope: (place - before, before), both rising
    late_streak: Streak = field(default_factory=Streak)
    strays: list[tuple[int, bytes]] = field(
        default_factory=list
    )  # (timestamp, PCM) no clock explains yet
    remembered: DuplicateFilter = field(default_factory=DuplicateFilter)
    arrivals: int = 0
    gap_reason: str = "not_received"
    duplicate: int = 0
    late: int = 0
    runs: list[Run] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def insert(self, place_us: int, pcm: bytes, *, doubtful: bool = False) -> None:
        """Queues a timed packet at its place; at one place the order of arrival stands."""
        packet = Waiting(place_us, pcm, self._next_arrival(), doubtful=doubtful)
        if self.newest_us is None or place_us >= self.newest_us:
            if self.late_streak.arrivals:
                self.late_streak = Streak()
            self._append(packet)
            return
        if not doubtful:
            self.late += 1
            self.late_streak.add(packet)
        self.waiting.insert(bisect_right(self.waiting, place_us, key=place_of), packet)
        self.held += len(pcm) // 2
        self.counted = False

    def insert_repeated(self, place_us: int, pcm: bytes, repeats: int) -> None:
        """Law 1: an exact duplicate is dropped, and counted.

        But a burst of silence, or a clock of whole seconds, gives many packets one timestamp and
        the same bytes. What is silent, or comes for the third time (a network repeats a packet
        once), waits: when its turn comes it is known whether there is time for it.
        """
        in_reach = self.newest_us is not None and place_us >= self.newest_us - LOOK_AHEAD_US
        if in_reach and (repeats > 1 or not pcm.strip(b"\0")):
            self.insert(place_us, pcm, doubtful=True)
        else:
            self.duplicate += 1

    def append(self, pcm: bytes, otherwise_us: int) -> None:
        """Queues a packet without a usable place behind the youngest one (law 7); a first one at
        `otherwise_us`.
        """
        place_us = otherwise_us if self.newest_us is None else self.newest_end_us
        self._append(Waiting(place_us, pcm, self._next_arrival(), timed=False))

    def keep(self, pcm: bytes, otherwise_us: int) -> None:
        """Queues a packet that no clock explains where it came. It does not tell that the track was
        heard further.

        If it did, the late packets behind it would be placed at once, before enough of them show a
        step of the clock.
        """
        if self.newest_us is None:
            self.append(pcm, otherwise_us)
            return
        self.waiting.append(Waiting(self.newest_us, pcm, self._next_arrival(), timed=False))
        self.newest_end_us += self.duration_us(pcm)
        self.held += len(pcm) // 2
        self.counted = False

    def take_displaced(self) -> list[tuple[int, bytes]]:
        """Late packets whose place is taken by other audio (law 5), as (timestamp, PCM); they leave
        the queue.

        In true disorder the late packets fill holes. After a step back of the clock they and the
        audio already there are together longer than the time they span, and than the time that has
        passed: the first alone may be a burst.
        """
        if not self._may_have_stepped():
            return []
        late = self._late_that_wait()
        if not self._may_have_stepped() or not (
            len(late) > LONGEST_STREAK or self._is_crowded(late)
        ):
            return []
        late.sort(key=lambda packet: packet.arrival)
        displaced = set(self.late_streak.arrivals)
        self.waiting = [packet for packet in self.waiting if packet.arrival not in displaced]
        self.held -= self.late_streak.samples
        self.late_streak = Streak()
        self.counted = False
        return [(packet.place_us - self.shift_us, packet.pcm) for packet in late]

    def _may_have_stepped(self) -> bool:
        """What the streak alone says: a flood of late packets makes a long queue, and must not
        search it each time.
        """
        streak, newest_us = self.late_streak, self.newest_us or 0
        if newest_us - streak.lowest_us <= TOLERANCE_US:
            return False
        is_crowd = streak.samples * 1_000_000 > CROWDED_US * self.sample_rate
        return len(streak.arrivals) > LONGEST_STREAK or (is_crowd and self._is_overfull())

    def _late_that_wait(self) -> list[Waiting]:
        """The late packets in the order of their places; those that have been placed are
        forgotten.
        """
        arrivals = set(self.late_streak.arrivals)
        first = bisect_left(self.waiting, self.late_streak.lowest_us, key=place_of)
        late = [packet for packet in self.waiting[first:] if packet.arrival in arrivals]
        if len(late) < len(arrivals):
            self.late_streak = Streak()
            for packet in late:
                self.late_streak.add(packet)
        return late

    def _is_crowded(self, late: list[Waiting]) -> bool:
        lowest_us = self.late_streak.lowest_us
        beyond = self.waiting[bisect_right(self.waiting, lowest_us, key=place_of) :]
        beyond += late[: bisect_right(late, lowest_us, key=place_of)]
        audio_us = sum(len(packet.pcm) for packet in beyond) * 500_000 // self.sample_rate
        return audio_us - (self.newest_end_us - lowest_us) > CROWDED_US

    def _is_overfull(self) -> bool:
        """Whether all that waits would end later than the youngest packet says."""
        start = (
            self.waiting[0].place_us * self.sample_rate // 1_000_000
            if self.end is None
            else self.end
        )
        return (start + self.held) * 1_000_000 // self.sample_rate - self.newest_end_us > CROWDED_US

    def place_due(self) -> None:
        """Places what has waited long enough, and half of a queue that has reached its bounds."""
        longest = self.sample_rate * LONGEST_WAIT_SECONDS
        if self.held > longest or len(self.waiting) > MAX_WAITING:
            while self.held > longest // 2 or len(self.waiting) > MAX_WAITING // 2:
                self._place_first()
        horizon_us = (self.newest_us or 0) - LOOK_AHEAD_US
        while self.waiting and self.waiting[0].place_us <= horizon_us:
            self._place_first()

    def place_all(self) -> None:
        """Places everything that waits: nothing more comes."""
        while self.waiting:
            self._place_first()

    def change_rate(self, sample_rate: int) -> None:
        """Continues the axis at another rate (law 7)."""
        self.place_all()
        if self.end is not None:
            self.end = -(-self.end * sample_rate // self.sample_rate)  # the next whole sample
        self.sample_rate = sample_rate

    def place(self, pieces: list[bytes], sample_count: int) -> None:
        """Appends PCM to contiguous audio."""
        assert self.end is not None, "contiguous audio has begun"
        last = self.runs[-1] if self.runs else None
        if (
            last
            and last.sample_rate == self.sample_rate
            and last.start_sample + last.sample_count == self.end
        ):
            last.pieces += pieces
            last.sample_count += sample_count
        else:
            self.runs.append(Run(self.end, self.sample_rate, pieces, sample_count))
        self.end += sample_count
        self.gap_reason = "not_received"

    def invalidate_envelope(self) -> None:
        """Leaves it to whoever needs the envelope to count anew."""
        self.counted, self.queued, self.lows = False, 0, []

    def duration_us(self, pcm: bytes) -> int:
        return len(pcm) * 500_000 // self.sample_rate

    @property
    def reach(self) -> int:
        """Samples by which a packet may lie ahead of contiguous audio without a gap."""
        return TOLERANCE_US * self.sample_rate // 1_000_000

    def _append(self, packet: Waiting) -> None:
        self.newest_us = packet.place_us
        self.newest_end_us = packet.place_us + self.duration_us(packet.pcm)
        self.waiting.append(packet)
        self.held += len(packet.pcm) // 2
        if self.counted:
            self._count(packet)

    def _count(self, packet: Waiting) -> None:
        """Counts the packet behind those before it, and keeps the envelope of all that wait."""
        if packet.timed:
            low = self._sample_of(packet) - self.queued
            while self.lows and self.lows[-1][0] >= low:
                self.lows.pop()
            self.lows.append((low, self.queued))
        self.queued += len(packet.pcm) // 2

    def _count_all(self) -> None:
        """Counts anew after the order has changed, however often it has."""
        self.invalidate_envelope()
        for packet in self.waiting:
            self._count(packet)
        self.counted = True

    def _envelope(self) -> int:
        """Where the first that waits lies by the lower envelope of all that wait."""
        if not self.counted:
            self._count_all()
        return (
            self.lows[0][0] + self.queued - self.held
            if self.lows
            else self._sample_of(self.waiting[0])
        )

    def _missing(self, first: Waiting) -> int:
        """Samples between contiguous audio and the first that waits, by the envelope; or what is
        near enough.

        The envelope never lies behind a packet, so often its own place is enough, or that of one of
        the next.
        """
        if self.end is None:
            self.end = self._envelope()
        near = -len(first.pcm) // 4 if first.doubtful else self.reach
        end = self.end
        for packet in self.waiting[:1] if self.counted else self.waiting[:FEW]:
            missing = self._sample_of(packet) - end
            if missing <= near and packet.timed:
                return missing
            end += len(packet.pcm) // 2
        return self._envelope() - self.end

    def _place_first(self) -> None:
        packet = self.waiting[0]
        missing, count = self._missing(packet), len(packet.pcm) // 2
        assert self.end is not None, "the place has been compared with it"
        if self.counted and self.lows and self.lows[0][1] <= self.queued - self.held:
            self.lows.pop(0)
        del self.waiting[0]
        self.held -= count
        if packet.doubtful and missing <= -len(packet.pcm) // 4:  # half of its length is too much
            self.duplicate += 1
            return
        if missing > self.reach and packet.timed:
            self.gaps.append(Gap(self.end, missing, self.sample_rate, self.gap_reason))
            self.end += missing
        self.place([packet.pcm], count)

    def _next_arrival(self) -> int:
        self.arrivals += 1
        return self.arrivals

    def _sample_of(self, packet: Waiting) -> int:
        return packet.place_us * self.sample_rate // 1_000_000
