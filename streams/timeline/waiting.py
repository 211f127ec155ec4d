"""Values and limits of a track: waiting packets, placed runs, gaps, late packets. PURE."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import zip_longest
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct, field

TOLERANCE_US = 60_000
"""Law 3 and 4: a packet that deviates by more is moved, and more missing time is a gap."""

PACKET_US = 20_000
"""Tolerance of one ordinary packet: smaller differences do not count."""

MAX_OVERLAP_US = 40_000
"""Law 5: late packets are no disorder if both their length and their overlap with queued audio
exceed this (two packets).
"""

LOOK_AHEAD_US = 2_500_000
"""Law 2 and 5: stalls and disorder of up to 2 s change nothing; half a second more covers jitter on
top.
"""

JUMP_US = 3_600_000_000
"""Law 6, while arrival times prove nothing: timestamps that run ahead of all audio of the call by
more than this, all together, are a clock that jumped, not silence.
"""

PAUSE_US = 100_000
"""A packet that is this much younger than the one before it shows a pause in its track."""

LAG_US = 150_000
"""A smaller step back looks like packets out of order, or like a delay."""

LONG_PAUSE_US = 250_000
"""A pause this long is real: single late timestamps leave shorter ones."""

SPEECH_PACKETS = 5
"""Packets after a pause that show whether they are speech or a burst."""

LONGEST_WAIT_SECONDS = 40
MAX_WAITING = 8_192
"""Bounds of the queue in seconds of audio and in packets: packets with a stopped clock are placed
in order of arrival.
"""

MAX_STRAYS = 10
"""Packets held back at most, while no five of them agree."""

MOST_FIRST = LOOK_AHEAD_US // PACKET_US
"""The same while fewer than five packets show the clock of the call."""

SHORTCUT_PACKETS = 16
"""Packets checked one by one before the envelope of the whole queue is computed."""

LONGEST_STREAK = 256
"""Consecutive late packets (5 s of them) that still count as disorder."""

TAIL_PACKETS = 10
"""Packets at the end of the queue that show where its audio ends: one alone may be delayed."""


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
    """A queued packet."""

    place_us: int
    pcm: bytes
    arrival: int
    timed: bool = True
    maybe_duplicate: bool = field(default=False, name="doubtful")
    """Equal to another packet: a duplicate, unless there is time for it."""
    by_arrival_us: int | None = None
    """The place by arrival of a packet without timestamp, or before the first one that has one: it
    shows the order beside packets of another socket.
    """


place_of = attrgetter("place_us")
arrival_of = attrgetter("arrival")


def has_hole(queue: Sequence[Waiting], place_us: int, length_us: int) -> bool:
    """Whether a packet of this length is missing at a place, between two queued ones."""
    number = bisect_right(queue, place_us, key=place_of)
    if not 0 < number < len(queue):
        return False
    space_us = place_us - queue[number - 1].place_us, queue[number].place_us - place_us
    return min(space_us) > length_us - PACKET_US // 2


UNTIMED = 0
"""The timestamp of a packet without one that waits among strays: no clock explains it."""


class Timed(NamedTuple):
    """A packet that has no place yet, mostly with a timestamp. `is_counted`: among the late
    packets.
    """

    timestamp_us: int
    pcm: bytes
    arrived_us: int | None = None
    is_counted: bool = False

    @property
    def is_stamped(self) -> bool:
        return self.timestamp_us != UNTIMED

    @classmethod
    def without_timestamp(cls, pcm: bytes, arrived_us: int | None) -> Timed:
        return cls(UNTIMED, pcm, arrived_us)


class Streak(Struct):
    """Consecutive late packets, with totals that show cheaply whether the clock may have stepped
    back.
    """

    arrivals: list[int] = field(default_factory=list)
    lowest_us: int = 0  # the earliest place among them
    samples: int = 0
    arrived: list[int | None] = field(default_factory=list)  # when each arrived, if known

    def add(self, packet: Waiting, arrived_us: int | None = None) -> None:
        if not self.arrivals or packet.place_us < self.lowest_us:
            self.lowest_us = packet.place_us
        if len(self.arrived) < len(self.arrivals):  # written by a version without them: unknown
            self.arrived += [None] * (len(self.arrivals) - len(self.arrived))
        self.arrivals.append(packet.arrival)
        self.arrived.append(arrived_us)
        self.samples += len(packet.pcm) // 2

    @property
    def arrived_us(self) -> dict[int, int | None]:
        """When each of its packets arrived, if known, by `Waiting.arrival`."""
        return dict(zip_longest(self.arrivals, self.arrived[: len(self.arrivals)]))


class Lag(Struct):
    """Packets of a track that arrive in a row, each of them late: a network delays them, or the
    clock has stepped back by less than that. `first`: `Waiting.arrival` of the first; 0: none. When
    each arrived, and how late, in µs.
    """

    first: int = 0
    arrived: list[int] = field(default_factory=list)
    late_us: list[int] = field(default_factory=list)
