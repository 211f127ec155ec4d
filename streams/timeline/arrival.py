"""Arrival times as evidence: whether a timestamp can be right, or lies in the future. PURE.

Audio cannot arrive before it was spoken. So the packet with the shortest delay shows how far the
sender's clock is ahead of the recorder's, and no later packet may be further ahead: that would be a
wrong timestamp or a clock that has jumped. Being late is always possible.

Arrival times count only if they pass like the audio. If a whole call arrives within a second, as in
a test or a fast replay, they prove nothing against a timestamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import sub

from msgspec import Struct

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


class ArrivalClock(Struct):
    """Evidence from the packets of one call so far. All times in µs; plain data, stored."""

    lead_us: int | None = None
    """The greatest `lead_of` any packet."""
    first_place_us: int | None = None  # of this socket
    first_arrived_us: int | None = None
    # the youngest place of this socket, and when the last packet with it arrived
    latest_place_us: int = 0
    latest_arrived_us: int = 0
    host_step_us: int = 0
    """Recent step of the recorder's own clock that the sender's timestamps have not shown yet: it
    was suspended, or its clock was set."""

    def add(self, place_us: int, arrived_us: int, lead_us: int) -> None:
        """Adds packets whose place is accepted: the youngest place, its arrival, and the greatest
        `lead_of` them.
        """
        if self.lead_us is None or lead_us > self.lead_us:
            self.lead_us = lead_us
        if self.first_place_us is None or self.first_arrived_us is None:
            self.first_place_us, self.first_arrived_us = place_us, arrived_us
        if place_us > self.latest_place_us:
            self.latest_place_us, self.latest_arrived_us = place_us, arrived_us
        elif place_us == self.latest_place_us:
            self.latest_arrived_us = max(self.latest_arrived_us, arrived_us)
        self.host_step_us = 0

    def limit_us(self, arrived_us: int) -> int | None:
        """Returns the youngest place that a packet arriving now can have; None if unknown."""
        if self.lead_us is None:
            return None
        limit_us = self.lead_us - lead_of(0, arrived_us) + self.slack_us(arrived_us)
        return limit_us + max(0, self.host_step_us)

    def place_us(self, arrived_us: int) -> int | None:
        """Returns the place of a packet that arrives now: the limit, or in a burst after a stall
        the place after the youngest packet before it; None if unknown.
        """
        limit_us = self.limit_us(arrived_us)
        if limit_us is None or not self.has_begun:
            return limit_us
        passed_us = arrived_us - self.latest_arrived_us + max(0, self.host_step_us)
        next_us = self.latest_place_us + passed_us
        return next_us if limit_us - next_us > STALL_US else limit_us

    def slack_us(self, arrived_us: int) -> int:
        """Returns how far the limit may have drifted since the last packet."""
        return max(0, arrived_us - self.latest_arrived_us) * 2 // DRIFT

    def may_refute(self, place_us: int, arrived_us: int | None) -> bool:
        """Whether the place is beyond the limit; false if the limit is unknown."""
        if arrived_us is None or (limit_us := self.limit_us(arrived_us)) is None:
            return False
        return place_us > limit_us + RELIABLE_US

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
        self.latest_place_us = 0


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
