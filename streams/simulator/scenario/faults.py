"""Faults that turn packets as spoken into packets as they arrive: late, lost, stalled, out of
order, twice. PURE.

A packet passes two networks. Between the speaker and the service it suffers loss, jitter and
stalls, and the service stamps it on arrival: so timestamps never decrease in the order spoken.
Between the service and us it suffers reordering and duplication, which do not change the timestamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

REORDER_STEP_US = 20_000  # one packet
# A packet is overtaken by at most this many of its voice: 110 ms, well inside the 2 s of the law.
REORDER_STEPS = 5
DUPLICATE_AFTER_US = 20_000


@dataclass(frozen=True, slots=True)
class Packet:
    """Packet `number` of voice `voice`, spoken at `spoken_us` after the start of the call."""

    voice: int
    number: int
    spoken_us: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """The arrival of a packet: received by the service at `received_us` (its timestamp), sent to us
    at `sent_us`.
    """

    packet: Packet
    received_us: int
    sent_us: int
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Holds all packets for `length_us` from `at_us` on; then they arrive in a burst."""

    at_us: int
    length_us: int


@dataclass(frozen=True)
class Faults:
    """The faults of a call. The same seed gives the same faults, and one does not move the others.

    `loss`, `reorder` and `duplicates` are shares of packets, 0 to 1; `lose_every` n loses every
    n-th of each voice. Packets of a voice in a burst are stamped at least `spacing_us` apart. At 0
    they may have the same timestamp, and then two packets of silence cannot be distinguished from a
    packet and its duplicate: no recorder gets those right.
    """

    jitter_us: int = 0
    loss: float = 0.0
    lose_every: int = 0
    stalls: tuple[Stall, ...] = ()
    reorder: float = 0.0
    duplicates: float = 0.0
    spacing_us: int = 1000  # the resolution of a timestamp
    seed: int = 1


FAITHFUL = Faults()
"""No faults."""


def delivered(packets: Iterable[Packet], faults: Faults) -> Iterator[Delivery]:
    """Takes packets in the order of `spoken_us` and yields their deliveries in that of `sent_us`.

    Lazy: holds only the packets that the longest stall or delay keeps waiting.
    """
    path = _Path(faults)
    waiting: list[tuple[int, int, Delivery]] = []
    order = 0  # keeps packets that are sent at the same time in the order spoken
    for packet in packets:
        while waiting and waiting[0][0] <= packet.spoken_us:
            yield heappop(waiting)[2]
        for delivery in path.carry(packet):
            heappush(waiting, (delivery.sent_us, order, delivery))
            order += 1
    while waiting:
        yield heappop(waiting)[2]


@dataclass
class _Path:
    faults: Faults
    _random: Random = field(init=False)
    _newest_us: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._random = Random(self.faults.seed)  # noqa: S311 - repeatable faults, no secret

    def carry(self, packet: Packet) -> Iterator[Delivery]:
        """Yields no, one or two deliveries of `packet`; packets of a voice come in order."""
        # Always the same number of draws, so that switching one fault on does not move another.
        lost, late, overtaken, steps, twice = (self._random.random() for _ in range(5))
        every = self.faults.lose_every
        if lost < self.faults.loss or (every > 0 and packet.number % every == every - 1):
            return
        # the service receives it: `late` is a share of the jitter
        received_us = packet.spoken_us + int(late * self.faults.jitter_us)
        for stall in self.faults.stalls:
            if stall.at_us <= packet.spoken_us < stall.at_us + stall.length_us:
                received_us = max(received_us, stall.at_us + stall.length_us)
        if packet.voice in self._newest_us:
            received_us = max(received_us, self._newest_us[packet.voice] + self.faults.spacing_us)
        self._newest_us[packet.voice] = received_us
        sent_us = received_us
        if overtaken < self.faults.reorder:
            sent_us += (1 + int(steps * REORDER_STEPS)) * REORDER_STEP_US + REORDER_STEP_US // 2
        yield Delivery(packet, received_us, sent_us)
        if twice < self.faults.duplicates:
            yield Delivery(packet, received_us, sent_us + DUPLICATE_AFTER_US, copy=True)
