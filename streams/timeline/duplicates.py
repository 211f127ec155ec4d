"""Duplicate filter of one track: recognizes exact duplicates, also on a reconnected socket. PURE.

A packet is identified by its timestamp and 64 bits of checksums: two different packets with the
same timestamp are mistaken for one with a probability below 10^-15. A strong hash would cost more
than all other work on an ordinary packet, and would only protect a sender from itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import adler32, crc32

from msgspec import Struct, field

MEMORY_US = 30_000_000
MAX_REMEMBERED = 8_192
"""Exact duplicates are recognized within this time and number of packets."""


class DuplicateFilter(Struct):
    """Recent packets of one track. Evicts at most two entries per insertion until only recent
    packets remain.
    """

    stamps: dict[int, int] = field(default_factory=dict)
    """Fingerprint -> timestamp, in order of first arrival."""
    again: dict[int, int] = field(default_factory=dict)
    """Fingerprint -> number of repetitions since its first arrival."""
    queue: list[int] = field(default_factory=list)
    """Fingerprints as in `stamps`, a cache: the front of a dict is slow to find."""
    forgotten: int = 0
    """Number of entries at the front of `queue` that are no longer in `stamps`."""

    def repeats(self, timestamp_us: int, pcm: bytes) -> int:
        """Returns how often this packet arrived before, and adds it."""
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

    def has_another_at(self, timestamp_us: int, pcm: bytes) -> bool:
        """Whether other audio has the same timestamp: it comes from a coarse clock or a burst."""
        this = fingerprint(timestamp_us, pcm)
        for packet, stamp_us in reversed(self.stamps.items()):
            if stamp_us == timestamp_us and packet != this:
                return True
            if stamp_us < timestamp_us - MEMORY_US:
                return False
        return False

    def are_new(self, packets: Sequence[int]) -> bool:
        """Whether none of these fingerprints is known or occurs twice, and all of them fit."""
        return (
            len(self.stamps) + len(packets) <= MAX_REMEMBERED
            and len(set(packets)) == len(packets)
            and self.stamps.keys().isdisjoint(packets)
        )

    def add(self, packets: Sequence[int], stamps: Sequence[int]) -> None:
        """Adds packets that `are_new`, with the same result as `repeats` for each of them."""
        if not self.queue:
            self.queue = list(self.stamps)
        self.stamps.update(zip(packets, stamps, strict=True))
        self.queue += packets
        self._evict(stamps)

    def drop_cache(self) -> None:
        """Drops the cache, so that both ways of adding packets persist the same state."""
        self.queue, self.forgotten = [], 0

    def _evict(self, stamps: Sequence[int]) -> None:
        """Evicts at most two entries for each packet added."""
        known, again, queue, first = self.stamps, self.again, self.queue, self.forgotten
        for timestamp_us in stamps:
            oldest_us = timestamp_us - MEMORY_US
            for _ in range(2):
                oldest = queue[first]
                if known[oldest] >= oldest_us and len(known) <= MAX_REMEMBERED:
                    break
                del known[oldest]
                if again:
                    again.pop(oldest, None)
                first += 1
        if first > len(known):
            del queue[:first]
            first = 0
        self.forgotten = first


def fingerprints(stamps: Sequence[int], pcms: Sequence[bytes]) -> list[int]:
    """Returns the `fingerprint` of each of these packets."""
    return [
        crc32(pcm, stamp_us & 0xFFFF_FFFF) << 32 | adler32(pcm, stamp_us >> 32 & 0xFFFF)
        for stamp_us, pcm in zip(stamps, pcms, strict=True)
    ]


def fingerprint(timestamp_us: int, pcm: bytes) -> int:
    """Returns 64 bits that identify a packet on its track; the same in every process."""
    return crc32(pcm, timestamp_us & 0xFFFF_FFFF) << 32 | adler32(pcm, timestamp_us >> 32 & 0xFFFF)
