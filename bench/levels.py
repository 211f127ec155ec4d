"""How old levels are when a browser has them. PURE.

Voices are loud for a second and quiet for a second (`bench.frames`). The message that shows one loud again can have
learned it from no packet before the first loud one: from when that was due to when the message came is the latency.
It is known up to `PERIOD_US`; what is older than that would look younger, so `bench.verdict` also asks how long levels
went on after the last packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bench.frames import HALF_PACKETS, PACKET_US
from bench.histogram import Histogram

PERIOD_US = 2 * HALF_PACKETS * PACKET_US
LOUD_DBFS = -6.0
_decode = msgspec.json.Decoder().decode


def latencies(
    messages: Iterable[tuple[int, bytes]], begun_us: Mapping[str, int], window_us: tuple[int, int]
) -> Histogram:
    """`messages`: when each came, in µs, and its text; `begun_us`: when each participant's first packet was due."""
    found = Histogram()
    was_loud: dict[str, bool] = {}
    for at_us, text in messages:
        for participant_id, (_rms, peak) in levels_of(text).items():
            is_loud = peak > LOUD_DBFS
            rises = is_loud and was_loud.get(participant_id) is False
            was_loud[participant_id] = is_loud
            if rises and participant_id in begun_us and window_us[0] <= at_us < window_us[1]:
                found.add((at_us - begun_us[participant_id]) % PERIOD_US)
    return found


def last_loud_us(messages: Iterable[tuple[int, bytes]]) -> int:
    """When the last message came that showed anyone as loud; 0 if none did."""
    loud = (at_us for at_us, text in messages if any(peak > LOUD_DBFS for _rms, peak in levels_of(text).values()))
    return max(loud, default=0)


def levels_of(text: bytes) -> Mapping[str, tuple[float, float]]:
    """By participant id, rms and peak in dBFS; of any other message nothing."""
    said: Any = _decode(text)
    levels: Mapping[str, tuple[float, float]] = said["levels"] if said.get("type") == "levels" else {}
    return levels
