"""Moves segments that overlap audio already stored by another socket; drops exact copies. PURE.

Two sockets may carry the same voice at the same time, in two processes that know nothing of each
other. Audio that is the same on both is kept once; different audio for the same position moves
behind it (law 5: the order of arrival stands).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from streams.sealing.digest import SealedSegment

Stored = tuple[int, int, str]
"""A stored segment: its first sample, the sample after its last, its SHA-256."""


def without_overlaps(
    segments: Sequence[SealedSegment], stored: Mapping[str, Sequence[Stored]]
) -> tuple[list[SealedSegment], int]:
    """Returns the segments, moved to free positions, and the number of packets dropped because
    exactly their audio is `stored` (in order, by raw id) at exactly their position.
    """
    moved: list[SealedSegment] = []
    dropped = 0
    cursors: dict[str, int] = {}
    for segment in segments:
        taken = stored.get(segment.raw_id, ())
        if any(
            (start, end) == (segment.start_sample, segment.end_sample)
            and digest == sha256(segment.pcm).hexdigest()
            for start, end, digest in taken
        ):
            dropped += segment.packets
            continue
        start = max(segment.start_sample, cursors.get(segment.raw_id, segment.start_sample))
        for taken_start, taken_end, _ in taken:
            if taken_start < start + segment.sample_count and start < taken_end:
                start = taken_end
        cursors[segment.raw_id] = start + segment.sample_count
        moved.append(
            segment if start == segment.start_sample else replace(segment, start_sample=start)
        )
    return moved, dropped
