"""Age of levels when a browser receives them. PURE.

Voices are loud for a second and quiet for a second (`bench.frames`). A message that shows a voice
as loud again cannot be caused by a packet before the first loud one, so the latency is the time
from that packet's due time to the message. It is unambiguous up to `PERIOD_US`; an older message
would appear younger, so `bench.figures` also checks how long levels continue after the last packet.
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
    """`add` every message of a dashboard's socket; read `latencies` after the load."""

    def __init__(self) -> None:
        self._was_loud: dict[str, bool] = {}
        self._rises: list[tuple[int, str]] = []
        self.last_loud_us = 0
        """Arrival of the last message that showed a loud voice."""

    def add(self, at_us: int, text: bytes) -> None:
        """Adds one message with its arrival in µs."""
        for participant_id, (_rms, peak) in levels_of(text).items():
            is_loud = peak > LOUD_DBFS
            if is_loud and self._was_loud.get(participant_id) is False:
                self._rises.append((at_us, participant_id))
            self._was_loud[participant_id] = is_loud
            if is_loud:
                self.last_loud_us = at_us

    def latencies(self, begun_us: Mapping[str, int], window_us: tuple[int, int]) -> Histogram:
        """`begun_us` has the due time of each participant's first packet; others are ignored."""
        found = Histogram()
        for at_us, participant_id in self._rises:
            if participant_id in begun_us and window_us[0] <= at_us < window_us[1]:
                found.add((at_us - begun_us[participant_id]) % PERIOD_US)
        return found


def levels_of(text: bytes) -> Mapping[str, tuple[float, float]]:
    """Returns rms and peak in dBFS by participant id; empty for other messages."""
    message: Any = _decode(text)
    levels: Mapping[str, tuple[float, float]] = (
        message["levels"] if message.get("type") == "levels" else {}
    )
    return levels
