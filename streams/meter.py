"""How loud it is: rms and peak in dBFS per window of 100 ms. PURE.

dBFS as in AES17 without its 3 dB offset: 0 dBFS rms is a square wave at full scale. Silence is -96.0, the floor of
16-bit audio. A packet is only remembered; numpy looks at a whole window at once, because a look per packet costs three
times as much (10 µs against 3 µs a packet).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

FLOOR_DBFS = -96.0
FULL_SCALE = 32768.0
WINDOW_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Level:
    """dBFS, at most 0.0 and at least `FLOOR_DBFS`."""

    rms_dbfs: float
    peak_dbfs: float


SILENCE = Level(FLOOR_DBFS, FLOOR_DBFS)


def level_of(pcm: bytes) -> Level:
    """The level of 16-bit little-endian PCM of any length; no samples are silence."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    if not samples.size:
        return SILENCE
    mean_square = float(np.dot(samples, samples)) / samples.size
    return Level(_dbfs(math.sqrt(mean_square)), _dbfs(float(np.abs(samples).max())))


def _dbfs(amplitude: float) -> float:
    if amplitude < 1e-9:
        return FLOOR_DBFS
    return round(max(FLOOR_DBFS, min(0.0, 20 * math.log10(amplitude / FULL_SCALE))), 1)


@dataclass(slots=True)
class Meter:
    """The level of one track as it arrives: add packets, take the newest level at each tick."""

    sample_rate: int
    _window: list[bytes] = field(default_factory=list)
    _samples: int = 0

    def add(self, pcm: bytes) -> None:
        """Only the newest window is kept: what nobody asked for in time is no news any more."""
        self._window.append(pcm)
        self._samples += len(pcm) // 2
        longest = self.sample_rate * WINDOW_SECONDS
        while len(self._window) > 1 and self._samples - len(self._window[0]) // 2 >= longest:
            self._samples -= len(self._window.pop(0)) // 2

    def take(self) -> Level | None:
        """The level of what was added since the last look, at most a window; None when nothing was."""
        if not self._window:
            return None
        pcm = b"".join(self._window)
        self._window.clear()
        self._samples = 0
        return level_of(pcm)
