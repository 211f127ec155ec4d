"""Packets as spoken become packets as they arrive: late, lost, stalled, out of order, twice. PURE.

A packet goes two ways. From the speaker to the service it suffers loss, jitter and stalls, and the
service stamps it with the moment it came: so timestamps never decrease in the order spoken. From
the service to us it suffers reordering and duplication, which leave the timestamp as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

REORDER_STEP_US = 20_000  # one packet
# a packet is overtaken by at most so many of its voice: 110 ms, well inside the 2 s of the law
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
    """A packet that arrives: received by the service at `received_us` (its timestamp), sent to us
    at `sent_us`.
    """

    packet: Packet
    received_us: int
    sent_us: int
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing gets through for `length_us` from `at_us` on; then all of it comes at once."""

    at_us: int
    length_us: int


@dataclass(frozen=True)
class Faults:
    """What goes wrong. The same seed gives the same faults, and one fault does not move the others.

    `loss`, `reorder` and `duplicates` are the share of packets, 0 to 1; `lose_every` n loses every
    n-th of each voice. Packets of a voice that come in a burst are stamped at least `spacing_us`
    apart. At 0 they may have one timestamp, and then two packets of silence cannot be told from a
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
"""Nothing goes wrong."""


def delivered(packets: Iterable[Packet], faults: Faults) -> Iterator[Delivery]:
    """`packets` in order of `spoken_us` as they arrive, in order of `sent_us`.

    Lazy: holds no more than what the longest stall or delay keeps waiting.
    """
    path = _Path(faults)
    waiting: list[tuple[int, int, Delivery]] = []
    order = 0  # keeps packets that are sent at one moment in the order spoken
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
        """None, one or two deliveries of `packet`; packets of a voice come in the order spoken."""
        # Always the same number of throws, so that switching one fault on does not move another.
        lost, late, overtaken, steps, twice = (self._random.random() for _ in range(5))
        if self._loses(packet, lost):
            return
        received_us = self._received(packet, late)
        sent_us = received_us
        if overtaken < self.faults.reorder:
            sent_us += (1 + int(steps * REORDER_STEPS)) * REORDER_STEP_US + REORDER_STEP_US // 2
        yield Delivery(packet, received_us, sent_us)
        if twice < self.faults.duplicates:
            yield Delivery(packet, received_us, sent_us + DUPLICATE_AFTER_US, copy=True)

    def _loses(self, packet: Packet, throw: float) -> bool:
        every = self.faults.lose_every
        return throw < self.faults.loss or (every > 0 and packet.number % every == every - 1)

    def _received(self, packet: Packet, throw: float) -> int:
        moment = packet.spoken_us + int(throw * self.faults.jitter_us)
        for stall in self.faults.stalls:
            if stall.at_us <= packet.spoken_us < stall.at_us + stall.length_us:
                moment = max(moment, stall.at_us + stall.length_us)
        if packet.voice in self._newest_us:
            moment = max(moment, self._newest_us[packet.voice] + self.faults.spacing_us)
        self._newest_us[packet.voice] = moment
        return moment
