"""Files made of sections: some seconds of the axis that are encoded alone, by an encoder of their
own, with a size that is known in advance. So a byte range starts at the section that it begins in,
and has the bytes that it has in the whole file.

An encoder begins a little before its section and ends a little after it, so that it knows the
audio on both sides; what it makes of that is dropped. PURE.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from typing import Protocol

from calls.audio.codec import Samples
from calls.export.plan import Plan

SECTION_SECONDS = 10
"""Encoding them takes 0.1 s as MP3 and 0.4 s as Opus: the time that a seek waits."""

_FIRST_SECONDS = 1
"""The first block of ten seconds is split into parts of this length, so that the first byte does
not wait for all of it. For every block that would cost a third of MP3's speed.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """Samples [first, last) of the plan are what its encoder needs; `size` is in bytes."""

    first: int
    last: int
    size: int


Read = Callable[[], Iterable[Samples]]
"""Returns the samples that a section needs, in blocks of shape (samples, channels). It can be
called again.
"""

Blocks = Callable[[int, int], Iterator[Samples]]
"""Returns samples [first, last) of the axis in blocks of shape (samples, channels)."""


class SectionedFile(Protocol):
    @property
    def sections(self) -> Sequence[Section]: ...

    def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
        """Yields the bytes of a section, and empty ones while it works."""


def size_of(file: SectionedFile) -> int:
    """Returns the size of the whole file in bytes."""
    return sum(section.size for section in file.sections)


def chunks(
    file: SectionedFile, plan: Plan, blocks: Blocks, first: int, last: int
) -> Generator[bytes, None, None]:
    """Yields bytes [first, last) of the file, with an empty chunk for each that is not sent."""
    sections = file.sections
    ends = list(accumulate(section.size for section in sections))
    begin, end = bisect_right(ends, first), bisect_left(ends, last) + 1
    needed = sections[begin:end]
    position = ends[begin] - needed[0].size
    samples = blocks(plan.first + needed[0].first, plan.first + needed[-1].last)
    parts = _split_first(samples, _FIRST_SECONDS * plan.sample_rate)
    source = _Source(parts, needed[0].first)
    for index, section in enumerate(needed, begin):
        with closing(file.encode(index, source.reader(section))) as pieces:
            for piece in pieces:
                yield piece[max(first - position, 0) : max(last - position, 0)]
                position += len(piece)
        assert position == ends[index], "a section has the size that was announced"


def _split_first(blocks: Iterator[Samples], step: int) -> Iterator[Samples]:
    """Yields the blocks, the first one in parts of `step` samples."""
    parts = (
        block[start : start + step]
        for block in islice(blocks, 1)
        for start in range(0, len(block), step)
    )
    return chain(parts, blocks)


class _Source:
    """Consecutive blocks, of which those are kept that the next section needs again."""

    def __init__(self, blocks: Iterator[Samples], first: int) -> None:
        self._blocks = blocks
        self._position = first
        self._kept: deque[tuple[int, Samples]] = deque()

    def reader(self, section: Section) -> Read:
        return lambda: self._between(section.first, section.last)

    def _between(self, first: int, last: int) -> Iterator[Samples]:
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= first:
            self._kept.popleft()
        yield from (
            samples[max(first - start, 0) : last - start]
            for start, samples in tuple(self._kept)
            if start < last
        )
        while self._position < last:
            start, samples = self._position, next(self._blocks)
            self._kept.append((start, samples))
            self._position += len(samples)
            yield samples[max(first - start, 0) : last - start]
