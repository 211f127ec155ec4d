"""Packets that carry their own number, so that any loss, repetition, swap or shift is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

import msgspec
import numpy as np

from streams.timeline.timeline import Decided, Timeline

START_US = 1_664_824_372_000_000
RATE = 16_000
START = START_US * RATE // 1_000_000
PACKET_US = 20_000
PACKET_SAMPLES = 320
SILENT = -1
"""The number of a packet of digital silence."""


@dataclass(frozen=True)
class Sent:
    """A packet as the sender knows it: `spoken_us` is its true place, `timestamp_us` what the
    message says.
    """

    number: int
    spoken_us: int
    timestamp_us: int | None
    participant: str = "p"
    rate: int = RATE

    @property
    def pcm(self) -> bytes:
        return bytes(
            memoryview(_pcm(self.number, self.rate))
        )  # a copy: what comes twice is equal, not identical


@lru_cache(
    maxsize=10_000
)  # properties of the timeline ask for the same few hundred packets, example after example
def _pcm(number: int, rate: int) -> bytes:
    if number == SILENT:
        return bytes(2 * (rate // 50))
    numbers = np.arange(rate // 50, dtype=np.int64) * 7 + number * 6151 + 1
    return (numbers % 32749).astype("<i2").tobytes()


def speech(
    count: int, *, start_us: int = START_US, participant: str = "p", rate: int = RATE
) -> list[Sent]:
    """`count` packets spoken without a pause and received without delay."""
    places = [start_us + number * PACKET_US for number in range(count)]
    return [Sent(number, place, place, participant, rate) for number, place in enumerate(places)]


def delayed(packets: list[Sent], delays_us: list[int]) -> list[Sent]:
    """The service receives packet n `delays_us[n]` late; in the order spoken timestamps never
    decrease.
    """
    received = [packet.spoken_us + delay for packet, delay in zip(packets, delays_us, strict=True)]
    return [
        replace(packet, timestamp_us=at)
        for packet, at in zip(packets, accumulate(received, max), strict=True)
    ]


def stalled(packets: list[Sent], at: int, seconds: float) -> list[Sent]:
    """Nothing is received for `seconds` after packet `at`; then all that was held back comes in one
    burst.
    """
    resumes_us = packets[at].spoken_us + round(seconds * 1_000_000)
    return [
        packet
        if packet.number < at
        else replace(packet, timestamp_us=max(packet.timestamp_us or 0, resumes_us))
        for packet in packets
    ]


def play(packets: list[Sent], timeline: Timeline | None = None) -> Decided:
    """Pushes the packets in this order into one timeline and closes it."""
    timeline = timeline or Timeline()
    for packet in packets:
        timeline.push(packet.participant, packet.timestamp_us, packet.pcm, packet.rate, START_US)
    timeline.finish()
    return timeline.take()


def reloaded(timeline: Timeline) -> Timeline:
    """Returns the timeline as written to disk and read back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(timeline), type=Timeline)


def audio_of(taken: Decided, participant: str = "p") -> bytes:
    """The track's samples, runs glued without the gaps."""
    track = taken.tracks[participant]
    return b"".join(piece for run in track.runs for piece in run.pieces)


def places_of(taken: Decided, participant: str = "p") -> list[tuple[int, bytes]]:
    """(place in samples on the axis, PCM) of every packet of the track, in the order of the
    axis.
    """
    places = []
    for run in taken.tracks[participant].runs:
        start = run.start_sample
        for piece in run.pieces:
            places.append((start, piece))
            start += len(piece) // 2
    return places


def pcm_of(packets: list[Sent]) -> bytes:
    return b"".join(packet.pcm for packet in packets)


def errors_ms(taken: Decided, packets: list[Sent], participant: str = "p") -> list[float]:
    """How far each packet lies from its true place, in ms."""
    true = {packet.pcm: packet.spoken_us for packet in packets}
    places = places_of(taken, participant)
    return [(place * 1_000_000 / RATE - true[pcm]) / 1000 for place, pcm in places]
