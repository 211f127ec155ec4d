"""Places the segments of a file in a track that has audio of other sockets already. PURE.

Packets that another socket has stored are dropped, and counted; the audio around them continues the
stored audio. Other audio that overlaps by at most `TOLERANCE_US` is shifted, or the stored audio
that follows it is. Packets of a voice that two sockets carried in turn are interleaved. Where more
overlaps, the new packets move into the next free space (law 5: the order of arrival stands).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import groupby
from uuid import UUID

from streams.sealing.digest import PACKETS_PER_SECOND, SealedSegment
from streams.sealing.overlaps.equal_audio import BYTES, Audio, Match, matches_of
from streams.sealing.overlaps.layout import Block, Layout
from streams.timeline.track import TOLERANCE_US

REACH_US = 2 * TOLERANCE_US
"""Two timelines, each within the tolerance, place equal packets at most this far apart."""

EVERYWHERE = (-(1 << 62), 1 << 62)
"""Positions between which audio lies that adjoins no equal audio."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored segment: a row and its object."""

    segment_id: UUID
    stream_id: str
    start_sample: int
    sample_count: int
    sample_rate: int
    sha256: str
    audio_name: str

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.sample_count


Reader = Callable[[Stored], bytes | None]
"""Returns the PCM of a stored segment; None if its object is missing or damaged."""


@dataclass(frozen=True, slots=True)
class Move:
    """A stored segment that begins at another sample from now on."""

    raw_id: str
    stored: Stored
    start_sample: int

    @property
    def sample_rate(self) -> int:
        return self.stored.sample_rate

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.stored.sample_count


@dataclass(frozen=True, slots=True)
class Cut:
    """A stored segment that is replaced by `pieces` of it, with other audio between them."""

    stored: Stored
    pieces: tuple[SealedSegment, ...]


@dataclass(slots=True)
class Placement:
    """The positions of a file's audio, and the changes of stored audio that they need.

    `duplicate`: packets dropped because they are stored already.
    """

    segments: list[SealedSegment] = field(default_factory=list)
    duplicate: int = 0
    moves: list[Move] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)


def without_overlaps(
    segments: Sequence[SealedSegment],
    stored: Mapping[str, Sequence[Stored]],
    stream_id: str,
    read: Reader,
) -> Placement:
    """Returns the placement of the segments of a socket beside the `stored` ones (in order, by raw
    id). Audio is read only if another socket has stored audio for the same time.
    """
    placement = Placement()
    for (raw_id, rate), of_track in _tracks(segments).items():
        rows = [row for row in stored.get(raw_id, ()) if row.sample_rate == rate]
        new = _without_copies(of_track, rows, placement)
        if any(_overlaps(segment, row) for segment in new for row in rows):
            _Track(raw_id, rate, rows, stream_id, read).place(new, placement)
        else:
            placement.segments += new
    return placement


def _tracks(segments: Iterable[SealedSegment]) -> dict[tuple[str, int], list[SealedSegment]]:
    tracks: dict[tuple[str, int], list[SealedSegment]] = {}
    for segment in segments:
        tracks.setdefault((segment.raw_id, segment.sample_rate), []).append(segment)
    return tracks


def _without_copies(
    segments: Iterable[SealedSegment], rows: Iterable[Stored], placement: Placement
) -> list[SealedSegment]:
    """Drops segments whose audio is stored at exactly their position: nothing has to be read."""
    by_place = {(row.start_sample, row.end_sample): row.sha256 for row in rows}
    new = []
    for segment in segments:
        digest = by_place.get((segment.start_sample, segment.end_sample))
        if digest is not None and digest == sha256(segment.pcm).hexdigest():
            placement.duplicate += segment.packets
        else:
            new.append(segment)
    return new


def _overlaps(one: SealedSegment | Audio, row: Stored) -> bool:
    start, end = (
        (one.start, one.end) if isinstance(one, Audio) else (one.start_sample, one.end_sample)
    )
    return row.start_sample < end and start < row.end_sample


