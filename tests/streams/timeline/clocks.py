"""Packets of calls whose clocks step, or whose timestamps are wrong, and their distance from the
truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streams.timeline.timeline import Decided
from tests.streams.packets import Sent, arrived, errors_ms, speech

WITHIN_MS = 60 + 0.2
"""Law 3, and the rounding of both places to whole samples."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def later(packets: list[Sent], by_us: int) -> list[Sent]:
    """Returns packets spoken, stamped and arrived later."""
    return [
        replace(
            one,
            spoken_us=one.spoken_us + by_us,
            timestamp_us=None if one.timestamp_us is None else one.timestamp_us + by_us,
            arrived_us=None if one.arrived_us is None else one.arrived_us + by_us,
            number=one.number + 10_000,
        )
        for one in packets
    ]


def stamped(packets: list[Sent], by_us: Callable[[Sent], int]) -> list[Sent]:
    """Returns the packets with wrong timestamps."""
    return [replace(one, timestamp_us=one.spoken_us + by_us(one)) for one in packets]


def stepped(packets: list[Sent], by_us: int, first: int) -> list[Sent]:
    """Returns the packets with a clock that has stepped from the packet of this number on."""
    return stamped(packets, lambda one: by_us * (one.number >= first))


def together(*tracks: list[Sent]) -> list[Sent]:
    return sorted(
        (one for track in tracks for one in track), key=lambda one: (one.spoken_us, one.number)
    )


def voices(count: int, names: str = "ab") -> list[list[Sent]]:
    return [
        [
            replace(one, number=one.number + 1000 * at)
            for one in arrived(speech(count, participant=name))
        ]
        for at, name in enumerate(names)
    ]


def worst_ms(taken: Decided, *tracks: list[Sent]) -> float:
    """Returns the greatest distance of a packet from its true place, on any track."""
    return max(
        abs(error) for track in tracks for error in errors_ms(taken, track, track[0].participant)
    )
