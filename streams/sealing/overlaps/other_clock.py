"""Audio that another socket has stored by another clock of the call: equal packets show it. PURE.

A socket that was opened while another one was open has a timeline of its own. If the sender's clock
had stepped before that, it does not know the step, so its audio lies off by the size of the step.
When the older socket is sealed after it, that one's timeline knows all steps, and the packets that
both sockets have carried show which of them it was: then the stored audio moves by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from uuid import UUID, uuid5

from streams.sealing.digest import PACKETS_PER_SECOND, SealedSegment
from streams.sealing.overlaps.equal_audio import BYTES
from streams.sealing.overlaps.placement import (
    REACH_US,
    Cut,
    Move,
    Placement,
    Reader,
    Stored,
    without_overlaps,
)
from streams.sealing.overlaps.rates import separate_rates

SHOWN = 3
"""Equal packets that show the clock: fewer may be sound that repeats."""


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A stored segment of another socket, with the number of its journal file."""

    raw_id: str
    journal: int
    stored: Stored


def rows_off(
    segments: Sequence[SealedSegment],
    others: Iterable[OtherRow],
    epochs_us: Iterable[int],
    read: Reader,
) -> list[tuple[OtherRow, int]]:
    """Returns the rows of other sockets that lie off by the shift of an epoch, each with the
    samples by which it has to move. `epochs_us`: those of the segments' socket.

    Each journal file of the others is compared by itself: one may have been moved already.
    """
    shifts_us = [one for one in epochs_us if abs(one) > REACH_US]
    if not shifts_us:
        return []
    off: list[tuple[OtherRow, int]] = []
    in_order = sorted(others, key=lambda one: (one.stored.stream_id, one.journal))
    for _, group in groupby(in_order, key=lambda one: (one.stored.stream_id, one.journal)):
        rows = list(group)
        equal = {by_us: _equal_packets(segments, rows, by_us, read) for by_us in (0, *shifts_us)}
        best_us = max(equal, key=lambda by_us: equal[by_us])
        if best_us and equal[best_us] >= max(SHOWN, equal[0] + 1):
            off += [(one, _samples(best_us, one.stored.sample_rate)) for one in rows]
    return off


