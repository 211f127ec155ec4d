"""A segment's waveform in small: lowest and highest sample of each tenth of a second, a byte each.
PURE.

Decoding four hours of audio to draw a thousand points takes tens of seconds; reading these takes
none. They are made when a segment is sealed and lie in its row: 20 bytes for each second. A byte
holds a sample divided by 256 and rounded outwards: what is drawn holds what was said, and at most
1/128 of full scale more on either side; silence is flat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calls.audio.codec import Samples, samples_of

CELLS_PER_SECOND = 10

Cells = NDArray[np.int8]
"""Lowest and highest of each cell, shape (cells, 2). The last cell ends with the segment."""


def cell_size(sample_rate: int) -> int:
    """Samples of a cell."""
    return max(sample_rate // CELLS_PER_SECOND, 1)


def cells_of(samples: Samples, sample_rate: int) -> Cells:
    """`samples`: at least one, shape (n,)."""
    begins = np.arange(0, len(samples), cell_size(sample_rate))
    lowest = np.minimum.reduceat(samples, begins).astype(np.int32)
    highest = np.maximum.reduceat(samples, begins).astype(np.int32)
    # Within a byte also at full scale: 32767 / 256 rounds up to 128.
    cells: Cells = np.stack([lowest // 256, np.minimum(-(-highest // 256), 127)], axis=1).astype(
        np.int8
    )
    return cells


def peaks_of(pcm: bytes, sample_rate: int) -> bytes:
    """What lies in the row of a segment: the cells of its PCM, lowest and highest in turn."""
    return cells_of(samples_of(pcm), sample_rate).tobytes()


def load(content: bytes, *, sample_count: int, sample_rate: int) -> Cells | None:
    """None where it is not of a segment of that length."""
    if len(content) != 2 * -(-sample_count // cell_size(sample_rate)):
        return None
    return np.frombuffer(content, np.int8).reshape(-1, 2)
