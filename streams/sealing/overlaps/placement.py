"""Places the segments of a file in a track that has audio of other sockets already. PURE.

Packets that another socket has stored are dropped, and counted; the audio around them continues the
stored audio. Other audio that overlaps by at most `TOLERANCE_US` is shifted, or the stored audio
that follows it is. Packets of a voice that two sockets carried in turn are interleaved. Where more
overlaps, audio of sockets that were open at the same time moves as a whole; else the new packets
move into the next free space (law 5: the order of arrival stands).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from uuid import UUID

from streams.sealing.digest import PACKETS_PER_SECOND, SealedSegment
from streams.sealing.overlaps.equal_audio import BYTES, Audio, Distances, Match, matches_of
from streams.sealing.overlaps.late_audio import LateAudio
from streams.sealing.overlaps.layout import Block, Layout
from streams.sealing.overlaps.runs import Run, runs_of, tracks_of
from streams.sealing.overlaps.stamps import part_of
from streams.sealing.overlaps.stored import (
    Cut,
    Move,
    Placement,
    Reader,
    Stored,
    without_copies,
)
from streams.timeline.track import LOOK_AHEAD_US, TOLERANCE_US

__all__ = ["Cut", "Move", "Placement", "Reader", "Stored", "without_overlaps"]

REACH_US = 2 * TOLERANCE_US
"""Two timelines, each within the tolerance, place equal packets at most this far apart."""

FAR_US = LOOK_AHEAD_US
"""Late and coarse timestamps may place a packet that occurs just once this far apart."""

EVERYWHERE = (-(1 << 62), 1 << 62)
"""Positions between which audio lies that adjoins no equal audio."""


def without_overlaps(
    segments: Sequence[SealedSegment],
    stored: Mapping[str, Sequence[Stored]],
    stream_id: str,
    read: Reader,
    beside: Collection[str] = (),
) -> Placement:
    """Returns the placement of the segments of a socket beside the `stored` ones (in order, by raw
    id). Audio is read only if another socket has stored audio for the same time, or for a time near
    it and was open at the same time; `beside`: those that were.
    """
    placement = Placement()
    for (raw_id, rate), of_track in tracks_of(segments).items():
        rows = [row for row in stored.get(raw_id, ()) if row.sample_rate == rate]
        new = without_copies(of_track, rows, placement)
        track = _Track(raw_id, rate, rows, (stream_id, frozenset(beside)), read)
        if any(track.concerns(segment) for segment in new):
            track.place(new, placement)
        else:
            placement.segments += new
    return placement


class _Track:
    """A track with stored segments (`rows`), into which the segments of a file are inserted."""

    def __init__(
        self,
        raw_id: str,
        rate: int,
        rows: Sequence[Stored],
        sockets: tuple[str, Collection[str]],
        read: Reader,
    ) -> None:
        """`sockets`: that of the file, and those that were open at the same time."""
        self._raw_id, self._rate, self._rows = raw_id, rate, rows
        (self._stream_id, self._beside), self._read = sockets, read
        self._packet = max(1, rate // PACKETS_PER_SECOND)
        self._tolerance = TOLERANCE_US * rate // 1_000_000
        self._reach = REACH_US * rate // 1_000_000
        self._far = FAR_US * rate // 1_000_000
        self._limit = self._reach + self._packet
        self._ends = [row.end_sample for row in rows]
        self._pcm: dict[UUID, bytes | None] = {}
        self._runs: Sequence[Run] = ()
        self._layout = Layout(
            Block(row.start_sample, row.sample_count, n) for n, row in enumerate(rows)
        )

    def concerns(self, segment: SealedSegment) -> bool:
        """Whether other audio is stored where the segment may move, or be equal to it."""
        place = segment.start_sample, segment.end_sample
        return any(self._near(*place)) or any(
            self._is_beside(row) for row in self._near(*place, self._far)
        )

    def place(self, segments: Sequence[SealedSegment], placement: Placement) -> None:
        """Adds the segments to the placement, with the changes of rows that they need.

        The last run comes first: it does not move the blocks beside the earlier ones. But the
        first packets of a run move stored ones to the place of its next packets.
        """
        runs = self._runs = runs_of(segments)
        rest = self._insert_runs(runs)
        lowest = rest[0].start if rest else 0
        for block in rest:
            self._layout.insert_behind(block, lowest)
            lowest = block.end
        if self._beside:
            self._move_late_back(min(segment.start_sample for segment in segments) - self._far)
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

    def _move_late_back(self, lowest: int) -> None:
        """Moves audio back that lies later than it was spoken, down to the sample `lowest`."""
        late = LateAudio(
            self._packet,
            self._tolerance,
            self._stamp_of,
            self._place_of,
            self._is_untimed,
            self._is_loose,
            self._is_cuttable,
        )
        self._layout.replace(list(late.moved_back(self._layout.blocks, lowest)))

    def _insert_runs(self, runs: Sequence[Run]) -> list[Block]:
        """Inserts runs without what is stored already; returns the parts of them that have no space
        near their place.
        """
        audios = [run.audio for run in runs]
        common = sum(map(self._common, audios))
        rest: list[Block] = []
        for number in range(len(runs) - 1, -1, -1):
            matches = self._matches(audios, number, common)
            source = len(self._rows) + number
            rest[:0] = [
                part
                for block, space, is_far in self._new_blocks(audios[number], matches, source)
                for part in self._insert(block, self._moved(space), is_far=is_far)
            ]
        return rest

    def _moved(self, space: tuple[int, int]) -> tuple[int, int]:
        """Returns a space between stored packets as it is after earlier insertions."""
        first, last = space
        if first > EVERYWHERE[0]:
            first = self._place_now(first - 1) + 1
        return first, self._place_now(last) if last < EVERYWHERE[1] else last

    def _place_now(self, at: int) -> int:
        """Returns the place of a stored sample that was at a position."""
        number = bisect_right(self._ends, at)
        return self._layout.place_of(number, at - self._rows[number].start_sample, at)

    def _insert(self, block: Block, space: tuple[int, int], *, is_far: bool) -> list[Block]:
        """Inserts a block between equal audio that ends, and equal audio that begins, at the limits
        of its `space`; returns the parts of it that have no space near their place. `is_far`: equal
        audio shows that its timestamps are no good, so it pushes others as far as needed.
        """
        at, limit, most = None, self._tolerance, self._limit
        if space != EVERYWHERE:
            at = self._adjoin(block, space)
            is_known = EVERYWHERE[0] < space[0] and space[1] < EVERYWHERE[1]
            limit = self._far if is_known or is_far else self._limit
        elif self._merge(block):
            return []
        elif self._beside:  # as a whole, if that moves no audio further
            most = self._layout.longest_push(block) - 1
        if (
            self._insert_whole(block, at, limit)
            or self._interleave(block, space, most)
            or (self._is_tied(block) and self._insert_whole(block, at, self._far))
        ):
            return []
        return self._layout.fill(block, self._packet)

    def _merge(self, block: Block) -> bool:
        """Inserts the packets of a block in the order of timestamps, if some of them, or of the
        audio beside it, do not follow from the places.
        """
        if not self._has_stamps(block):
            return False
        return self._layout.merge(block, self._packet, self._stamp_of, self._is_cuttable, self._far)

    def _has_stamps(self, block: Block) -> bool:
        """Whether timestamps of a block, or of the audio beside it that another socket has brought
        at the same time, do not follow from the places.
        """
        near = [
            row for row in self._near(block.start, block.end, self._far) if self._is_beside(row)
        ]
        is_new = self._is_new(block) and self._runs[block.source - len(self._rows)].has_stamps
        return bool(near) and (is_new or any(row.stamps is not None for row in near))

    def _stamp_of(self, block: Block) -> int:
        """Returns the timestamp of the first sample of a block, or its place."""
        if self._is_new(block):
            run = self._runs[block.source - len(self._rows)]
            return run.stamp_of(block.first, self._packet)
        return self._rows[block.source].stamp_of(block.first, self._packet)

    def _place_of(self, block: Block) -> int:
        """Returns the place of a block before anything was moved."""
        if self._is_new(block):
            return self._runs[block.source - len(self._rows)].segments[0].start_sample + block.first
        return self._rows[block.source].start_sample + block.first

    def _is_untimed(self, block: Block) -> bool:
        """Whether the first packet of a block has no timestamp."""
        if self._is_new(block):
            run = self._runs[block.source - len(self._rows)]
            return run.is_untimed(block.first, self._packet)
        return self._rows[block.source].is_untimed(block.first, self._packet)

    def _insert_whole(self, block: Block, at: int | None, limit: int) -> bool:
        if at is None:
            return self._layout.insert(block, limit)
        return self._layout.insert_at(block, at, limit)

    def _is_tied(self, block: Block) -> bool:
        """Whether a block stays whole where more overlaps: its socket was open at the same time as
        another one, or begins where pushed audio of an earlier one has not ended yet.
        """
        return bool(self._beside) or self._layout.overlaps_the_end(block)

    def _interleave(self, block: Block, space: tuple[int, int], most: int) -> bool:
        """Interleaves packets with new ones, else also with stored ones, if none moves further."""
        return any(
            self._layout.interleave(block, self._packet, space, is_cuttable, min(limit, most))
            for is_cuttable, limit in (
                (self._is_new, self._tolerance),
                (self._is_cuttable, self._limit),
            )
        )

    def _adjoin(self, block: Block, space: tuple[int, int]) -> int:
        """Moves a block next to the equal audio before or behind it, or to the packets that only
        the other socket has there: where audio moves the least. Returns where it adjoins.

        With equal audio on one side only, it moves earlier by at most one packet: small pauses have
        moved both timelines earlier already.
        """
        is_before = space[0] == EVERYWHERE[0]
        is_between = not is_before and space[1] < EVERYWHERE[1]
        adjoins = space[1] if is_before else space[0]
        at = self._boundary(block.end if is_before else block.start, adjoins, space)
        behind = self._boundary(EVERYWHERE[1], adjoins, space)
        if not is_before and not is_between and behind < block.end:
            at = behind  # pushing what is there behind the block would move more
        if self._has_stamps(block):
            edge = block.part(block.count - 1, 1) if is_before else block
            stamp = self._stamp_of(edge)
            at = self._layout.in_order(
                at, stamp, adjoins, self._packet, self._is_of_another, self._stamp_of
            )
            at = min(max(at, space[0]), space[1])
        start = at - block.count if is_before else at
        if is_between or block.start - start <= self._packet:
            block.start = start
        return at

    def _boundary(self, wanted: int, at: int, space: tuple[int, int]) -> int:
        return self._layout.boundary_near(wanted, at, self._packet, space, self._is_of_another)

    def _is_of_another(self, block: Block) -> bool:
        """Whether it is readable audio of another socket."""
        return (
            not self._is_new(block)
            and self._is_other(self._rows[block.source])
            and self._is_cuttable(block)
        )

    def _is_loose(self, block: Block) -> bool:
        """Whether it is audio of sockets that were open at the same time."""
        return self._is_new(block) or self._is_beside(self._rows[block.source])

    def _is_new(self, block: Block) -> bool:
        return block.source >= len(self._rows)

    def _is_cuttable(self, block: Block) -> bool:
        return self._is_new(block) or self._pcm_of(self._rows[block.source]) is not None

    def _new_blocks(
        self, audio: Audio, matches: Sequence[Match], source: int
    ) -> list[tuple[Block, tuple[int, int], bool]]:
        """Returns the parts of a run that no other socket has stored, each as a block at its
        place, with the positions where equal audio before it ends and behind it begins, and whether
        that is beyond the reach.
        """
        blocks: list[tuple[Block, tuple[int, int], bool]] = []
        first, before = 0, None
        for number, match in enumerate([*matches, None]):
            after = next((one for one in matches[number:] if one.in_order), None)
            last = match.first if match else audio.end - audio.start
            if first < last:
                space = (
                    before.end if before else EVERYWHERE[0],
                    after.start if after else EVERYWHERE[1],
                )
                distance = self._distance(audio, before or after)
                start = audio.start + first + distance
                is_far = abs(distance) > self._reach
                blocks.append((Block(start, last - first, source, first), space, is_far))
            if match:
                first = match.first + match.count
                before = match if match.in_order else before
        return blocks

    def _distance(self, audio: Audio, match: Match | None) -> int:
        """Returns by how much a part of a run moves first: not, unless its socket's audio has been
        moved, or equal audio is far from its place.
        """
        if match is None:
            return self._continued(audio.start) - audio.start
        distance = match.start - audio.start - match.first
        return distance if abs(distance) > self._reach else 0

    def _continued(self, start: int) -> int:
        """Returns the start of a run, after the audio of its own socket that has been moved."""
        ends = [
            row.end_sample
            for row in self._near(start, start + self._reach)
            if not self._is_other(row) and row.end_sample <= start + self._reach
        ]
        return max(ends, default=start)

    def _matches(self, audios: Sequence[Audio], number: int, common: int) -> list[Match]:
        """Returns the parts of a run that other sockets have stored. `common`: as of all runs."""
        audio = audios[number]
        reach = self._reach if any(map(self._is_other, self._near(audio.start, audio.end))) else 0
        near = {row.segment_id for row in self._near(audio.start, audio.end, reach)}
        stored: list[Audio] = []
        for row in filter(self._is_other, self._near(audio.start, audio.end, self._far)):
            is_searched = row.segment_id in near or self._is_beside(row)
            if is_searched and (pcm := self._pcm_of(row)) is not None:
                if stored and stored[-1].end == row.start_sample:
                    pcm = stored[-1].pcm + pcm
                    stored[-1] = Audio(stored[-1].start, pcm)
                else:
                    stored.append(Audio(row.start_sample, pcm))
        distances = Distances(self._packet, self._reach, self._far, self._tolerance)
        beside = [one for one in audios if one is not audio]
        return matches_of(audio, stored, distances, beside, common - self._common(audio))

    def _common(self, audio: Audio) -> int:
        """Returns the samples of a run for whose time another socket has stored audio."""
        near = filter(self._is_other, self._near(audio.start, audio.end))
        return sum(
            min(audio.end, row.end_sample) - max(audio.start, row.start_sample) for row in near
        )

    def _near(self, start: int, end: int, reach: int = 0) -> Iterator[Stored]:
        """Yields the rows that lie less than `reach` samples apart from a place, or overlap it."""
        for number in range(bisect_right(self._ends, start - reach), len(self._rows)):
            if self._rows[number].start_sample >= end + reach:
                return
            yield self._rows[number]

    def _is_other(self, row: Stored) -> bool:
        return row.stream_id != self._stream_id

    def _is_beside(self, row: Stored) -> bool:
        """Whether it is audio of another socket that was open at the same time."""
        return row.stream_id in self._beside

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
        last = part.first + part.count
        piece = pcm[part.first * BYTES : last * BYTES]
        stamps = part_of(row.stamps, part.first, last, self._packet)
        return SealedSegment(self._raw_id, 0, part.start, self._rate, piece, 1, stamps)
