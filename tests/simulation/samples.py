"""Audio that names its voice and its position: any two neighbouring samples are enough. PURE.

Sample `index` of a voice has its lower bits in even samples, as a positive value, and its higher
bits and the voice in odd ones, as a negative value. So a stored recording is split into pieces that
are contiguous in the voice, and every loss, repetition, swap or shift is found to the sample. Zero
is never used: it is digital silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_LOW_BITS = 14
_HIGH_BITS = 11
MAX_VOICES = 16
MAX_SAMPLES = 2 << _LOW_BITS + _HIGH_BITS


@dataclass(frozen=True, slots=True)
class Piece:
    """`count` samples at `place` of a recording, which are samples `first`, `first + 1`, … of the
    voice; None for digital silence, -1 for samples of unknown origin.
    """

    place: int
    first: int | None
    count: int


def voice_samples(voice: int, count: int) -> Samples:
    """Returns the first samples of a voice, shape (count,)."""
    assert count <= MAX_SAMPLES, "the index fits in two samples"
    assert voice < MAX_VOICES, "the voice fits in one sample"
    index = np.arange(-(-count // 2))
    both = np.empty((len(index), 2), np.int16)
    both[:, 0] = 1 + (index & (1 << _LOW_BITS) - 1)
    both[:, 1] = -1 - (voice << _HIGH_BITS | index >> _LOW_BITS)
    return both.reshape(-1)[:count]


def pieces_of(recorded: Samples, spoken: Samples, voice: int) -> Iterator[Piece]:
    """Yields the pieces of a recording in order; `spoken` is all that the voice has said, with
    zeros where it was silent.
    """
    place, end = 0, len(recorded)
    while place < end:
        if recorded[place] == 0:
            sounding = np.flatnonzero(recorded[place:])
            count = int(sounding[0]) if len(sounding) else end - place
            yield Piece(place, None, count)
            place += count
            continue
        first = _index_at(recorded, place, voice)
        if first is None or first >= len(spoken):
            yield Piece(place, -1, 1)
            place += 1
            continue
        most = min(end - place, len(spoken) - first)
        differs = np.flatnonzero(recorded[place : place + most] != spoken[first : first + most])
        count = int(differs[0]) if len(differs) else most
        if count == 0:
            yield Piece(place, -1, 1)
            place += 1
            continue
        yield Piece(place, first, count)
        place += count


def _index_at(recorded: Samples, place: int, voice: int) -> int | None:
    """Returns the index of the sample at `place` by its neighbour; None if they are not of this
    voice.
    """
    if place + 1 >= len(recorded):
        return None
    one, other = int(recorded[place]), int(recorded[place + 1])
    even, odd = (one, other) if one > 0 else (other, one)
    if even <= 0 or odd >= 0:
        return None
    low, high = even - 1, -1 - odd
    if high >> _HIGH_BITS != voice:
        return None
    pair = (high & (1 << _HIGH_BITS) - 1) << _LOW_BITS | low
    if one > 0:
        return 2 * pair
    # the even sample belongs to the next pair
    next_pair = pair + (1 << _LOW_BITS) if low == 0 else pair
    return 2 * next_pair - 1
