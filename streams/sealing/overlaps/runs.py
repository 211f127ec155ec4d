"""Contiguous segments of a file, which are placed as a whole or in parts. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from streams.sealing.digest import PACKETS_PER_SECOND, SealedSegment
from streams.sealing.overlaps.equal_audio import BYTES, Audio
from streams.sealing.overlaps.layout import Block
from streams.sealing.overlaps.stamps import is_untimed, part_of, stamp_at


@dataclass(frozen=True, slots=True)
class Run:
    """Contiguous segments of a file."""

    segments: Sequence[SealedSegment]

    @property
    def audio(self) -> Audio:
        return Audio(
            self.segments[0].start_sample, b"".join(segment.pcm for segment in self.segments)
        )

    @property
    def has_stamps(self) -> bool:
        return any(segment.stamps is not None for segment in self.segments)

    def stamp_of(self, sample: int, packet: int) -> int:
        """Returns the timestamp of one of its samples, or its place."""
        segment, sample = self._at(sample)
        if segment.stamps is not None:
            return stamp_at(segment.stamps, sample, packet)
        return segment.start_sample + sample

    def is_untimed(self, sample: int, packet: int) -> bool:
        """Whether the packet of a sample has no timestamp."""
        segment, sample = self._at(sample)
        return segment.stamps is not None and is_untimed(segment.stamps, sample, packet)

    def _at(self, sample: int) -> tuple[SealedSegment, int]:
        """Returns the segment of a sample, and its number in it."""
        number = 0
        while sample >= self.segments[number].sample_count:
            sample -= self.segments[number].sample_count
            number += 1
        return self.segments[number], sample

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
    packet = max(1, segment.sample_rate // PACKETS_PER_SECOND)
    stamps = part_of(segment.stamps, first, last, packet)
    return replace(segment, start_sample=start, pcm=pcm, packets=until - before, stamps=stamps)


def runs_of(segments: Iterable[SealedSegment]) -> list[Run]:
    """Returns the segments of a track, joined where they are contiguous."""
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
    return [Run(run) for run in runs]


def tracks_of(segments: Iterable[SealedSegment]) -> dict[tuple[str, int], list[SealedSegment]]:
    """Returns segments by raw id and rate."""
    tracks: dict[tuple[str, int], list[SealedSegment]] = {}
    for segment in segments:
        tracks.setdefault((segment.raw_id, segment.sample_rate), []).append(segment)
    return tracks
