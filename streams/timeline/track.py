"""One participant's track: a queue of undecided packets, then runs and gaps. PURE.

A packet is queued until the track has advanced by `LOOK_AHEAD_US`. Only then is it known whether it
was merely delayed (a later packet lies closer to the contiguous audio) or whether time is missing
(all later ones agree): the lower envelope of place minus contiguous position, over the queue.
Decisions depend on the packets alone, never on the time of processing, so sealing in parts or in
one go places every sample alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from msgspec import Struct, field

from streams.timeline.duplicates import DuplicateFilter
from streams.timeline.waiting import (
    LONGEST_WAIT_SECONDS,
    LOOK_AHEAD_US,
    MAX_WAITING,
    PAUSE_US,
    SHORTCUT_PACKETS,
    TAIL_PACKETS,
    TOLERANCE_US,
    Gap,
    Lag,
    Run,
    Streak,
    Timed,
    Waiting,
    arrival_of,
    place_of,
)

__all__ = ["LOOK_AHEAD_US", "MAX_WAITING", "TOLERANCE_US", "Gap", "Run", "Track", "Waiting"]


class Track(Struct):
    """State and rules of one track: plain data, written to disk as it is."""

    sample_rate: int
    shift_us: int = 0  # added to timestamps: the clock's epoch that this track follows (law 6)
    # end of contiguous audio, in samples on the axis; None: nothing placed yet
    end: int | None = None
    newest_us: int | None = None  # the youngest place received
    newest_end_us: int = 0  # end of that packet and of the untimed ones behind it
    held: int = 0  # samples in `waiting`
    waiting: list[Waiting] = field(default_factory=list)  # the queue, by place, then arrival
    counted: bool = False  # whether `queued` and `lows` describe `waiting`: computed on demand
    queued: int = 0  # samples queued, from any start: only differences matter
    # lower envelope: (place - before, before), both rising
    lows: list[tuple[int, int]] = field(default_factory=list)
    late_streak: Streak = field(default_factory=Streak)
    # (timestamp, PCM) that no clock explains yet, and when each of them arrived, if known
    strays: list[tuple[int, bytes]] = field(default_factory=list)
    stray_arrivals: list[int | None] = field(default_factory=list)
    remembered: DuplicateFilter = field(default_factory=DuplicateFilter)
    arrivals: int = 0
    # the first packet after the last pause: when it arrived, if known, and its number
    resumed_us: int | None = None
    resumed_arrival: int = 0
    # how late it has arrived, and the least of the packets since, if no network delays it so; or 0
    resumed_late_us: int = 0
    late_us: int = 0
    lag: Lag = field(default_factory=Lag)
    gap_reason: str = "not_received"
    duplicate: int = 0
    late: int = 0
    runs: list[Run] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def insert(
        self,
        place_us: int,
        pcm: bytes,
        arrived_us: int | None = None,
        *,
        is_counted: bool = False,
        maybe_duplicate: bool = False,
    ) -> None:
        """Queues a timed packet at its place, behind earlier ones with the same place."""
        packet = Waiting(place_us, pcm, self._next_arrival(), maybe_duplicate=maybe_duplicate)
        if self.newest_us is None or place_us >= self.newest_us:
            if self.newest_us is None or place_us - self.newest_us > PAUSE_US:
                self.resumed_us, self.resumed_arrival = arrived_us, packet.arrival
                self.late_us = 0
            if self.newest_us is None and self.waiting:
                self._begin_at(place_us)
            if self.late_streak.arrivals:
                self.late_streak = Streak()
            self._append(packet)
            return
        if not maybe_duplicate:
            self.late += not is_counted
            self.late_streak.add(packet, arrived_us)
        self.waiting.insert(bisect_right(self.waiting, place_us, key=place_of), packet)
        self.held += len(pcm) // 2
        self.counted = False

    def insert_repeated(self, timestamp_us: int, pcm: bytes, repeats: int) -> None:
        """Law 1: drops an exact duplicate, and counts it.

        But a burst of silence, or a clock of whole seconds, gives many packets one timestamp and
        the same bytes. A silent packet, one that arrives for the third time (a network repeats a
        packet once), or one that shares its timestamp with other audio is queued: when its turn
        comes it is known whether there is time for it. With the third, the second is restored.
        """
        place_us = timestamp_us + self.shift_us
        is_silent = not pcm.strip(b"\0")
        if self.newest_us is None or place_us < self.newest_us - LOOK_AHEAD_US:
            self.duplicate += 1
        elif (is_shared := self._shares_place(timestamp_us, pcm)) or repeats > 1 or is_silent:
            if repeats == 2 and not is_silent and not is_shared:
                self.duplicate -= 1
                self.insert(place_us, pcm, maybe_duplicate=True)
            self.insert(place_us, pcm, maybe_duplicate=True)
        else:
            self.duplicate += 1

    def append(self, pcm: bytes, otherwise_us: int, by_arrival_us: int | None = None) -> None:
        """Queues a packet without a usable place behind the youngest one, in order of arrival
        (law 7); a first one at `otherwise_us`. `by_arrival_us`: its place by arrival, if known.

        It advances the track only if such packets make up the whole look-ahead. Else later packets
        of a burst with the same timestamp would be sorted before it, and late packets would be
        placed before enough of them show a step.
        """
        packet = Waiting(0, pcm, self._next_arrival(), timed=False, by_arrival_us=by_arrival_us)
        if self.newest_us is None:
            self._append_first(packet, otherwise_us)
            return
        if self.newest_end_us - self.newest_us > LOOK_AHEAD_US:
            packet.place_us = self.newest_end_us
            self._append(packet)
            return
        packet.place_us = self.newest_us
        self.waiting.append(packet)
        self.newest_end_us += self.duration_us(pcm)
        self.held += len(pcm) // 2
        self.counted = False

    def _append_first(self, packet: Waiting, otherwise_us: int) -> None:
        """Queues a packet without timestamp in a track that has not begun. The first one with a
        timestamp places it (law 7), or the length of all of them.
        """
        place_us = packet.place_us = self.waiting[0].place_us if self.waiting else otherwise_us
        self.waiting.append(packet)
        self.held += len(packet.pcm) // 2
        self.counted = False
        if self.held * 1_000_000 > LOOK_AHEAD_US * self.sample_rate:
            self.newest_us = place_us
            self.newest_end_us = place_us + self.held * 1_000_000 // self.sample_rate

    def keep_before(self, pcms: Sequence[bytes], place_us: int) -> None:
        """Queues packets that no clock explains, contiguous up to `place_us`: after a pause they
        belong to the audio that follows.
        """
        for pcm in reversed(pcms):
            place_us -= self.duration_us(pcm)
            packet = Waiting(place_us, pcm, self._next_arrival())
            if self.newest_us is None or place_us >= self.newest_us:
                self.newest_us = place_us
                self.newest_end_us = place_us + self.duration_us(pcm)
            self.waiting.insert(bisect_left(self.waiting, place_us, key=place_of), packet)
            self.held += len(pcm) // 2
        self.counted = False

    def hold(self, strays: Sequence[Timed]) -> None:
        """Holds back packets that no clock explains, until later ones show what they are."""
        known = self.take_strays()
        self.strays = [(one.timestamp_us, one.pcm) for one in [*strays, *known]]
        self.stray_arrivals = [one.arrived_us for one in [*strays, *known]]

    def take_strays(self) -> list[Timed]:
        arrivals = self.stray_arrivals
        if len(arrivals) != len(self.strays):  # written by a version without them
            arrivals = [None] * len(self.strays)
        strays = [Timed(*stray, at) for stray, at in zip(self.strays, arrivals, strict=True)]
        self.strays, self.stray_arrivals = [], []
        return strays

    def empty_queue(self) -> list[Timed]:
        """Removes and returns the queued packets, as if the track had not begun."""
        packets = [Timed(packet.place_us - self.shift_us, packet.pcm) for packet in self.waiting]
        self.waiting, self.held, self.counted = [], 0, False
        self.newest_us, self.newest_end_us, self.late_streak = None, 0, Streak()
        return packets

    def move_since(self, number: int, by_us: int) -> bool:
        """Moves the queued packets from the one with this number on, and later ones, by `by_us`."""
        moved = sorted([one for one in self.waiting if one.arrival >= number], key=arrival_of)
        if not moved or self.newest_us is None:
            return False
        youngest_us = self.newest_us + by_us
        for packet in moved:
            packet.place_us += by_us
            if not packet.timed:  # it lies behind one that arrived later or is not moved
                packet.place_us = min(packet.place_us, youngest_us)
            youngest_us = packet.place_us
        self.waiting = [one for one in self.waiting if one.arrival < number] + moved
        self.waiting.sort(key=place_of)
        self.newest_us, self.newest_end_us = self.newest_us + by_us, self.newest_end_us + by_us
        self.shift_us += by_us
        self.late_us, self.lag = 0, Lag()
        self.counted = False
        return True

    def tail_us(self) -> int | None:
        """Returns the end of the queued audio by the envelope of its last packets; None if the
        track has no audio.
        """
        end_us: int | None = None
        after_us = 0  # audio behind the packet
        next_us: int | None = None
        for packet in reversed(self.waiting[-TAIL_PACKETS:]):
            ends_us = packet.place_us + self.duration_us(packet.pcm)
            if next_us is not None and next_us - ends_us > TOLERANCE_US:
                break
            if packet.timed:
                end_us = ends_us + after_us if end_us is None else min(end_us, ends_us + after_us)
            after_us += self.duration_us(packet.pcm)
            next_us = packet.place_us
        if end_us is None and self.newest_us is not None:
            end_us = self.newest_end_us
        if end_us is None and self.end is not None:
            end_us = self.end * 1_000_000 // self.sample_rate
        return end_us

    def place_due(self) -> None:
        """Places the packets that are due, and half of a queue that has reached its bounds."""
        longest = self.sample_rate * LONGEST_WAIT_SECONDS
        if self.held > longest or len(self.waiting) > MAX_WAITING:
            while self.held > longest // 2 or len(self.waiting) > MAX_WAITING // 2:
                self._place_first()
        horizon_us = (self.newest_us or 0) - LOOK_AHEAD_US
        while self.waiting and self.waiting[0].place_us <= horizon_us:
            self._place_first()

    def end_socket(self, next_gap: str) -> None:
        """Places the whole queue: the socket has closed. The next gap gets the reason `next_gap`,
        and the late packets of the next socket are others.
        """
        self.place_all()
        self.gap_reason, self.late_streak, self.late_us, self.lag = next_gap, Streak(), 0, Lag()

    def place_all(self) -> None:
        """Places the whole queue: nothing more will arrive."""
        while self.waiting:
            self._place_first()

    def change_rate(self, sample_rate: int) -> None:
        """Continues the axis at another rate (law 7)."""
        self.place_all()
        self.late_streak, self.lag = Streak(), Lag()
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
        """Marks the envelope as outdated; it is computed again when needed."""
        self.counted, self.queued, self.lows = False, 0, []

    def is_contiguous(self, place_us: int, after_us: int = 0) -> bool:
        """Whether a packet at that place follows the track's audio, and at most `after_us` more."""
        if self.newest_us is None:
            return False
        return -TOLERANCE_US <= place_us - self.newest_end_us <= TOLERANCE_US + after_us

    def arrive_live(self, packets: Sequence[Timed]) -> bool:
        """Whether these packets arrive as slowly as they are spoken."""
        first_us, last_us = packets[0].arrived_us, packets[-1].arrived_us
        if first_us is None or last_us is None:
            return False
        length_us = sum(self.duration_us(packet.pcm) for packet in packets[:-1])
        return 2 * (last_us - first_us) > length_us > 0

    def duration_us(self, pcm: bytes) -> int:
        return len(pcm) * 500_000 // self.sample_rate

    @property
    def reach(self) -> int:
        """Samples by which a packet may lie ahead of contiguous audio without a gap."""
        return TOLERANCE_US * self.sample_rate // 1_000_000

    def _shares_place(self, timestamp_us: int, pcm: bytes) -> bool:
        """Whether other audio has the same timestamp as a packet and, if that is still queued, the
        same place: a clock that has stepped gives its timestamps a second time.
        """
        place_us = timestamp_us + self.shift_us
        first = bisect_left(self.waiting, place_us, key=place_of)
        near = self.waiting[first : first + SHORTCUT_PACKETS]
        at_place = [one.pcm for one in near if one.place_us == place_us]
        if pcm in at_place:
            return any(other != pcm for other in at_place)
        return self.remembered.has_another_at(timestamp_us, pcm)

    def _begin_at(self, place_us: int) -> None:
        """Places the packets without timestamp before the first one, which has this place."""
        for packet in reversed(self.waiting):
            place_us -= self.duration_us(packet.pcm)
            packet.place_us, packet.timed = place_us, True
            if packet.by_arrival_us is None:  # which says that it has no timestamp
                packet.by_arrival_us = place_us
        self.counted = False

    def _append(self, packet: Waiting) -> None:
        self.newest_us = packet.place_us
        self.newest_end_us = packet.place_us + self.duration_us(packet.pcm)
        self.waiting.append(packet)
        self.held += len(packet.pcm) // 2
        if self.counted:
            self._count([packet])

    def _count(self, packets: Sequence[Waiting]) -> None:
        """Counts packets behind those before them, and updates the envelope of the queue."""
        queued, lows, sample_rate = self.queued, self.lows, self.sample_rate
        for packet in packets:
            if packet.timed:
                low = packet.place_us * sample_rate // 1_000_000 - queued
                while lows and lows[-1][0] >= low:
                    lows.pop()
                lows.append((low, queued))
            queued += len(packet.pcm) // 2
        self.queued = queued

    def _envelope(self) -> int:
        """Returns the place of the first queued packet by the lower envelope of the queue."""
        if not self.counted:
            # The whole queue again, once for any number of changes of its order.
            self.invalidate_envelope()
            self._count(self.waiting)
            self.counted = True
        return (
            self.lows[0][0] + self.queued - self.held
            if self.lows
            else self._sample_of(self.waiting[0])
        )

    def _missing(self, first: Waiting) -> int:
        """Returns the samples between contiguous audio and the first queued packet by the envelope,
        or a good enough bound.

        The envelope never lies behind a packet, so often its own place is enough, or that of one of
        the next.
        """
        if self.end is None:
            self.end = self._envelope()
        near = -len(first.pcm) // 4 if first.maybe_duplicate else self.reach
        end, sample_rate = self.end, self.sample_rate
        for packet in self.waiting[:1] if self.counted else self.waiting[:SHORTCUT_PACKETS]:
            missing = packet.place_us * sample_rate // 1_000_000 - end
            if missing <= near and packet.timed:
                return missing
            end += len(packet.pcm) // 2
        return self._envelope() - self.end

    def _place_first(self) -> None:
        packet = self.waiting[0]
        missing, count = self._missing(packet), len(packet.pcm) // 2
        assert self.end is not None, "_missing sets the end"
        if self.counted and self.lows and self.lows[0][1] <= self.queued - self.held:
            self.lows.pop(0)
        del self.waiting[0]
        self.held -= count
        # overlaps contiguous audio by half its length
        if packet.maybe_duplicate and missing <= -len(packet.pcm) // 4:
            self.duplicate += 1
            return
        if missing > 0 and missing > self.reach and packet.timed:
            self.gaps.append(Gap(self.end, missing, self.sample_rate, self.gap_reason))
            self.end += missing
        self.place([packet.pcm], count)

    def _next_arrival(self) -> int:
        self.arrivals += 1
        return self.arrivals

    def _sample_of(self, packet: Waiting) -> int:
        return packet.place_us * self.sample_rate // 1_000_000
