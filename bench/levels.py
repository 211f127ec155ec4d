"""How old levels are when a browser has them. PURE.

Voices are loud for a second and quiet for a second (`bench.frames`). The message that shows one
loud again can have learned it from no packet before the first loud one: from when that was due to
when the message came is the latency. It is known up to `PERIOD_US`; what is older than that would
look younger, so `bench.verdict` also asks how long levels went on after the last packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bench.frames import HALF_PACKETS, PACKET_US
from bench.histogram import Histogram

PERIOD_US = 2 * HALF_PACKETS * PACKET_US
LOUD_DBFS = -6.0
_decode = msgspec.json.Decoder().decode


class Rises:
    """`hear` every message of a dashboard's socket; `latencies` when the load is over."""

    def __init__(self) -> None:
        self._was_loud: dict[str, bool] = {}
        self._rises: list[tuple[int, str]] = []
        self.last_loud_us = 0
        """When the last message came that showed anyone as loud."""

    def hear(self, at_us: int, text: bytes) -> None:
        """One message and when it came, in µs."""
        for participant_id, (_rms, peak) in levels_of(text).items():
            is_loud = peak > LOUD_DBFS
            if is_loud and self._was_loud.get(participant_id) is False:
                self._rises.append((at_us, participant_id))
            self._was_loud[participant_id] = is_loud
            if is_loud:
                self.last_loud_us = at_us

    def latencies(self, begun_us: Mapping[str, int], window_us: tuple[int, int]) -> Histogram:
        """`begun_us`: when each participant's first packet was due; others are passed over."""
        found = Histogram()
        for at_us, participant_id in self._rises:
            if participant_id in begun_us and window_us[0] <= at_us < window_us[1]:
                found.add((at_us - begun_us[participant_id]) % PERIOD_US)
        return found


def levels_of(text: bytes) -> Mapping[str, tuple[float, float]]:
    """By participant id, rms and peak in dBFS; of any other message nothing."""
    said: Any = _decode(text)
    levels: Mapping[str, tuple[float, float]] = (
        said["levels"] if said.get("type") == "levels" else {}
    )
    return levels
