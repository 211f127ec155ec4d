"""The audio of a track in order of its positions, and the insertion of more. PURE.

Audio that overlaps a little is shifted, or shifts the audio that follows without a space; packets
of two sockets that carried them in turn are interleaved; audio that overlaps more is put into free
space. Nothing ever overlaps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import pairwise
from operator import attrgetter, itemgetter


@dataclass(slots=True)
class Block:
    """Samples `first` to `first + count` of a source, at the position `start`; `pushed`: how far
    others have pushed it behind its place.
    """

    start: int
    count: int
    source: int
    first: int = 0
    pushed: int = field(default=0, compare=False)

    @property
    def end(self) -> int:
        return self.start + self.count

    def part(self, first: int, count: int) -> Block:
        """Returns a part of it, in its place; `first` is counted from its own first sample."""
        return Block(self.start + first, count, self.source, self.first + first, self.pushed)

    def push(self, start: int) -> None:
        """Moves it behind audio that ends at `start`."""
        self.pushed += start - self.start
        self.start = start


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
    """One way to insert a block: before the block with number `number`, at `start`.

    `cost`: the longest distance by which audio moves.
    """

    cost: int
    number: int
    start: int


class Layout:
    """Blocks that do not overlap, in order."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = list(blocks)

    def insert(self, block: Block, tolerance: int) -> bool:
        """Inserts a block where that moves it, and those behind it, the least; returns False and
        changes nothing if that is more than the tolerance.
        """
        best = self._best(block, tolerance)
        if best.cost > tolerance:
            return False
        block.start = best.start
        self.blocks.insert(best.number, block)
        self._push_from(best.number + 1)
        return True

    def longest_push(self, block: Block) -> int:
        """Returns how far audio moves at most, if a block is inserted between others where it, and
        those behind it, move the least.
        """
        return self._best(block, 0).cost

    def insert_at(self, block: Block, at: int, limit: int) -> bool:
        """Inserts a block between the audio before the position `at` and the audio behind it;
        returns False and changes nothing if that pushes audio further than the limit.
        """
        before = list(self.blocks)
        number = self._cut(at)
        self.blocks.insert(number, block)
        if self._push_from(max(number, 1), number) <= limit:
            return True
        self.blocks = before
        return False

    def overlaps_the_end(self, block: Block) -> bool:
        """Whether a block begins in contiguous audio, ends behind it, and overlaps no other."""
        number = bisect_right(self.blocks, block.start, key=end_of)
        around = self.blocks[number : bisect_left(self.blocks, block.end, key=start_of)]
        return (
            bool(around)
            and around[0].start < block.start
            and around[-1].end < block.end
            and all(one.end == after.start for one, after in pairwise(around))
        )

    def boundary_near(
        self,
        wanted: int,
        at: int,
        packet: int,
        space: tuple[int, int],
        is_passable: Callable[[Block], bool],
    ) -> int:
        """Returns the position nearest to `wanted` between packets of the audio that adjoins the
        position `at`: within the `space`, and without passing other blocks.
        """
        adjoining = self._adjoining(at, is_passable)
        first = min([at, *(block.start for block in adjoining)])
        last = max([at, *(block.end for block in adjoining)])
        first, last = max(first, space[0]), min(last, space[1])
        steps = round((min(max(wanted, first), last) - at) / packet)
        return min(max(at + steps * packet, first), last)

    def in_order(
        self,
        wanted: int,
        stamp: int,
        at: int,
        packet: int,
        is_passable: Callable[[Block], bool],
        stamp_of: Callable[[Block], int],
    ) -> int:
        """Returns the position nearest to `wanted` that is in the order of timestamps, behind the
        packets with an earlier one than `stamp` and before those with a later one, of the audio
        that adjoins the position `at`.
        """
        first, last = wanted, wanted
        for block in self._adjoining(at, is_passable):
            for part in packets_of(block, packet):
                other = stamp_of(part)
                first = max(first, part.end) if other < stamp else first
                last = min(last, part.start) if other > stamp else last
        return first if first > wanted else last

    def interleave(
        self,
        block: Block,
        packet: int,
        space: tuple[int, int],
        is_cuttable: Callable[[Block], bool],
        limit: int,
    ) -> bool:
        """Inserts the packets of a block between those at the same time, in order of their places,
        as two sockets carried them in turn; returns False and changes nothing if that pushes audio
        further than `limit`. `space`: the packets before and behind it stay there.

        Lost packets make audio lie up to the tolerance early, so the pushed packets come back to
        their time. Over several files that is no bound: simulated packets lay up to 140 ms off.
        """
        before = list(self.blocks)
        first = self._cut(max(block.start, space[0]), packet, is_cuttable)
        last = self._cut(min(block.end, space[1]), packet, is_cuttable)
        packets: list[Block] = []
        for part in [*self.blocks[first:last], block]:
            packets += packets_of(part, packet) if is_cuttable(part) else [part]
        self.blocks[first:last] = sorted(packets, key=start_of)
        last = first + len(packets)
        if self._push_from(max(first, 1), last) > limit:
            self.blocks = before
            return False
        self._join(max(first - 1, 0), last + 1)
        return True

    def merge(
        self,
        block: Block,
        packet: int,
        stamp_of: Callable[[Block], int],
        is_cuttable: Callable[[Block], bool],
        reach: int,
    ) -> bool:
        """Inserts the packets of a block between those up to `reach` samples from it, in the order
        of their timestamps; returns False and changes nothing if that pushes audio further than
        that.
        """
        before = list(self.blocks)
        first = bisect_right(self.blocks, block.start - reach, key=end_of)
        last = bisect_left(self.blocks, block.end + reach, key=start_of)
        theirs: list[Block] = []
        for part in self.blocks[first:last]:
            theirs += packets_of(part, packet) if is_cuttable(part) else [part]
        merged = merge(
            *(_in_order(blocks, stamp_of) for blocks in (theirs, packets_of(block, packet))),
            key=itemgetter(0, 1),
        )
        self.blocks[first:last] = [one for _, _, one in merged]
        last = first + len(theirs) + -(-block.count // packet)
        if self._push_from(max(first, 1), last) > reach:
            self.blocks = before
            return False
        self._join(max(first - 1, 0), last + 1)
        return True

    def replace(self, blocks: Iterable[Block]) -> None:
        """Replaces all blocks by others, or by parts of them, which are in order."""
        self.blocks = list(blocks)
        self._join(0, len(self.blocks))

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

    def place_of(self, source: int, sample: int, was: int) -> int:
        """Returns the place of a sample of a source that `was` at an earlier place, or is there."""
        blocks = self.blocks[bisect_right(self.blocks, was, key=end_of) :]
        return next(
            one.start + sample - one.first
            for one in blocks
            if one.source == source and one.first <= sample < one.first + one.count
        )

    def _best(self, block: Block, reach: int) -> _Option:
        options = self._between(block, reach)
        return min(options, key=lambda option: (option.cost, -option.number))

    def _between(self, block: Block, reach: int) -> Iterator[_Option]:
        """Yields the ways to insert a block between two others."""
        first = bisect_right(self.blocks, block.start - reach, key=end_of)
        last = bisect_left(self.blocks, block.end + reach, key=start_of)
        for number in range(first, max(first, last) + 1):
            start, overlap = block.start, 0
            if number > 0:
                start = max(start, self.blocks[number - 1].end)
            if number < len(self.blocks):
                overlap = max(0, start + block.count - self.blocks[number].start)
            yield _Option(max(start - block.start, overlap), number, start)

    def _adjoining(self, at: int, is_passable: Callable[[Block], bool]) -> list[Block]:
        """Returns the blocks around a position that follow each other without a space."""
        number = bisect_right(self.blocks, at, key=end_of)
        first = last = at
        adjoining: list[Block] = []
        for block in self.blocks[number:]:
            if block.start > last or not is_passable(block):
                break
            first, last = min(first, block.start), block.end
            adjoining.append(block)
        for block in reversed(self.blocks[:number]):
            if block.end < first or not is_passable(block):
                break
            first = block.start
            adjoining.append(block)
        return adjoining

    def _cut(
        self, at: int, packet: int = 1, is_cuttable: Callable[[Block], bool] = lambda _: True
    ) -> int:
        """Cuts the block around the position, between packets; returns the number of the first
        block behind it.
        """
        number = bisect_right(self.blocks, at, key=end_of)
        if number == len(self.blocks) or self.blocks[number].start >= at:
            return number
        block = self.blocks[number]
        count = (at - block.start) // packet * packet
        if count and is_cuttable(block):
            self.blocks[number : number + 1] = [
                block.part(0, count),
                block.part(count, block.count - count),
            ]
            number += 1
        return number

    def _push_from(self, number: int, until: int = 0) -> int:
        """Pushes the blocks from a number on behind those before them. Those up to number `until`
        are all checked; after it, the first space ends the push. Returns how far the furthest of
        them has been pushed by now.

        Pushed blocks are copies, so a caller can restore its old list.
        """
        furthest = 0
        for at in range(number, len(self.blocks)):
            end, block = self.blocks[at - 1].end, self.blocks[at]
            if block.start < end:
                block = self.blocks[at] = block.part(0, block.count)
                block.push(end)
                furthest = max(furthest, block.pushed)
            elif at > until:
                break
        return furthest

    def _join(self, first: int, last: int) -> None:
        """Joins neighbours that are contiguous in their source, too."""
        joined: list[Block] = []
        for block in self.blocks[first:last]:
            before = joined[-1] if joined else None
            if (
                before
                and before.source == block.source
                and before.first + before.count == block.first
                and before.end == block.start
            ):
                whole = joined[-1] = before.part(0, before.count)
                whole.count += block.count
                whole.pushed = max(whole.pushed, block.pushed)
            else:
                joined.append(block)
        self.blocks[first:last] = joined

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


def _in_order(
    blocks: Iterable[Block], stamp_of: Callable[[Block], int]
) -> Iterator[tuple[int, int, Block]]:
    """Yields blocks with their timestamps, which never decrease, and their places."""
    latest = -1
    for block in blocks:
        latest = max(latest, stamp_of(block))
        yield latest, block.start, block


def packets_of(block: Block, packet: int) -> list[Block]:
    return [block.part(at, min(packet, block.count - at)) for at in range(0, block.count, packet)]