@dataclass(frozen=True, slots=True)
class _Run:
    """Contiguous segments of a file."""

    segments: Sequence[SealedSegment]

    @property
    def audio(self) -> Audio:
        return Audio(
            self.segments[0].start_sample, b"".join(segment.pcm for segment in self.segments)
        )

    def parts(self, block: Block) -> list[SealedSegment]:
        """Returns the segments, or parts of them, that a block of this run consists of."""
        parts = []
        at = 0
        for segment in self.segments:
            first = max(block.first - at, 0)
            last = min(block.first + block.count - at, segment.sample_count)
            if first < last:
                start = block.start + at + first - block.first
                parts.append(_part(segment, start, first, last))
            at += segment.sample_count
        return parts


def _part(segment: SealedSegment, start: int, first: int, last: int) -> SealedSegment:
    if (start, first, last) == (segment.start_sample, 0, segment.sample_count):
        return segment
    before, until = (round(segment.packets * at / segment.sample_count) for at in (first, last))
    pcm = segment.pcm[first * BYTES : last * BYTES]
    return replace(segment, start_sample=start, pcm=pcm, packets=until - before)


def _runs(segments: Iterable[SealedSegment]) -> list[_Run]:
    runs: list[list[SealedSegment]] = []
    for segment in segments:
        last = runs[-1][-1] if runs else None
        if (
            last
            and last.end_sample == segment.start_sample
            and last.subscription == segment.subscription
        ):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return [_Run(run) for run in runs]


