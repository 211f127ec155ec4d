"""Audio that identifies itself: any four consecutive samples reveal their voice and position.

A voice is seeded noise without a single zero, so that silence is distinct. A stored recording is
split into pieces that are contiguous in the voice: a loss, repetition, swap or shift is detected to
the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calls.audio.codec import Samples

SAMPLE_RATE = 16_000
PACKET_SAMPLES = 320
PACKET_MS = 20
PAGE_PACKETS = 500
WINDOW = 4
"""Consecutive samples that identify a position. With 64 bits, two equal windows in an hour of a
voice occur once in a million runs.
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """`count` samples at `place` of a recording, which are samples `first`, `first + 1`, … of the
    voice. `first` is None for samples of unknown origin.
    """

    place: int
    first: int | None
    count: int


class NumberedVoice:
    """Endless seeded noise, in packets of 20 ms."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pages: list[Samples] = []

    def packet(self, number: int) -> bytes:
        """Returns 640 bytes of PCM."""
        page, place = divmod(number, PAGE_PACKETS)
        start = place * PACKET_SAMPLES
        return self._page(page)[start : start + PACKET_SAMPLES].tobytes()

    def samples(self, packets: int) -> Samples:
        """Returns the first `packets` packets, shape (320 * packets,)."""
        pages = [self._page(page) for page in range(-(-packets // PAGE_PACKETS))]
        return np.concatenate([*pages, np.empty(0, np.int16)])[: packets * PACKET_SAMPLES]

    def _page(self, number: int) -> Samples:
        while len(self._pages) <= number:
            noise = np.random.default_rng((self._seed, len(self._pages)))
            page = noise.integers(
                -32_768, 32_767, size=PAGE_PACKETS * PACKET_SAMPLES, dtype=np.int16
            )
            page[page == 0] = 1
            self._pages.append(page)
        return self._pages[number]


class Sequence:
    """Splits recordings of one voice into pieces; `expected` is all audio it may contain."""

    def __init__(self, expected: Samples) -> None:
        self._expected = expected

    def pieces(self, recorded: Samples) -> list[Piece]:
        """Returns the pieces in order of place, without silence."""
        return [
            piece
            for start, end in _sounding(recorded)
            for piece in self._pieces(recorded, start, end)
        ]

    def _pieces(self, recorded: Samples, start: int, end: int) -> Iterator[Piece]:
        foreign = 0
        place = start
        while place < end:
            first = self._find(recorded[place : min(end, place + WINDOW)])
            if first is None:
                foreign, place = foreign + 1, place + 1
                continue
            if foreign:
                yield Piece(place - foreign, None, foreign)
                foreign = 0
            count = _alike(recorded[place:end], self._expected[first:])
            yield Piece(place, first, count)
            place += count
        if foreign:
            yield Piece(place - foreign, None, foreign)

    def _find(self, window: Samples) -> int | None:
        if len(window) < WINDOW or len(self._expected) < WINDOW:
            return None
        key = np.ascontiguousarray(window).view(np.int64)[0]
        keys, order = self._windows
        at = int(np.searchsorted(keys, key))
        return int(order[at]) if at < len(keys) and keys[at] == key else None

    @cached_property
    def _windows(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        views = np.lib.stride_tricks.sliding_window_view(self._expected, WINDOW)
        keys = np.ascontiguousarray(views).view(np.int64)[:, 0]
        order = np.argsort(keys, kind="stable")
        return keys[order], order


def _sounding(recorded: Samples) -> Iterator[tuple[int, int]]:
    """Yields runs without a zero, as (start, end)."""
    edges = np.flatnonzero(
        np.diff(np.concatenate([[False], recorded != 0, [False]]).astype(np.int8))
    )
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _alike(one: Samples, other: Samples) -> int:
    """Returns the number of equal samples at the beginning."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
