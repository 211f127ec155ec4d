"""Levels of PCM in dBFS: RMS and peak of one or many windows. PURE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NOTHING = float("-inf")
"""The level of a track without any audio."""

FLOOR_DBFS = -96.0
"""Level of digital silence, below the smallest 16-bit sample."""

FULL_SCALE = 32768.0

BLOCK = 8_192
"""Samples of a long window that are squared at a time: they fit in the cache, and no large array is
allocated.
"""


@dataclass(frozen=True, slots=True)
class Level:
    """RMS and peak, from `FLOOR_DBFS` to 0.0."""

    rms_dbfs: float
    peak_dbfs: float


SILENCE = Level(FLOOR_DBFS, FLOOR_DBFS)


def level_of(pcm: bytes) -> Level:
    """Returns the level of 16-bit little-endian PCM of any length; of no samples, `SILENCE`."""
    samples = np.frombuffer(pcm, dtype="<i2")
    if not samples.size:
        return SILENCE
    blocks = (
        samples[start : start + BLOCK].astype(np.float64) for start in range(0, samples.size, BLOCK)
    )
    energy = sum(float(np.dot(block, block)) for block in blocks)
    # Not abs(): -32768 has no absolute value in 16 bits.
    peak = max(int(samples.max()), -int(samples.min()))
    return Level(*_dbfs(np.array([math.sqrt(energy / samples.size), peak])))


def levels_of(windows: Sequence[bytes]) -> list[Level]:
    """Returns the level of each window of 16-bit little-endian PCM, in order.

    Windows of the same length are measured together.
    """
    levels = [SILENCE] * len(windows)
    by_length: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        by_length.setdefault(len(window) // 2, []).append(index)
    for length, indexes in by_length.items():
        if not length:
            continue
        pcm = b"".join([windows[index] for index in indexes])
        samples = np.frombuffer(pcm, dtype="<i2").reshape(-1, length)
        floats = samples.astype(np.float64)
        rms = np.sqrt(np.einsum("ij,ij->i", floats, floats) / length)
        peak = np.maximum(
            samples.max(axis=1).astype(np.float64), -samples.min(axis=1).astype(np.float64)
        )
        for index, level in zip(indexes, map(Level, _dbfs(rms), _dbfs(peak)), strict=True):
            levels[index] = level
    return levels


def _dbfs(amplitudes: npt.NDArray[np.float64]) -> list[float]:
    """Converts amplitudes in units of 16-bit samples to dBFS."""
    decibels = 20 * np.log10(np.maximum(amplitudes, 1e-9) / FULL_SCALE)
    rounded: list[float] = np.round(np.clip(decibels, FLOOR_DBFS, 0.0), 1).tolist()
    return rounded
