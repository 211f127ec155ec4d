"""The audio of a track in order of its positions, and the insertion of more. PURE.

Audio that overlaps a little is shifted, or shifts the audio that follows without a space; audio
that overlaps more is put into free space. Nothing ever overlaps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter


@dataclass(slots=True)
class Block:
    """Samples `first` to `first + count` of a source, at the position `start`."""

    start: int
    count: int
    source: int
    first: int = 0

    @property
    def end(self) -> int:
        return self.start + self.count

    def part(self, first: int, count: int) -> Block:
        """Returns a part of it, in its place; `first` is counted from its own first sample."""
        return Block(self.start + first, count, self.source, self.first + first)


start_of = attrgetter("start")
end_of = attrgetter("end")


def have_overlaps(ours: Iterable[tuple[int, int]], theirs: Iterable[tuple[int, int]]) -> bool:
    """Whether one of our (start, end) overlaps another one of ours, or one of theirs."""
    places = sorted([*((*place, True) for place in ours), *((*place, False) for place in theirs)])
    return any(
        after[0] < before[1] and (before[2] or after[2]) for before, after in pairwise(places)
    )


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to insert a block: before the block with number `number`, or into it, at `start`.

    `cost`: the longest distance by which audio moves.
    """

    cost: int
    number: int
    start: int
    cuts: bool = False


class Layout:
    """Blocks that do not overlap, in order. `tolerance`: samples by which audio may be shifted."""

    def __init__(self, blocks: Iterable[Block], tolerance: int) -> None:
        self.blocks = sorted(blocks, key=start_of)
        self._tolerance = tolerance

    def insert(self, block: Block, cut_at: int | None = None) -> bool:
        """Inserts a block as near to its place as possible; False, with nothing changed, if audio
        would move by more than the tolerance.

        The blocks behind it move until the first space absorbs it. `cut_at`: a position where the
        block may be inserted into another one.
        """
        options = [*self._between(block), *self._inside(block, cut_at)]
        best = min(options, key=lambda option: (option.cost, option.cuts, -option.number))
        if best.cost > self._tolerance:
            return False
        if best.cuts:
            self._cut(best.number, best.start)
        number = best.number + best.cuts
        block.start = best.start
        self.blocks.insert(number, block)
        for before, after in pairwise(self.blocks[number:]):
            if after.start >= before.end:
                break
            after.start = before.end
        return True

    def pieces_around(self, block: Block, packet: int) -> list[Block]:
        """Returns the block in pieces, which can be inserted one by one around the blocks at its
        place, or as a whole if these are longer than the tolerance.
        """
        free = sum(last - first for first, last in self._spaces(block))
        if block.count - free > self._tolerance:
            return [block]
        inside = self.blocks[
            bisect_right(self.blocks, block.start, key=start_of) : bisect_left(
                self.blocks, block.end, key=start_of
            )
        ]
        cuts = {round((one.start - block.start) / packet) * packet for one in inside}
        places = sorted({0, *(min(cut, block.count) for cut in cuts), block.count})
        return [block.part(first, last - first) for first, last in pairwise(places)]

    def fill(self, block: Block, packet: int) -> list[Block]:
        """Inserts the packets of a block whose place is free; returns the others, in order."""
        rest: list[Block] = []
        placed: list[Block] = []
        done = 0
        for first, last in [*self._spaces(block), (block.count, block.count)]:
            begin = -(-first // packet) * packet
            end = last if last == block.count else last // packet * packet
            if begin < end:
                placed.append(block.part(begin, end - begin))
            elif last < block.count:
                continue
            if done < min(begin, block.count):
                rest.append(block.part(done, min(begin, block.count) - done))
            done = end
        self.blocks = sorted([*self.blocks, *placed], key=start_of)
        return rest

    def insert_behind(self, block: Block, lowest: int) -> None:
        """Inserts a block into the first space that is long enough, from its place or `lowest`
        on.
        """
        start = max(block.start, lowest)
        for other in self.blocks[bisect_right(self.blocks, start, key=end_of) :]:
            if other.start >= start + block.count:
                break
            start = other.end
        block.start = start
        self.blocks.insert(bisect_left(self.blocks, start, key=start_of), block)

    def _between(self, block: Block) -> Iterator[_Option]:
        """Yields the ways to insert a block between two others."""
        first = bisect_right(self.blocks, block.start - self._tolerance, key=end_of)
        last = bisect_left(self.blocks, block.end + self._tolerance, key=start_of)
        for number in range(first, max(first, last) + 1):
            start = block.start
            if number < len(self.blocks):
                start = min(start, self.blocks[number].start - block.count)
            if number > 0:
                start = max(start, self.blocks[number - 1].end)
            overlap = 0
            if number < len(self.blocks):
                overlap = max(0, start + block.count - self.blocks[number].start)
            yield _Option(max(abs(start - block.start), overlap), number, start)

    def _inside(self, block: Block, cut_at: int | None) -> Iterator[_Option]:
        if cut_at is None:
            return
        number = bisect_right(self.blocks, cut_at, key=end_of)
        if number < len(self.blocks) and self.blocks[number].start < cut_at:
            yield _Option(max(abs(cut_at - block.start), block.count), number, cut_at, cuts=True)

    def _cut(self, number: int, at: int) -> None:
        block = self.blocks[number]
        count = at - block.start
        self.blocks[number : number + 1] = [
            block.part(0, count),
            block.part(count, block.count - count),
        ]

    def _spaces(self, block: Block) -> Iterator[tuple[int, int]]:
        """Yields the free samples of a block's place, counted from its first sample."""
        done = 0
        for other in self.blocks[bisect_right(self.blocks, block.start, key=end_of) :]:
            if other.start >= block.end:
                break
            if other.start - block.start > done:
                yield done, other.start - block.start
            done = other.end - block.start
        if done < block.count:
            yield done, block.count
