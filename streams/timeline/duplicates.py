"""What came lately on one track, so that an exact duplicate is recognised, also on a reconnected
socket. PURE.

A packet is remembered by its timestamp and 64 bits of checksums: two that differ and have one
timestamp are taken for one with a probability below 10^-15. A strong hash would cost more than all
else that is done to an ordinary packet, and would only protect a sender from itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import adler32, crc32

from msgspec import Struct, field

MEMORY_US = 30_000_000
MAX_REMEMBERED = 8_192
"""An exact duplicate is recognised within this time and number of packets."""


class DuplicateFilter(Struct):
    """Two are forgotten for one that is new: the memory shrinks to what is young, or to its
    bound.
    """

    stamps: dict[int, int] = field(
        default_factory=dict
    )  # packet -> timestamp, in the order they first came
    again: dict[int, int] = field(
        default_factory=dict
    )  # packet -> how often it has come since it first came
    queue: list[int] = field(
        default_factory=list
    )  # packets as in `stamps`, whose front is slow to find; a cache
    forgotten: int = 0  # so many at the front of `queue` are not in `stamps` any more

    def repeats(self, timestamp_us: int, pcm: bytes) -> int:
        """How often this timestamp with these bytes has come before. Remembers it."""
        if not self.queue:
            self.queue = list(self.stamps)
        packet, repeats = fingerprint(timestamp_us, pcm), 0
        if packet in self.stamps:
            repeats = self.again[packet] = self.again.get(packet, 0) + 1
        else:
            self.stamps[packet] = timestamp_us
            self.queue.append(packet)
        self._evict((timestamp_us,))
        return repeats

    def are_new(self, packets: Sequence[int]) -> bool:
        """Whether none of these has come before, nor twice among them, and there is room for
        all.
        """
        return (
            len(self.stamps) + len(packets) <= MAX_REMEMBERED
            and len(set(packets)) == len(packets)
            and self.stamps.keys().isdisjoint(packets)
        )

    def add(self, packets: Sequence[int], stamps: Sequence[int]) -> None:
        """Remembers packets that `are_new`, as `repeats` does one by one."""
        if not self.queue:
            self.queue = list(self.stamps)
        self.stamps.update(zip(packets, stamps, strict=True))
        self.queue += packets
        self._evict(stamps)

    def drop_cache(self) -> None:
        """Leaves nothing behind that depends on how the packets were remembered, one by one or many
        at once.
        """
        self.queue, self.forgotten = [], 0

    def _evict(self, stamps: Sequence[int]) -> None:
        """At most two for each that came."""
        known, queue, first = self.stamps, self.queue, self.forgotten
        for timestamp_us in stamps:
            for _ in range(2):
                oldest = queue[first]
                if known[oldest] >= timestamp_us - MEMORY_US and len(known) <= MAX_REMEMBERED:
                    break
                del known[oldest]
                self.again.pop(oldest, None)
                first += 1
        if first > len(known):
            del queue[:first]
            first = 0
        self.forgotten = first


def fingerprint(timestamp_us: int, pcm: bytes) -> int:
    """64 bits that tell a packet from all others of its track; the same in every process."""
    return crc32(pcm, timestamp_us & 0xFFFF_FFFF) << 32 | adler32(pcm, timestamp_us >> 32 & 0xFFFF)
