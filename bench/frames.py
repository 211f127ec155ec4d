"""Prebuilt WebSocket frames of a call, in which only the digits of the timestamps change. PURE.

A mask of zeros is legal and leaves the payload readable, so a timestamp can be patched in place.
Loud and quiet seconds alternate, so that a dashboard's levels reveal their time (`bench.levels`).
Samples are random: they do not compress, so no step is cheaper than with speech.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from streams.simulator import wire
from tests.torture.media_socket import TEXT, frame

PACKET_US = 20_000
PACKET_SAMPLES = 320
SAMPLE_RATE = 16_000
HALF_PACKETS = 50
"""Packets per loud and per quiet phase: one second each."""
LOUD_BITS, QUIET_BITS = 16, 14  # uniform random samples: peaks of 0 and -12 dBFS
VARIANTS = 4
"""Different packets of each kind, used in rotation; with their timestamps no two are equal."""

STAMP_BYTES = len("2022-10-03T19:16:12.925")
_ANY_STAMP = wire.timestamp(0).removesuffix("Z").encode()
_MILLISECONDS = [b"%03d" % number for number in range(1000)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One packet of each voice of a call, sent together; `stamps` are the offsets of their
    timestamps.
    """

    content: bytearray
    stamps: tuple[int, ...]

    def stamp(self, moment: bytes) -> bytearray:
        """Returns the content with every timestamp set to `moment` (`Clock.stamp`)."""
        for start in self.stamps:
            self.content[start : start + STAMP_BYTES] = moment
        return self.content


class Clock:
    """Timestamps in ACS format without the Z; cheap if they increase."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = b""

    def stamp(self, at_us: int) -> bytes:
        """Formats microseconds since the Unix epoch, rounded down to milliseconds."""
        second, rest = divmod(at_us, 1_000_000)
        if second != self._second:
            self._second = second
            self._prefix = (
                datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode()
            )
        return self._prefix + _MILLISECONDS[rest // 1000]


def turns(raw_ids: Sequence[str], seed: int) -> list[Turn]:
    """Returns the turns of one call: `VARIANTS` loud ones, then as many quiet ones."""
    random = np.random.default_rng(seed)
    return [
        turn([(raw_id, noise(random, bits)) for raw_id in raw_ids])
        for bits in (LOUD_BITS, QUIET_BITS)
        for _ in range(VARIANTS)
    ]


def turn(packets: Sequence[tuple[str, bytes]]) -> Turn:
    """Builds one turn from raw ids and PCM."""
    content = bytearray()
    for raw_id, pcm in packets:
        content += frame(TEXT, wire.audio_data(0, raw_id, pcm, silent=False).encode())
    return Turn(content, tuple(_places(bytes(content))))


def place_in_ring(number: int) -> int:
    """Returns the index in `turns` of the `number`-th turn of a call."""
    return (number // HALF_PACKETS) % 2 * VARIANTS + number % VARIANTS


def noise(random: np.random.Generator, bits: int) -> bytes:
    """Returns one packet of uniform random samples of `bits` bits."""
    half = 1 << (bits - 1)
    return random.integers(-half, half, PACKET_SAMPLES, dtype=np.int16).astype("<i2").tobytes()


def _places(content: bytes) -> Iterator[int]:
    place = content.find(_ANY_STAMP)
    while place >= 0:
        yield place
        place = content.find(_ANY_STAMP, place + STAMP_BYTES)
