"""Files and tones as packets of 20 ms: 16-bit little-endian mono, at the rate of the call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streams.simulator.errors import UnreadableAudio
from streams.simulator.scenario.packets import PACKETS_PER_SECOND

TONE_LEVEL = 0.25  # of full scale: -12 dBFS peak, -15 dBFS rms

Samples = NDArray[np.int16]
"""Mono samples, shape (n,), full scale ±32768."""


class Clip:
    """Samples cut into packets; repeated without a seam to reach the requested length."""

    def __init__(self, samples: Samples, sample_rate: int, seconds: float | None = None) -> None:
        """Takes all `samples` (at least one) and fills the last packet with silence; or exactly
        `seconds` of them, cut or repeated to whole packets.
        """
        assert len(samples), "a clip has at least one sample"
        self.packet_samples = sample_rate // PACKETS_PER_SECOND
        if seconds is None:
            self.packet_count = -(-len(samples) // self.packet_samples)
            padding = self.packet_count * self.packet_samples - len(samples)
            samples = np.pad(samples, (0, padding))
        else:
            self.packet_count = max(1, round(seconds * PACKETS_PER_SECOND))
        self._period = len(samples)
        # The beginning is repeated at the end, so that a packet over the seam is one slice.
        beyond = np.resize(samples, self.packet_samples)
        self._pcm = np.concatenate([samples, beyond]).astype("<i2").tobytes()

    def packet(self, number: int) -> bytes:
        start = number * self.packet_samples % self._period * 2
        return self._pcm[start : start + self.packet_samples * 2]

    def samples(self) -> Samples:
        """Returns all samples that are played, shape (packet_count * packet_samples,)."""
        return np.frombuffer(b"".join(map(self.packet, range(self.packet_count))), dtype="<i2")


def read_file(path: Path, sample_rate: int) -> Samples:
    """Reads a file in any format that soundfile reads, mixed down to mono and resampled.

    16-bit mono at the right rate is kept bit for bit. Raises `UnreadableAudio`.
    """
    try:
        with soundfile.SoundFile(path) as file:
            exact = (
                file.channels == 1 and file.samplerate == sample_rate and file.subtype == "PCM_16"
            )
            samples = file.read(dtype="int16" if exact else "float32", always_2d=not exact)
            rate = file.samplerate
    except (OSError, soundfile.SoundFileError) as error:
        raise UnreadableAudio(f"{path}: {error}") from error
    if not len(samples):
        raise UnreadableAudio(f"{path}: holds no audio")
    if exact:
        return np.asarray(samples, np.int16)
    mono = samples.mean(axis=1)
    return _rounded(mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate))


def tone(hertz: int, sample_rate: int) -> Samples:
    """Returns one second of a sine, which repeats without a seam because `hertz` is whole."""
    phase = 2 * np.pi * hertz * np.arange(sample_rate) / sample_rate
    return _rounded(np.asarray(TONE_LEVEL * np.sin(phase), np.float32))


def mixed(clips: list[Clip], sample_rate: int) -> Clip:
    """Returns the sum of all clips, clipped at full scale, as long as the longest."""
    total = np.zeros(max(clip.packet_count for clip in clips) * clips[0].packet_samples, np.int32)
    for clip in clips:
        samples = clip.samples()
        total[: len(samples)] += samples
    return Clip(np.clip(total, -32768, 32767).astype(np.int16), sample_rate)


def _rounded(samples: NDArray[np.float32]) -> Samples:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
