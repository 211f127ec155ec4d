"""Audio of one track at several sample rates: none may overlap audio of another rate. PURE.

Each rate is placed by itself (`placement.py`). Audio that is pushed there may overlap that of the
next rate, which is then pushed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.placement import Cut, Move, Placement, Stored
from streams.timeline.track import TOLERANCE_US


@dataclass(slots=True)
class _Piece:
    """Contiguous audio at its place; `put` notes another start sample in the placement."""

    start: int
    count: int
    rate: int
    put: Callable[[int], None]

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.start, self.rate)

    @property
    def end_seconds(self) -> Fraction:
        return Fraction(self.start + self.count, self.rate)


def separate_rates(placement: Placement, stored: Mapping[str, Sequence[Stored]]) -> None:
    """Pushes audio behind that of another rate, which it overlaps by at most `TOLERANCE_US`, and
    what follows behind both. `stored`: the rows before this placement, by raw id.
    """
    for raw_id in {segment.raw_id for segment in placement.segments}:
        rows = stored.get(raw_id, ())
        pieces = [*_new(raw_id, placement), *_stored(raw_id, rows, placement)]
        ends = {piece.rate: Fraction(0) for piece in pieces}
        for piece in sorted(pieces, key=lambda piece: piece.seconds) if len(ends) > 1 else ():
            lowest = max(piece.seconds, ends[piece.rate])
            for end in ends.values():
                if 0 < (end - piece.seconds) * 1_000_000 <= TOLERANCE_US:
                    lowest = max(lowest, end)
            if lowest > piece.seconds:
                piece.start = -(-lowest * piece.rate // 1)  # the next whole sample
                piece.put(piece.start)
            ends[piece.rate] = piece.end_seconds


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
