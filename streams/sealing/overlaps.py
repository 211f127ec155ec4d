"""A place for every segment where other sockets of the call have audio already. PURE.

Two sockets may carry the same voice at the same time, in two processes that know nothing of each
other. What both carry alike is kept once; other audio for a place that is taken goes behind it (law
5: the order of arrival stands).
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
    """The segments with free places, per raw id against what is `stored` (ordered), and how many
    packets were dropped because exactly their audio is stored at exactly their place.
    """
    answer: list[SealedSegment] = []
    dropped = 0
    cursors: dict[str, int] = {}
    for segment in segments:
        taken = stored.get(segment.raw_id, ())
        if any(_is_same(segment, one) for one in taken):
            dropped += segment.packets
            continue
        start = max(segment.start_sample, cursors.get(segment.raw_id, segment.start_sample))
        start = _free_place(start, segment.sample_count, taken)
        cursors[segment.raw_id] = start + segment.sample_count
        answer.append(
            segment if start == segment.start_sample else replace(segment, start_sample=start)
        )
    return answer, dropped


def _is_same(segment: SealedSegment, stored: Stored) -> bool:
    start, end, digest = stored
    return (start, end) == (segment.start_sample, segment.end_sample) and digest == sha256(
        segment.pcm
    ).hexdigest()


def _free_place(start: int, count: int, taken: Sequence[Stored]) -> int:
    """The first place from `start` on where `count` samples fit between what is taken."""
    for taken_start, taken_end, _ in taken:
        if taken_start < start + count and start < taken_end:
            start = taken_end
    return start
