"""The pieces of one participant's audio on the axis of an export. PURE.

A piece at the rate of the export is one segment, so that a range reads the segments it needs and no
other. At another rate a piece is a run: segments that follow each other sample by sample, which are
resampled as one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

from calls.export.axis import Axis, SegmentRef


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples `first` to `last` (exclusive) of the axis, made from stretches without a gap between
    them.
    """

    first: int
    last: int
    sample_rate: int
    stretches: tuple[SegmentRef, ...]

    @property
    def sample_count(self) -> int:
        """Samples at the piece's own rate."""
        return self.stretches[-1].end_sample - self.stretches[0].start_sample


class ExportTrack:
    """Audio of one participant: pieces found by place. Where a clock stepped back, pieces
    overlap.
    """

    def __init__(self, participant_id: UUID, stretches: Iterable[SegmentRef], axis: Axis) -> None:
        self.participant_id = participant_id
        self.stretches = tuple(
            sorted(stretches, key=lambda stretch: stretch.start_sample / stretch.sample_rate)
        )
        runs = _runs(self.stretches, axis.sample_rate)
        self.pieces = sorted(
            (_piece(run, axis) for run in runs), key=lambda piece: (piece.first, piece.last)
        )
        self._firsts = [piece.first for piece in self.pieces]
        # How far the pieces up to each one reach: never decreasing, so that overlapping pieces can
        # be bisected too.
        self._reach = list(accumulate((piece.last for piece in self.pieces), max))

    def pieces_in(self, first: int, last: int) -> Iterator[Piece]:
        """The pieces that have samples in [first, last), in order."""
        begin, end = bisect_right(self._reach, first), bisect_left(self._firsts, last)
        return (piece for piece in self.pieces[begin:end] if piece.last > first)

    def stretches_in(self, first: int, last: int) -> Iterator[tuple[int, SegmentRef]]:
        """The stretches that have samples in [first, last), in order, each after its place (of a
        run, to a sample).
        """
        for piece in self.pieces_in(first, last):
            origin, scale = (
                piece.stretches[0].start_sample,
                (piece.last - piece.first) / piece.sample_count,
            )
            for stretch in piece.stretches:
                place = piece.first + round((stretch.start_sample - origin) * scale)
                if place < last and first < place + round(stretch.sample_count * scale):
                    yield place, stretch


def _runs(stretches: Sequence[SegmentRef], sample_rate: int) -> Iterator[tuple[SegmentRef, ...]]:
    run: list[SegmentRef] = []
    for stretch in stretches:
        follows = (
            run
            and run[-1].sample_rate == stretch.sample_rate != sample_rate
            and run[-1].end_sample == stretch.start_sample
        )
        if run and not follows:
            yield tuple(run)
            run = []
        run.append(stretch)
    if run:
        yield tuple(run)


def _piece(run: tuple[SegmentRef, ...], axis: Axis) -> Piece:
    rate = run[0].sample_rate
    return Piece(
        axis.place(run[0].start_sample, rate), axis.place(run[-1].end_sample, rate), rate, run
    )
