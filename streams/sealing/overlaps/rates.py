"""Audio of one track at several sample rates: none may overlap audio of another rate. PURE.

Each rate is placed by itself (`placement.py`). Audio that is pushed there may overlap that of the
next rate. Then one of them goes behind the other, and what follows goes behind both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.placement import Cut, Move, Placement, Stored


@dataclass(slots=True)
class _Piece:
    """A segment at its place; `put` notes another start sample in the placement."""

    start: int
    count: int
    rate: int
    put: Callable[[int], None]
    run: Fraction = Fraction(0)
    """Seconds of contiguous audio of its rate, from its start on."""
    contiguous: int = 1
    """The number of pieces in it."""

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.start, self.rate)

    @property
    def end_seconds(self) -> Fraction:
        return Fraction(self.start + self.count, self.rate)


def separate_rates(placement: Placement, stored: Mapping[str, Sequence[Stored]]) -> None:
    """Pushes audio behind that of another rate which it overlaps, so that audio moves as little as
    possible. `stored`: the rows before this placement, by raw id.
    """
    for raw_id in {segment.raw_id for segment in placement.segments}:
        rows = stored.get(raw_id, ())
        pieces = [*_new(raw_id, placement), *_stored(raw_id, rows, placement)]
        if len({piece.rate for piece in pieces}) > 1:
            _separate(pieces)


def _separate(pieces: Iterable[_Piece]) -> None:
    waiting: dict[int, list[_Piece]] = {}  # by rate, the earliest last
    for piece in sorted(pieces, key=lambda piece: piece.seconds, reverse=True):
        waiting.setdefault(piece.rate, []).append(piece)
    for of_rate in waiting.values():
        _note_runs(of_rate)
    end = Fraction(0)
    while waiting:
        piece = _next(waiting.values(), end)
        if end > piece.seconds:
            piece.start = -(-end * piece.rate // 1)  # the next whole sample
            piece.put(piece.start)
        end = piece.end_seconds
        waiting[piece.rate].pop()
        if not waiting[piece.rate]:
            del waiting[piece.rate]


def _note_runs(pieces: Sequence[_Piece]) -> None:
    """Notes how long the contiguous audio from each piece on is; the earliest piece is last."""
    after: _Piece | None = None
    for piece in pieces:
        piece.run = Fraction(piece.count, piece.rate)
        if after and after.start <= piece.start + piece.count:
            piece.run += after.run
            piece.contiguous += after.contiguous
        after = piece


def _next(waiting: Iterable[Sequence[_Piece]], end: Fraction) -> _Piece:
    """Returns the piece that comes first from `end` on, so that audio moves as little as possible.

    The contiguous audio of one rate is placed between two segments of the other's. So audio before
    a change of the rate stays before that after it, though both consist of short segments.
    """
    first, *others = sorted(waiting, key=lambda pieces: pieces[-1].seconds)
    head = first[-1]
    free = max(end, head.seconds) + Fraction(head.count, head.rate)
    if not others or free <= others[0][-1].seconds:
        return head
    other = others[0][-1]
    number, cost = _best_cut(first, other, end)
    number_of_other, cost_of_other = _best_cut(others[0], head, end)
    is_first = number > 0 if cost <= cost_of_other else number_of_other == 0
    return head if is_first else other


def _best_cut(pieces: Sequence[_Piece], other: _Piece, end: Fraction) -> tuple[int, Fraction]:
    """Returns how many contiguous pieces, of which the earliest is last, are best placed before the
    contiguous audio that `other` begins, and how far audio then moves at most.
    """
    head, at = pieces[-1], end
    best, lowest = 0, Fraction(1 << 62)
    for number in range(head.contiguous + 1):
        begin = max(at, other.seconds)
        cost = max(begin - other.seconds, end - head.seconds if number else Fraction(0))
        if cost >= lowest:
            break
        if number < head.contiguous:
            piece = pieces[-1 - number]
            cost = max(cost, begin + other.run - piece.seconds)
            at = max(at, piece.seconds) + Fraction(piece.count, piece.rate)
        if cost < lowest:
            best, lowest = number, cost
    return best, lowest


def _new(raw_id: str, placement: Placement) -> Iterator[_Piece]:
    for number, segment in enumerate(placement.segments):
        if segment.raw_id == raw_id:

            def put(start: int, number: int = number) -> None:
                placement.segments[number] = replace(placement.segments[number], start_sample=start)

            yield _Piece(segment.start_sample, segment.sample_count, segment.sample_rate, put)


def _stored(raw_id: str, rows: Sequence[Stored], placement: Placement) -> Iterator[_Piece]:
    cuts = {cut.stored.segment_id: number for number, cut in enumerate(placement.cuts)}
    moves = {one.stored.segment_id: one.start_sample for one in placement.moves}
    for row in rows:
        if row.segment_id in cuts:
            yield from _pieces_of_cut(cuts[row.segment_id], placement)
            continue

        def put(start: int, row: Stored = row) -> None:
            others = [one for one in placement.moves if one.stored.segment_id != row.segment_id]
            placement.moves = [*others, Move(raw_id, row, start)]

        start = moves.get(row.segment_id, row.start_sample)
        yield _Piece(start, row.sample_count, row.sample_rate, put)


def _pieces_of_cut(number: int, placement: Placement) -> Iterator[_Piece]:
    for place, piece in enumerate(placement.cuts[number].pieces):

        def put(start: int, place: int = place) -> None:
            pieces: list[SealedSegment] = list(placement.cuts[number].pieces)
            pieces[place] = replace(pieces[place], start_sample=start)
            placement.cuts[number] = Cut(placement.cuts[number].stored, tuple(pieces))

        yield _Piece(piece.start_sample, piece.sample_count, piece.sample_rate, put)
