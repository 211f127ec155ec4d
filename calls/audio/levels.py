"""Levels of PCM in dBFS: RMS and peak of one window or of many. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NOTHING = float("-inf")
"""The level of a voice of which nothing came."""


FLOOR_DBFS = -96.0


FULL_SCALE = 32768.0


BLOCK = 8_192
"""Samples of a long window that are squared at a time: they stay in the cache, and no large memory
is asked for.
"""


@dataclass(frozen=True, slots=True)
class Level:
    """dBFS, at most 0.0 and at least `FLOOR_DBFS`."""

    rms_dbfs: float
    peak_dbfs: float


SILENCE = Level(FLOOR_DBFS, FLOOR_DBFS)


def level_of(pcm: bytes) -> Level:
    """The level of 16-bit little-endian PCM of any length; no samples are silence."""
    samples = np.frombuffer(pcm, dtype="<i2")
    if not samples.size:
        return SILENCE
    blocks = (
        samples[start : start + BLOCK].astype(np.float64) for start in range(0, samples.size, BLOCK)
    )
    energy = sum(float(np.dot(block, block)) for block in blocks)
    peak = max(
        int(samples.max()), -int(samples.min())
    )  # of -32768 there is no absolute value in 16 bits
    return Level(*_dbfs(np.array([math.sqrt(energy / samples.size), peak])))


def levels_of(windows: Sequence[bytes]) -> list[Level]:
    """The level of each window of 16-bit little-endian PCM, in order. Windows of one length are
    measured together.
    """
    levels = [SILENCE] * len(windows)
    places: dict[int, list[int]] = {}
    for place, window in enumerate(windows):
        places.setdefault(len(window) // 2, []).append(place)
    for length, alike in places.items():
        if length:
            measured = _measured(b"".join([windows[place] for place in alike]), length)
            for place, level in zip(alike, measured, strict=True):
                levels[place] = level
    return levels


def _measured(pcm: bytes, length: int) -> Iterator[Level]:
    """Windows of `length` samples, one behind the other."""
    samples = np.frombuffer(pcm, dtype="<i2").reshape(-1, length)
    floats = samples.astype(np.float64)
    rms = np.sqrt(np.einsum("ij,ij->i", floats, floats) / length)
    peak = np.maximum(
        samples.max(axis=1).astype(np.float64), -samples.min(axis=1).astype(np.float64)
    )
    return map(Level, _dbfs(rms), _dbfs(peak))


def _dbfs(amplitudes: npt.NDArray[np.float64]) -> list[float]:
    """Of amplitudes in units of the 16-bit sample."""
    decibels = 20 * np.log10(np.maximum(amplitudes, 1e-9) / FULL_SCALE)
    rounded: list[float] = np.round(np.clip(decibels, FLOOR_DBFS, 0.0), 1).tolist()
    return rounded