class _Track:
    """A track with stored segments (`rows`), into which the segments of a file are inserted."""

    def __init__(
        self, raw_id: str, rate: int, rows: Sequence[Stored], stream_id: str, read: Reader
    ) -> None:
        self._raw_id, self._rate, self._rows = raw_id, rate, rows
        self._stream_id, self._read = stream_id, read
        self._packet = max(1, rate // PACKETS_PER_SECOND)
        self._tolerance = TOLERANCE_US * rate // 1_000_000
        self._reach = REACH_US * rate // 1_000_000
        self._limit = self._reach + self._packet
        self._pcm: dict[UUID, bytes | None] = {}
        self._layout = Layout(
            [Block(row.start_sample, row.sample_count, n) for n, row in enumerate(rows)],
            self._tolerance,
            self._limit,
        )

    def place(self, segments: Sequence[SealedSegment], placement: Placement) -> None:
        """Adds the segments to the placement, with the changes of rows that they need.

        The last run comes first: it does not move the blocks beside the earlier ones.
        """
        runs = _runs(segments)
        rest: list[Block] = []
        for number in range(len(runs) - 1, -1, -1):
            audio = runs[number].audio
            for block, space in reversed(self._new_blocks(audio, len(self._rows) + number)):
                rest[:0] = self._insert(block, space)
        lowest = rest[0].start if rest else 0
        for block in rest:
            self._layout.insert_behind(block, lowest)
            lowest = block.end
        parts = [
            part
            for block in self._layout.blocks
            if block.source >= len(self._rows)
            for part in runs[block.source - len(self._rows)].parts(block)
        ]
        placement.segments += parts
        packets = sum(segment.packets for segment in segments)
        placement.duplicate += packets - sum(part.packets for part in parts)
        self._change_rows(placement)

    def _insert(self, block: Block, space: tuple[int, int]) -> list[Block]:
        """Inserts a block between equal audio that ends, and equal audio that begins, at the limits
        of its `space`; returns the parts of it that have no space near their place.
        """
        if space == EVERYWHERE:
            is_inserted = self._layout.insert(block)
        else:
            is_inserted = self._layout.insert_at(block, self._adjoin(block, space))
        if is_inserted or any(
            self._layout.interleave(block, self._packet, space, is_cuttable, limit)
            for is_cuttable, limit in (
                (self._is_new, self._tolerance),
                (self._is_cuttable, self._limit),
            )
        ):
            return []
        return self._layout.fill(block, self._packet)

    def _adjoin(self, block: Block, space: tuple[int, int]) -> int:
        """Moves a block next to the equal audio before or behind it, or to the packets that only
        the other socket has there: where it is nearest to its place. Returns where it adjoins.
        """
        is_before = space[0] == EVERYWHERE[0]
        at = self._layout.boundary_near(
            block.end if is_before else block.start,
            space[1] if is_before else space[0],
            self._packet,
            space,
            self._is_of_another,
        )
        block.start = at - block.count if is_before else at
        return at

    def _is_of_another(self, block: Block) -> bool:
        """Whether it is readable audio of another socket."""
        return (
            not self._is_new(block)
            and self._rows[block.source].stream_id != self._stream_id
            and self._is_cuttable(block)
        )

    def _is_new(self, block: Block) -> bool:
        return block.source >= len(self._rows)

    def _is_cuttable(self, block: Block) -> bool:
        return self._is_new(block) or self._pcm_of(self._rows[block.source]) is not None

    def _new_blocks(self, audio: Audio, source: int) -> list[tuple[Block, tuple[int, int]]]:
        """Returns the parts of a run that no other socket has stored, each as a block at its
        place, with the positions where equal audio before it ends and behind it begins.
        """
        blocks: list[tuple[Block, tuple[int, int]]] = []
        first, before = 0, None
        for after in [*self._matches(audio), None]:
            last = after.first if after else audio.end - audio.start
            if first < last:
                start = audio.start + first if before or after else self._continued(audio.start)
                space = (
                    before.end if before else EVERYWHERE[0],
                    after.start if after else EVERYWHERE[1],
                )
                blocks.append((Block(start, last - first, source, first), space))
            if after:
                first, before = after.first + after.count, after
        return blocks

    def _continued(self, start: int) -> int:
        """Returns the start of a run, after the audio of its own socket that has been moved."""
        ends = [
            row.end_sample
            for row in self._rows
            if row.stream_id == self._stream_id and start < row.end_sample <= start + self._reach
        ]
        return max(ends, default=start)

    def _matches(self, audio: Audio) -> list[Match]:
        others = [row for row in self._rows if row.stream_id != self._stream_id]
        if not any(_overlaps(audio, row) for row in others):
            return []
        stored: list[Audio] = []
        for row in others:
            if (
                row.start_sample < audio.end + self._reach
                and audio.start - self._reach < row.end_sample
                and (pcm := self._pcm_of(row)) is not None
            ):
                if stored and stored[-1].end == row.start_sample:
                    pcm = stored[-1].pcm + pcm
                    stored[-1] = Audio(stored[-1].start, pcm)
                else:
                    stored.append(Audio(row.start_sample, pcm))
        return matches_of(
            audio,
            stored,
            packet=self._packet,
            reach=self._reach,
            tolerance=self._tolerance,
        )

    def _pcm_of(self, row: Stored) -> bytes | None:
        if row.segment_id not in self._pcm:
            self._pcm[row.segment_id] = self._read(row)
        return self._pcm[row.segment_id]

    def _change_rows(self, placement: Placement) -> None:
        of_rows = [block for block in self._layout.blocks if block.source < len(self._rows)]
        of_rows.sort(key=lambda block: (block.source, block.first))
        for source, blocks in groupby(of_rows, key=lambda block: block.source):
            row, parts = self._rows[source], list(blocks)
            if len(parts) > 1:
                placement.cuts.append(Cut(row, tuple(self._piece(row, part) for part in parts)))
            elif parts[0].start != row.start_sample:
                placement.moves.append(Move(self._raw_id, row, parts[0].start))

    def _piece(self, row: Stored, part: Block) -> SealedSegment:
        pcm = self._pcm_of(row)
        assert pcm is not None, "only audio that was compared is cut"
        piece = pcm[part.first * BYTES : (part.first + part.count) * BYTES]
        return SealedSegment(self._raw_id, 0, part.start, self._rate, piece, 1)
