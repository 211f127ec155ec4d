"""Audio that was sent against audio that came back, sample by sample. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

PROBE = 64
"""Samples that are looked for in the other audio. 1,024 bits of noise occur once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`samples`: positions that differ, in all tracks; one that is missing or too many counts.
    `shift`: by how many samples the audio is late, negative if it is early; 0 if it lies where it
    should, or was not found at all.
    """

    samples: int
    shift: int = 0


def compare(
    sent: Mapping[str, Samples], received: Mapping[str, Samples], late_samples: int = 0
) -> Difference:
    """Compares the tracks of a call. A track that did not come back has no samples.

    `late_samples`: by how much the whole call lies too late on the axis. Then every sample is
    wrong.
    """
    nothing = np.zeros(0, np.int16)
    pairs = [(samples, received.get(name, nothing)) for name, samples in sent.items()]
    total = sum(len(samples) for samples in sent.values())
    if late_samples:
        return Difference(total, late_samples)
    wrong = sum(_wrong(one, other) for one, other in pairs)
    shifts = (_shift(one, other) for one, other in pairs) if wrong else iter(())
    return Difference(wrong, next((shift for shift in shifts if shift), 0))


def _wrong(sent: Samples, received: Samples) -> int:
    common = min(len(sent), len(received))
    unequal = int(np.count_nonzero(sent[:common] != received[:common]))
    return unequal + abs(len(sent) - len(received))


def _shift(sent: Samples, received: Samples) -> int:
    """Returns how much later the middle of `sent` is found in `received`; 0 if it is not."""
    middle = len(sent) // 2
    probe, content = sent[middle : middle + PROBE].tobytes(), received.tobytes()
    at = content.find(probe)
    while at % 2 == 1:  # between two samples; -1 is odd, too
        if at == -1:
            return 0
        at = content.find(probe, at + 1)
    return at // 2 - middle
