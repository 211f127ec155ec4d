"""Duplicate filter of one track: recognizes exact duplicates, also on a reconnected socket. PURE.

A packet is identified by its timestamp and 64 bits of checksums: two different packets with the
same timestamp are mistaken for one with a probability below 10^-15. A strong hash would cost more
than all other work on an ordinary packet, and would only protect a sender from itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from zlib import adler32, crc32

from msgspec import Struct, field

MAX_REMEMBERED = 1_500
"""Exact duplicates are recognized among this many packets: 30 s of speech. Their number counts, not
their timestamps, because a step of the sender's clock does not make a packet old.
"""


class DuplicateFilter(Struct):
    """Recent packets of one track. A state of a version with longer memory shrinks by one packet
    with each new one.
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
            self._evict(1)
        return repeats

    def has_another_at(self, timestamp_us: int, pcm: bytes) -> bool:
        """Whether other audio has the same timestamp: it comes from a coarse clock or a burst."""
        this = fingerprint(timestamp_us, pcm)
        return any(
            stamp_us == timestamp_us and packet != this
            for packet, stamp_us in reversed(self.stamps.items())
        )

    def latest(self, count: int) -> list[int]:
        """Returns the timestamps of the packets that arrived last, the latest first."""
        return list(islice(reversed(self.stamps.values()), count))

    def are_new(self, packets: Sequence[int]) -> bool:
        """Whether none of these fingerprints is known or occurs twice."""
        return len(set(packets)) == len(packets) and self.stamps.keys().isdisjoint(packets)

    def add(self, packets: Sequence[int], stamps: Sequence[int]) -> None:
        """Adds packets that `are_new`, with the same result as `repeats` for each of them."""
        if not self.queue:
            self.queue = list(self.stamps)
        self.stamps.update(zip(packets, stamps, strict=True))
        self.queue += packets
        self._evict(len(packets))

    def drop_cache(self) -> None:
        """Drops the cache, so that both ways of adding packets persist the same state."""
        self.queue, self.forgotten = [], 0

    def _evict(self, added: int) -> None:
        """Evicts at most two packets for each one added."""
        known, again, queue, first = self.stamps, self.again, self.queue, self.forgotten
        excess = len(known) - MAX_REMEMBERED
        if excess <= 0:
            return
        until = first + min(excess, 2 * added)
        for packet in queue[first:until]:
            del known[packet]
            if again:
                again.pop(packet, None)
        if until > len(known):
            del queue[:until]
            until = 0
        self.forgotten = until


def fingerprints(stamps: Sequence[int], pcms: Sequence[bytes]) -> list[int]:
    """Returns the `fingerprint` of each of these packets."""
    return [
        crc32(pcm, stamp_us & 0xFFFF_FFFF) << 32 | adler32(pcm, stamp_us >> 32 & 0xFFFF)
        for stamp_us, pcm in zip(stamps, pcms, strict=True)
    ]


def fingerprint(timestamp_us: int, pcm: bytes) -> int:
    """Returns 64 bits that identify a packet on its track; the same in every process."""
    return crc32(pcm, timestamp_us & 0xFFFF_FFFF) << 32 | adler32(pcm, timestamp_us >> 32 & 0xFFFF)
