"""Places packets of several sockets together, as one timeline would: in the order of their
timestamps, by the lower envelope of all of them. PURE.

Each socket has its own timeline. Packets that another socket has carried are missing there, so the
others may lie too late by their length; and where a socket has only a few packets, late timestamps
look like missing time. The packets of all sockets show together what is late and what is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate, groupby, zip_longest
from operator import attrgetter
from typing import NamedTuple

from streams.sealing.overlaps.layout import Block, Layout, packets_of
from streams.sealing.overlaps.stamps import UNKNOWN


@dataclass(slots=True)
class Piece:
    """A packet of a socket, or more audio in one piece.

    `block`: where its own timeline has put it; `stamp`: its timestamp, or what tells its order if
    that `is_known` not; `before`: it goes before others with this timestamp from this position on;
    `follows`: by its own timeline, no time is missing before it; `is_free`: it may move earlier,
    else only behind the audio before it.
    """

    block: Block
    stamp: int | None
    before: int
    follows: bool
    is_free: bool = False
    is_known: bool = False
    is_new: bool = False
    is_between: bool = False
    """Whether equal packets show its order."""

    @property
    def latest(self) -> int | None:
        """The latest place that its timestamp allows, if known. Where its own timeline has found a
        gap before it, that has known more packets than those at hand, also undecided ones.
        """
        stamp = self.stamp if self.is_known else None
        if self.follows:
            return stamp
        return self.block.start if stamp is None else min(stamp, self.block.start)

    @property
    def order(self) -> tuple[int, int, int]:
        assert self.stamp is not None, "each of a socket's pieces has one by now"
        rank = 0 if self.is_between else 1 if self.is_known else 2
        return self.stamp, self.before, rank


class Edge(NamedTuple):
    """The timestamp and the position of stored audio that is equal to a packet beside a part."""

    stamp: int
    position: int


@dataclass(slots=True)
class Source:
    """Audio of a socket, to be placed together with that of others, in one piece or in packets.

    `follows`: as of `Piece`; `is_whole`: it can not be cut; `is_new`: without timestamps, its
    places are these (a stored segment may have none because its socket was alone); `phase`: samples
    by which its first packet has begun before it, at the end of another segment; `after` and
    `before`: the end of the equal audio before it, and the start of that behind it.
    """

    block: Block
    follows: bool
    is_whole: bool = False
    is_new: bool = False
    phase: int = 0
    after: Edge | None = None
    before: Edge | None = None

    def order_of(self, part: Block, stamp: int | None) -> tuple[int | None, int]:
        """Returns the timestamp of a part, and the position that decides among equal ones."""
        position = part.start
        if self.after and stamp is not None and stamp <= self.after.stamp:
            stamp, position = self.after.stamp, max(position, self.after.position)
        if self.before and (stamp is None or stamp >= self.before.stamp):
            return self.before
        return stamp, position


@dataclass(frozen=True, slots=True)
class Limits:
    """In samples. `packet`: audio does not move earlier by less; `tolerance`: more missing time is
    a gap; `look_ahead`: packets this much younger show what is missing; `far`: audio moves no
    further.
    """

    packet: int
    tolerance: int
    look_ahead: int
    far: int


class Together:
    """Audio of sockets that is placed together. `within`: the positions between which it lies;
    audio that follows without a space belongs to it, too.
    """

    def __init__(
        self, within: tuple[int, int], stamp_of: Callable[[Block], int | None], limits: Limits
    ) -> None:
        self._within, self._stamp_of, self._limits = within, stamp_of, limits

    def place(self, stored: Sequence[Source], new: Sequence[Source], layout: Layout) -> bool:
        """Replaces the `stored` blocks of a layout, up to its end, by these and the new ones;
        returns False and changes nothing if one of them would move too far. What is stored keeps
        its order.
        """
        number = len(layout.blocks) - len(stored)
        end = layout.blocks[number - 1].end if number else None
        placed = placed_together(self._pieces(stored), self._pieces(new), end, self._limits)
        if placed is None:
            return False
        layout.replace(number, placed)
        return True

    def _pieces(self, sources: Iterable[Source]) -> list[Piece]:
        pieces: list[Piece] = []
        for one in sources:
            block, last = one.block, pieces[-1] if pieces else None
            is_free = self._within[0] < block.end and block.start < self._within[1]
            if last and last.is_free and block.start - last.block.end <= self._limits.tolerance:
                is_free = True
            if one.is_whole or not is_free:
                pieces.append(Piece(block, block.start, block.start, one.follows))
                continue
            for number, part in enumerate(_packets(block, one.phase, self._limits.packet)):
                signed, follows = self._stamp_of(part), one.follows or number > 0
                if signed is None:
                    signed = part.start if one.is_new else UNKNOWN
                stamp, before = one.order_of(part, abs(signed) or None)
                piece = Piece(part, stamp, before, follows, is_free=True, is_new=one.is_new)
                piece.is_known, piece.is_between = signed > UNKNOWN, one.before is not None
                pieces.append(piece)
        return pieces


def _packets(block: Block, phase: int, packet: int) -> list[Block]:
    """Cuts a block into packets, of which the first one has begun `phase` samples before it."""
    rest = min(-phase % packet, block.count)
    first = [block.part(0, rest)] if rest else []
    return [*first, *packets_of(block.part(rest, block.count - rest), packet)]


def placed_together(
    stored: Sequence[Piece], new: Sequence[Piece], end: int | None, limits: Limits
) -> list[Block] | None:
    """Returns the blocks of all pieces in order, at their places behind audio that ends at `end`;
    None if one of them would move too far.
    """
    pieces = _merged(stored, new)
    placed: list[Block] = []
    for piece, envelope in zip(pieces, _envelopes(pieces, limits.look_ahead), strict=True):
        start = own = piece.block.start
        if piece.is_free and not envelope <= own <= envelope + limits.packet:
            start = envelope
        if end is not None and _is_contiguous(piece, start - end, limits.tolerance):
            start = end
        if not own - limits.far <= start <= max(piece.order[0], own) + limits.far:
            return None
        block = piece.block.part(0, piece.block.count)
        block.start, end = start, start + block.count
        placed.append(block)
    return placed


def _is_contiguous(piece: Piece, missing: int, tolerance: int) -> bool:
    """Whether a piece goes directly behind the audio before it."""
    return missing <= 0 or (piece.is_free and (piece.follows or missing <= tolerance))


def _merged(stored: Sequence[Piece], new: Sequence[Piece]) -> list[Piece]:
    """Returns all pieces in the order of their timestamps. Among equal ones, as in a burst, the
    socket that has carried the packet before them goes on, and the one that carries the packet
    after them comes last; else they are in the order of their places.
    """
    merged = merge(_in_order(stored), _in_order(new), key=attrgetter("order"))
    groups = [list(group) for _, group in groupby(merged, key=lambda piece: piece.order[0])]
    in_order: list[Piece] = []
    for group, after in zip_longest(groups, groups[1:]):
        is_turn = in_order and after and in_order[-1].is_new != after[0].is_new
        if is_turn and not any(piece.is_between for piece in group):
            group.sort(key=attrgetter("is_new"), reverse=in_order[-1].is_new)
        in_order += group
    return in_order


def _in_order(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Returns the pieces of a socket. Their timestamps never decrease; an unknown one is the place,
    but between the others.
    """
    next_stamp: int | None = None
    for piece in reversed(pieces):
        if piece.stamp is not None:
            next_stamp = piece.stamp
        else:
            start = piece.block.start
            piece.stamp = start if next_stamp is None else min(start, next_stamp)
    latest: int | None = None
    for piece in pieces:
        assert piece.stamp is not None, "each piece has one"
        latest = piece.stamp = piece.stamp if latest is None else max(latest, piece.stamp)
    return pieces


def _envelopes(pieces: Sequence[Piece], look_ahead: int) -> list[int]:
    """Returns for each piece the lowest place that it may have by the timestamps of all pieces up
    to the look-ahead behind it, if these follow it without a space.
    """
    before = list(accumulate((piece.block.count for piece in pieces), initial=0))
    lows: deque[tuple[int, int]] = deque()  # timestamps, and their distances from the audio before
    envelopes = []
    for piece, length in zip(reversed(pieces), reversed(before[:-1]), strict=True):
        if piece.latest is not None:
            lowest = piece.latest - length
            while lows and lows[-1][1] >= lowest:
                lows.pop()
            lows.append((piece.order[0], lowest))
        while lows and lows[0][0] > piece.order[0] + look_ahead:
            lows.popleft()
        envelopes.append(lows[0][1] + length if lows else piece.block.start)
    return envelopes[::-1]
