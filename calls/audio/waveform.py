"""Waveform overview of a segment: lowest and highest sample of each tenth of a second, one byte
each. PURE.

Decoding four hours of audio to draw a thousand points takes tens of seconds; reading the overview
takes no noticeable time. Sealing computes it and stores it in the segment's row: 20 bytes per
second. A byte is a sample divided by 256 and rounded outwards: the drawn range contains every
sample and exceeds the samples by at most 1/128 of full scale on either side; silence is flat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calls.audio.codec import Samples, samples_of

CELLS_PER_SECOND = 10

Cells = NDArray[np.int8]
"""Lowest and highest of each cell, shape (cells, 2). The last cell ends with the segment."""


def cell_size(sample_rate: int) -> int:
    """Returns the number of samples in a cell."""
    return max(sample_rate // CELLS_PER_SECOND, 1)


def cells_of(samples: Samples, sample_rate: int) -> Cells:
    """Returns the cells of `samples`, shape (n,), n > 0."""
    starts = np.arange(0, len(samples), cell_size(sample_rate))
    lowest = np.minimum.reduceat(samples, starts).astype(np.int32) // 256
    highest = -(-np.maximum.reduceat(samples, starts).astype(np.int32) // 256)  # rounded up
    # At full scale 32767 / 256 rounds up to 128, one too many for a byte.
    cells: Cells = np.stack([lowest, np.minimum(highest, 127)], axis=1).astype(np.int8)
    return cells


def peaks_of(pcm: bytes, sample_rate: int) -> bytes:
    """Returns the `peaks` of a segment's row: the cells of its PCM, lowest and highest in turn."""
    return cells_of(samples_of(pcm), sample_rate).tobytes()


def load(content: bytes, *, sample_count: int, sample_rate: int) -> Cells | None:
    """Returns the cells in `peaks` of a row, or None if their number does not fit the segment."""
    if len(content) != 2 * -(-sample_count // cell_size(sample_rate)):
        return None
    return np.frombuffer(content, np.int8).reshape(-1, 2)
