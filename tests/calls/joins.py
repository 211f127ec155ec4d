"""How well sections of a file are joined: its error where they meet."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from calls.audio.codec import Samples
from calls.export.encoders.sections import SectionedFile

VOICES = Path(__file__).parents[2] / "streams" / "simulator" / "voices"
"""The voices of the demo."""

WINDOW_SECONDS = 0.06
"""Around a join, on both sides: two frames of MP3, three packets of Opus."""


@cache
def voice(rate: int, seconds: int, channels: int = 1) -> Samples:
    """Returns speech, shape (samples, channels)."""
    tracks = []
    for path in sorted(VOICES.glob("*.flac"))[:channels]:
        spoken, own_rate = soundfile.read(path, dtype="float32")
        resampled = soxr.resample(spoken, own_rate, rate)
        tracks.append(np.rint(np.resize(resampled, rate * seconds) * 32_000))
    samples: Samples = np.stack(tracks, axis=1).astype(np.int16)
    return samples


def joins_of(file: SectionedFile, lead: int) -> list[int]:
    """Returns the samples at which sections begin whose encoders start `lead` samples earlier."""
    return [section.first + lead for section in file.sections[1:]]


def errors_at(places: list[int], decoded: Samples, source: Samples, rate: int) -> float:
    """Returns the RMS difference of two recordings around these places."""
    assert decoded.shape == source.shape, (decoded.shape, source.shape)
    window = round(WINDOW_SECONDS * rate)
    error = decoded.astype(float) - source
    spans = [error[max(place - window, 0) : place + window] for place in places]
    return float(np.sqrt(np.mean(np.concatenate(spans) ** 2)))
