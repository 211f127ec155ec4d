"""Arrival times as evidence: whether a timestamp can be right, or lies in the future. PURE.

Audio cannot arrive before it was spoken. So the packet with the shortest delay shows how far the
sender's clock is ahead of the recorder's, and no later packet may be further ahead: that would be a
wrong timestamp or a clock that has jumped. Being late is always possible.

One wrong timestamp must not move that limit for good. So a lead that is much greater than the known
one, or than that of the first few packets, counts only if `SHOWN` packets in a row show it.

Arrival times count only if they pass like the audio. If a whole call arrives within a second, as in
a test or a fast replay, they prove nothing against a timestamp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import sub

from msgspec import Struct, field

from streams.timeline.waiting import LOOK_AHEAD_US, Timed

SECOND_US = 1_000_000

DRIFT = 2_000
"""Two clocks drift apart by at most one part in this many (500 ppm)."""

BLOCK_US = 4_000_000
"""Drift is counted in steps of this much time: 2 ms each."""

SURE_US = 100_000
"""Audio of this length shows whether arrival times pass like the audio."""


STALL_US = 100_000
"""A packet that arrives this much later than the shortest delay was held up."""

RELIABLE_US = 500_000
"""Arrival times that pass like the audio show a place with at most this error."""

LIVE_US = 60_000
"""Packets that arrive within less may be a burst."""

SHOWN = 5
"""Packets that show a lead; fewer may have wrong timestamps."""


class Doubt(Struct):
    """Packets in a row whose lead contradicts the known one. All times in µs."""

    count: int = 0
    is_ahead: bool = False
    lead_us: int = 0
    """The lead that all of them have at least; of late ones, the greatest."""
    first_place_us: int = 0
    first_arrived_us: int = 0

    def add(self, place_us: int, arrived_us: int, lead_us: int, *, is_ahead: bool) -> Doubt:
        """Returns the doubt after another packet."""
        if not self.count or self.is_ahead != is_ahead:
            return Doubt(1, is_ahead, lead_us, place_us, arrived_us)
        lead_us = (min if is_ahead else max)(self.lead_us, lead_us)
        return Doubt(self.count + 1, is_ahead, lead_us, self.first_place_us, self.first_arrived_us)


class ArrivalClock(Struct):
    """Evidence from the packets of one call so far. All times in µs; plain data, stored."""

    lead_us: int | None = None
    """The greatest `lead_of` any packet."""
    first_place_us: int | None = None  # of this socket
    first_arrived_us: int | None = None
    # the youngest place of this socket, and when the last packet with it arrived
    latest_place_us: int = 0
    latest_arrived_us: int = 0
    shown: int = SHOWN
    """How many packets, at most `SHOWN`, show the lead."""
    heard: int = SHOWN
    """How many packets of this socket, at most `SHOWN`, have been added."""
    doubt: Doubt = field(default_factory=Doubt)
    host_step_us: int = 0
    """Recent step of the recorder's own clock that the sender's timestamps have not shown yet: it
    was suspended, or its clock was set."""

    def add(self, place_us: int, arrived_us: int, lead_us: int) -> bool:
        """Adds packets whose place is accepted: the youngest place, its arrival, and the greatest
        `lead_of` them. Returns whether they show that packets before them lie in the future.
        """
        known_us = self.lead_us
        is_ordinary = (
            known_us is not None
            and lead_us <= known_us
            and self.shown >= SHOWN
            and (lead_us < known_us - STALL_US or not self.doubt.count)
        )
        is_new = not is_ordinary and self._note_lead(place_us, arrived_us, lead_us)
        if self.first_place_us is None or self.first_arrived_us is None:
            self.first_place_us, self.first_arrived_us = place_us, arrived_us
        if place_us > self.latest_place_us:
            self.latest_place_us, self.latest_arrived_us = place_us, arrived_us
        elif place_us == self.latest_place_us:
            self.latest_arrived_us = max(self.latest_arrived_us, arrived_us)
        if self.heard < SHOWN:
            self.heard += 1
        self.host_step_us = 0
        return is_new

    def assume(self, place_us: int, arrived_us: int) -> None:
        """Adds what is known of the clock from an earlier process."""
        lead_us = lead_of(place_us, arrived_us)
        self.lead_us = lead_us if self.lead_us is None else max(self.lead_us, lead_us)
        self.latest_arrived_us = max(self.latest_arrived_us, arrived_us)
        self.shown = self.heard = 0

    def _note_lead(self, place_us: int, arrived_us: int, lead_us: int) -> bool:
        if self.lead_us is None:
            self.lead_us, self.shown, self.heard = lead_us, 1, 0
            return False
        ahead_us = lead_us - self.lead_us
        is_ahead = ahead_us > 0
        most_us = STALL_US + (self.slack_us(arrived_us) if is_ahead else 0)
        if abs(ahead_us) <= most_us or (is_ahead and self.host_step_us > 0):
            self.lead_us = max(self.lead_us, lead_us)
            before, self.doubt = self.doubt, Doubt()
            self.shown = min(self.shown + 1, SHOWN)
            return before.is_ahead
        self.doubt = self.doubt.add(place_us, arrived_us, lead_us, is_ahead=is_ahead)
        if self.doubt.count < SHOWN or not (is_ahead or self._is_live(place_us, arrived_us)):
            return False
        self._believe(place_us, arrived_us)
        return not is_ahead

    def _is_live(self, place_us: int, arrived_us: int) -> bool:
        """Whether the doubtful packets arrive as slowly as they are spoken: not in a burst."""
        passed_us = arrived_us - self.doubt.first_arrived_us
        return passed_us >= LIVE_US and 2 * passed_us >= place_us - self.doubt.first_place_us

    def _believe(self, place_us: int, arrived_us: int) -> None:
        """Begins again with the doubtful packets, of which this is the last."""
        doubt, self.doubt = self.doubt, Doubt()
        self.lead_us, self.shown = doubt.lead_us, SHOWN
        self.first_place_us, self.first_arrived_us = doubt.first_place_us, doubt.first_arrived_us
        if not doubt.is_ahead:
            self.latest_place_us, self.latest_arrived_us = place_us, arrived_us

    def limit_us(self, arrived_us: int) -> int | None:
        """Returns the youngest place that a packet arriving now can have; None if unknown."""
        if self.lead_us is None:
            return None
        limit_us = self.lead_us - lead_of(0, arrived_us) + self.slack_us(arrived_us)
        return limit_us + max(0, self.host_step_us)

    def expected_us(self, arrived_us: int) -> int | None:
        """Returns the youngest place of a packet that arrives now, if the clocks have not drifted
        apart since the last one; None if unknown.
        """
        limit_us = self.limit_us(arrived_us)
        return None if limit_us is None else limit_us - self.slack_us(arrived_us) // 2

    def place_us(self, arrived_us: int) -> int | None:
        """Returns the place of a packet that arrives now: the limit, or in a burst after a stall
        the place after the youngest packet before it; None if unknown.
        """
        limit_us = self.limit_us(arrived_us)
        if limit_us is None or not self.has_begun:
            return self.expected_us(arrived_us)
        passed_us = arrived_us - self.latest_arrived_us + max(0, self.host_step_us)
        next_us = self.latest_place_us + passed_us
        return next_us if limit_us - next_us > STALL_US else limit_us

    def following_us(self, arrived_us: int | None) -> int | None:
        """Returns the place of a packet that arrives now, if it was held up like the youngest one;
        None if unknown.
        """
        if arrived_us is None or not self.has_begun:
            return None
        return self.latest_place_us + arrived_us - self.latest_arrived_us

    def lateness_us(self, place_us: int, arrived_us: int) -> int:
        """Returns how much later a packet arrives than the one with the shortest delay; 0 if
        unknown.
        """
        return 0 if self.lead_us is None else self.lead_us - lead_of(place_us, arrived_us)

    def is_too_late(self, place_us: int, arrived_us: int | None) -> bool:
        """Whether a packet is later than disorder: it arrives too late for its place, which is as
        far before the youngest place of this socket. A network that stands still delays all alike.
        """
        if arrived_us is None or self.is_slow or self.latest_place_us - place_us <= LOOK_AHEAD_US:
            return False
        return self.lateness_us(place_us, arrived_us) > LOOK_AHEAD_US

    def passed_us(self, arrived_us: int | None) -> int:
        """Returns how long after the youngest packet a packet of this socket arrives; 0 if that is
        unknown.
        """
        if arrived_us is None or self.first_place_us is None:
            return 0
        return max(0, arrived_us - self.latest_arrived_us)

    def slack_us(self, arrived_us: int) -> int:
        """Returns how far the limit may have drifted since the last packet."""
        return max(0, arrived_us - self.latest_arrived_us) * 2 // DRIFT

    def may_refute(self, place_us: int, arrived_us: int | None) -> bool:
        """Whether the place is beyond the limit; false if the limit is unknown."""
        if arrived_us is None or (limit_us := self.limit_us(arrived_us)) is None:
            return False
        return place_us > limit_us + RELIABLE_US

    def is_sure_of(self, lead_us: int) -> bool:
        """Whether packets with at most this lead leave no doubt."""
        if self.lead_us is None:
            return True
        return self.is_shown and not self.doubt.count and lead_us <= self.lead_us + STALL_US

    @property
    def is_shown(self) -> bool:
        """Whether enough packets show the lead, on this socket."""
        return min(self.shown, self.heard) >= SHOWN

    @property
    def is_slow(self) -> bool:
        """Whether arrival times pass much faster than the audio, as in a slow replay."""
        if self.first_place_us is None or self.first_arrived_us is None:
            return False
        audio_us = self.latest_place_us - self.first_place_us
        return self.latest_arrived_us - self.first_arrived_us > 2 * audio_us + RELIABLE_US

    @property
    def has_begun(self) -> bool:
        """Whether packets of this socket have been added."""
        return self.first_place_us is not None

    @property
    def is_paced(self) -> bool:
        """Whether arrival times pass like the audio: only then they can refute a timestamp."""
        if self.first_place_us is None or self.first_arrived_us is None:
            return False
        audio_us = self.latest_place_us - self.first_place_us
        return (
            audio_us >= SURE_US and self.latest_arrived_us - self.first_arrived_us >= audio_us // 2
        )

    def end_socket(self) -> None:
        """Forgets the pace: the next socket may be one of another process."""
        self.first_place_us = self.first_arrived_us = None
        self.latest_place_us = self.heard = 0


def lead_of(place_us: int, arrived_us: int) -> int:
    """Returns place minus arrival, where arrival counts `1 / DRIFT` less, in whole `BLOCK_US`: so
    the greatest of many falls with time as fast as two clocks may drift apart.
    """
    return place_us - arrived_us + arrived_us // BLOCK_US * (BLOCK_US // DRIFT)


def greatest_lead(places_us: Sequence[int], arrivals_us: Sequence[int]) -> int:
    """Returns the greatest `lead_of` these packets, mostly without a step of Python for each."""
    first, last = min(arrivals_us) // BLOCK_US, max(arrivals_us) // BLOCK_US
    if first == last:
        greatest_us: int = max(map(sub, places_us, arrivals_us))
        return greatest_us + first * (BLOCK_US // DRIFT)
    return max(map(lead_of, places_us, arrivals_us))


def reliable_us(packet: Timed, stamps: Sequence[int] = ()) -> int:
    """Returns how far the packet may seem to lie ahead of its arrival. If most of the latest
    `stamps` of its track are whole seconds, they come from a clock without fractions, which ticks
    that much later.
    """
    if packet.timestamp_us % SECOND_US:
        return RELIABLE_US
    fractions = sum(stamp_us % SECOND_US != 0 for stamp_us in stamps)
    return RELIABLE_US if 2 * fractions >= len(stamps) > 0 else RELIABLE_US + SECOND_US


def seeming_us(packet: Timed, stamps: Sequence[int] = ()) -> int:
    """Returns how late a packet may seem, at most the look-ahead: a wrong timestamp before it, and
    a clock without fractions, make the shortest delay too short.
    """
    return min(LOOK_AHEAD_US, 2 * reliable_us(packet, stamps) - RELIABLE_US + 2 * STALL_US)


def start_by(
    place_of: Callable[[int | None], int | None], packets: Sequence[Timed], start_us: int
) -> int | None:
    """Returns the place of audio that begins with the timestamp `start_us`, if no packet of it is
    younger than its arrival shows by `place_of`; None if arrival shows nothing.

    Timestamps do not decrease, so one greater than the next may be wrong, and does not count.
    """
    following = [*(one.timestamp_us for one in packets[1:]), packets[-1].timestamp_us]
    shifts = [
        place_us - one.timestamp_us
        for one, next_us in zip(packets, following, strict=True)
        if one.timestamp_us <= next_us and (place_us := place_of(one.arrived_us)) is not None
    ]
    return start_us + min(shifts) if shifts else None


def start_of(packets: Sequence[Timed], sample_rate: int) -> int:
    """Returns the timestamp at which contiguous audio of these packets begins, by the envelope."""
    before_us, start_us = 0, packets[0].timestamp_us
    for packet in packets:
        start_us = min(start_us, packet.timestamp_us - before_us)
        before_us += len(packet.pcm) * 500_000 // sample_rate
    return start_us
