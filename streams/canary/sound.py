"""The audio of a canary call: noise that no other run has, so that any loss, shift or resampling
changes samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.simulator.scenario.audio import Clip
from streams.simulator.scenario.schedule import Conversation, ScriptedVoice

SAMPLE_RATE = 16_000  # Hz
PEAK = 8_000
"""Highest sample: rms -17 dBFS, neither too loud nor too quiet for an alarm."""

RAW_IDS = ("8:acs:canary_first", "8:acs:canary_second")
"""Two participants: a mixed-up track is found, too."""

Samples = NDArray[np.int16]


def tracks_of(seed: int, seconds: float) -> dict[str, Samples]:
    """Returns the samples of each participant by raw id: whole packets, about `seconds` long."""
    random = np.random.default_rng(seed)
    packet = SAMPLE_RATE // 50
    count = max(1, round(seconds * 50)) * packet
    return {
        raw_id: random.integers(-PEAK, PEAK, count, dtype=np.int16, endpoint=True)
        for raw_id in RAW_IDS
    }


def script_of(tracks: dict[str, Samples]) -> Conversation:
    """Returns the call in which each participant speaks their track from the beginning."""
    voices = (
        ScriptedVoice(raw_id, Clip(samples, SAMPLE_RATE)) for raw_id, samples in tracks.items()
    )
    return Conversation(tuple(voices), SAMPLE_RATE)
