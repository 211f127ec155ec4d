"""The schedule of all calls. PURE.

Calls are spread evenly over the 20 ms between two packets, and start one after the other over the
length of a segment, as real calls do. Otherwise all journals would be finished, and sealed, at the
same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from bench.frames import PACKET_US
from calls import identity

VOICES = 2
RAMP_SECONDS = 10.0
SETTLE_SECONDS = 2.0
"""Pause between the start of the last call and the measurement."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Turn k of a call is due `offset_us + (first_period + k) * 20 ms` after the start of
    the load.
    """

    index: int
    connection_id: str
    url: str
    offset_us: int
    first_period: int

    @property
    def raw_ids(self) -> list[str]:
        return [f"4:+1555{self.index:06d}{voice}" for voice in range(VOICES)]

    @property
    def participant_ids(self) -> list[str]:
        call_id = identity.call_id_of(self.connection_id, UUID(int=0))
        return [str(identity.participant_id_of(call_id, raw_id)) for raw_id in self.raw_ids]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All calls in the order in which they send, and the measured window in periods of 20 ms."""

    calls: list[CallPlan]
    window: tuple[int, int]


def plan(
    urls: list[str], calls: int, seconds: float, *, ramp_seconds: float = RAMP_SECONDS
) -> LoadPlan:
    """Distributes `calls` over `urls`; they are measured for `seconds` once all have started."""
    ramp = _periods(ramp_seconds)
    planned = [
        CallPlan(
            index=index,
            connection_id=f"bench-{index}-{uuid4()}",
            url=urls[index % len(urls)],
            offset_us=index * PACKET_US // calls,
            first_period=1 + index * ramp // calls,
        )
        for index in range(calls)
    ]
    begin = 1 + ramp + _periods(SETTLE_SECONDS)
    return LoadPlan(planned, (begin, begin + _periods(seconds)))


def _periods(seconds: float) -> int:
    return round(seconds * 1_000_000) // PACKET_US