def place_again(
    segments: Sequence[SealedSegment],
    near: Mapping[str, Sequence[Stored]],
    off: Collection[tuple[OtherRow, int]],
    sockets: tuple[str, Collection[str]],
    read: Reader,
) -> Placement | None:
    """Returns the placement of segments beside the rows near them, and of the rows that are `off`
    where they belong; None if one of these cannot be read. `sockets`: as of the other placement.
    """
    draft = _Draft(near, off, read)
    stream_id, beside = sockets
    for other in sorted({one.stored.stream_id for one, _ in off}):
        moved: list[SealedSegment] = []
        for number, (one, by) in enumerate(off):
            if one.stored.stream_id != other:
                continue
            if (pcm := read(one.stored)) is None:
                return None
            start, rate = one.stored.start_sample + by, one.stored.sample_rate
            packets = -(-len(pcm) * PACKETS_PER_SECOND // (BYTES * rate))
            moved.append(SealedSegment(one.raw_id, number, start, rate, pcm, packets))
        draft.insert(without_overlaps(moved, draft.rows, other, draft.read, {stream_id}))
    placement = without_overlaps(segments, draft.rows, stream_id, draft.read, beside)
    separate_rates(placement, draft.rows)
    draft.apply(placement)
    placement.moves, placement.cuts = draft.changes()
    placement.duplicate += draft.duplicate
    placement.vacated = [Move(one.raw_id, one.stored, one.stored.start_sample) for one, _ in off]
    return placement


class _Draft:
    """The rows of a call while several placements change them, one after the other."""

    def __init__(
        self,
        near: Mapping[str, Sequence[Stored]],
        off: Collection[tuple[OtherRow, int]],
        read: Reader,
    ) -> None:
        self._off, self._read, self.duplicate = list(off), read, 0
        away = {one.stored.segment_id for one, _ in off}
        self.rows = {
            raw_id: [row for row in rows if row.segment_id not in away]
            for raw_id, rows in near.items()
        }
        self._before = {row.segment_id: row for rows in self.rows.values() for row in rows}
        self._pcm: dict[UUID, bytes] = {}  # of pieces
        self._pieces: dict[UUID, Stored] = {}  # by id, the row that they come from

    def read(self, row: Stored) -> bytes | None:
        return self._pcm.get(row.segment_id) or self._read(row)

    def insert(self, placement: Placement) -> None:
        """Adds what is left of rows that are off: `subscription` is the number of the row."""
        separate_rates(placement, self.rows)
        self.apply(placement)
        self.duplicate += placement.duplicate
        for segment in placement.segments:
            self._add(segment, self._off[segment.subscription][0].stored)

    def apply(self, placement: Placement) -> None:
        """Moves and cuts rows."""
        for move in placement.moves:
            self._replace(move.stored, replace(move.stored, start_sample=move.start_sample))
        for cut in placement.cuts:
            self._replace(cut.stored)
            row = self._pieces.get(cut.stored.segment_id) or self._before[cut.stored.segment_id]
            for piece in cut.pieces:
                self._add(piece, row)

    def changes(self) -> tuple[list[Move], list[Cut]]:
        """Returns how the stored rows have changed in all."""
        moves: list[Move] = []
        pieces: dict[UUID, tuple[Stored, list[SealedSegment]]]
        pieces = {one.stored.segment_id: (one.stored, []) for one, _ in self._off}
        for raw_id, rows in self.rows.items():
            for row in rows:
                before = self._before.get(row.segment_id)
                if before is None:
                    source = self._pieces[row.segment_id]
                    pcm, start = self._pcm[row.segment_id], row.start_sample
                    piece = SealedSegment(raw_id, 0, start, row.sample_rate, pcm, 1)
                    pieces.setdefault(source.segment_id, (source, []))[1].append(piece)
                elif before != row:
                    moves.append(Move(raw_id, before, row.start_sample))
        return moves, [Cut(row, tuple(of_row)) for row, of_row in pieces.values()]

    def _add(self, segment: SealedSegment, source: Stored) -> None:
        piece = replace(
            source,
            segment_id=uuid5(source.segment_id, str(len(self._pieces))),
            stamps=segment.stamps,
            start_sample=segment.start_sample,
            sample_count=segment.sample_count,
            sha256="",
        )
        self._pieces[piece.segment_id], self._pcm[piece.segment_id] = source, segment.pcm
        self.rows[segment.raw_id] = sorted([*self.rows[segment.raw_id], piece], key=_place)

    def _replace(self, row: Stored, *others: Stored) -> None:
        for raw_id, rows in self.rows.items():
            if any(one.segment_id == row.segment_id for one in rows):
                kept = [one for one in rows if one.segment_id != row.segment_id]
                self.rows[raw_id] = sorted([*kept, *others], key=_place)


def _place(row: Stored) -> float:
    return row.start_sample / row.sample_rate


def _equal_packets(
    segments: Iterable[SealedSegment], rows: Sequence[OtherRow], by_us: int, read: Reader
) -> int:
    """Returns how many packets of the segments are equal to audio of the rows, if that moves by
    `by_us`.
    """
    return sum(
        any(_holds(row, *place, pcm, read) for row in near)
        for segment in segments
        if (near := list(_rows_near(segment, rows, by_us)))
        for place, pcm in _packets(segment, by_us)
    )


def _rows_near(segment: SealedSegment, rows: Iterable[OtherRow], by_us: int) -> Iterator[Stored]:
    """Yields the rows that may hold audio of the segment, if they move by `by_us`."""
    by, reach = _samples(by_us, segment.sample_rate), _samples(REACH_US, segment.sample_rate)
    for one in rows:
        row = one.stored
        if (
            (one.raw_id, row.sample_rate) == (segment.raw_id, segment.sample_rate)
            and row.start_sample < segment.end_sample - by + reach
            and segment.start_sample - by - reach < row.end_sample
        ):
            yield row


def _packets(segment: SealedSegment, by_us: int) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yields the complete packets that are not constant, and the positions between which they lie
    in audio that has to move by `by_us`.
    """
    rate = segment.sample_rate
    count, reach = rate // PACKETS_PER_SECOND, _samples(REACH_US, rate)
    start = segment.start_sample - _samples(by_us, rate)
    for first in range(0, segment.sample_count - count + 1, count):
        pcm = segment.pcm[first * BYTES : (first + count) * BYTES]
        if pcm != pcm[:BYTES] * count:
            yield (start + first - reach, start + first + count + reach), pcm


def _holds(row: Stored, begin: int, end: int, pcm: bytes, read: Reader) -> bool:
    """Whether a row has this PCM between two positions."""
    first, last = (max(0, at - row.start_sample) * BYTES for at in (begin, end))
    at = (read(row) or b"").find(pcm, first, last)
    return at >= 0 and at % BYTES == 0


def _samples(us: int, rate: int) -> int:
    return us * rate // 1_000_000
