"""Audio without timestamps that was placed too late moves back. PURE.

A timeline places packets without a timestamp directly before the next one that has one. If another
socket has carried some of them, there were more, and the first ones belong further back. When the
other packets are inserted, they push what follows behind its timestamps. No packet is stamped
before it is spoken. So the pushed packets move back as far as they lie behind their timestamps, but
not before their places, and those without a timestamp move with them, into the space before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

from streams.sealing.overlaps.layout import Block, packets_of

FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class LateAudio:
    """Moves late audio of a track back. `packet`, `tolerance`: in samples."""

    packet: int
    tolerance: int
    stamp_of: Callable[[Block], int]
    place_of: Callable[[Block], int]
    is_untimed: Callable[[Block], bool]
    is_movable: Callable[[Block], bool]
    is_cuttable: Callable[[Block], bool]

    def moved_back(self, blocks: Sequence[Block], lowest: int) -> Iterator[Block]:
        """Yields the blocks in order, or parts of them, at their places. Only contiguous audio
        moves of which others have pushed some, and not before the position `lowest`.
        """
        end = lowest
        for run in _runs_of(blocks):
            is_pushed = any(one.pushed for one in run) and all(map(self.is_movable, run))
            parts = (self._back(run, end) if is_pushed else None) or run
            yield from parts
            end = max(end, parts[-1].end)

    def _back(self, run: Sequence[Block], end: int) -> list[Block] | None:
        """Returns the packets of contiguous blocks; None if one must stay whole, but cannot."""
        packets = [packets_of(block, self.packet) for block in run]
        distances = iter(self._distances([part for parts in packets for part in parts]))
        moved: list[Block] = []
        for block, parts in zip(run, packets, strict=True):
            by = set()
            for part in parts:
                start = max(part.start - next(distances), min(end, part.start))
                by.add(part.start - start)
                part.start, end = start, start + part.count
            if len(by) > 1 and not self.is_cuttable(block):
                return None
            moved += parts
        return moved

    def _distances(self, packets: Sequence[Block]) -> list[int]:
        """Returns how far each of these contiguous packets moves back, found from the last one on:
        with those that follow it, or as far as it lies behind its timestamp, if that is more by
        more than the tolerance; but one with a timestamp not before its place.
        """
        distances: list[int] = []
        distance = 0
        for part, late in zip(reversed(packets), self._late(packets)[::-1], strict=True):
            if late > distance + self.tolerance:
                distance = late
            if not self.is_untimed(part):
                distance = min(distance, max(0, part.start - self.place_of(part)))
            distances.append(distance)
        return distances[::-1]

    def _late(self, packets: Sequence[Block]) -> list[int]:
        """Returns how far each packet lies behind its timestamp, at least. Of several with the same
        one, only the first counts: the others have none, or the clock may be coarse.
        """
        stamps = [self.stamp_of(part) for part in packets]
        timed = [self.stamp_of(part) for part in packets if not self.is_untimed(part)]
        unit = gcd(*(after - one for one, after in pairwise(timed)))
        if unit > self.packet:
            return [0] * len(stamps)
        before = [0, *stamps[:-1]]
        return [
            0 if stamp == last or self.is_untimed(part) else part.start - stamp
            for part, last, stamp in zip(packets, before, stamps, strict=True)
        ]


def _runs_of(blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
    """Yields the blocks, as far as they follow each other without a space."""
    first = 0
    for number, (one, after) in enumerate(pairwise(blocks), 1):
        if one.end < after.start:
            yield blocks[first:number]
            first = number
    if blocks:
        yield blocks[first:]
