"""Numbered packets, so that any loss, repetition, swap or shift is noticed."""

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
"""Number of a packet of digital silence."""


@dataclass(frozen=True)
class Sent:
    """A packet at its sender: `spoken_us` is its true place, `timestamp_us` the one in
    the message, `arrived_us` its arrival at the recorder, whose clock differs by hours.
    """

    number: int
    spoken_us: int
    timestamp_us: int | None
    participant: str = "p"
    rate: int = RATE
    arrived_us: int | None = None

    @property
    def pcm(self) -> bytes:
        # a copy: repeated packets are equal, not identical
        return bytes(memoryview(_pcm(self.number, self.rate)))


# properties of the timeline use the same few hundred packets in every example
@lru_cache(maxsize=10_000)
def _pcm(number: int, rate: int) -> bytes:
    if number == SILENT:
        return bytes(2 * (rate // 50))
    numbers = np.arange(rate // 50, dtype=np.int64) * 7 + number * 6151 + 1
    return (numbers % 32749).astype("<i2").tobytes()


def speech(
    count: int, *, start_us: int = START_US, participant: str = "p", rate: int = RATE
) -> list[Sent]:
    """Returns `count` packets spoken without a pause and received without delay."""
    places = [start_us + number * PACKET_US for number in range(count)]
    return [Sent(number, place, place, participant, rate) for number, place in enumerate(places)]


def delayed(packets: list[Sent], delays_us: list[int]) -> list[Sent]:
    """Delays the reception of packet n by `delays_us[n]`; timestamps never decrease in spoken
    order.
    """
    received = [packet.spoken_us + delay for packet, delay in zip(packets, delays_us, strict=True)]
    return [
        replace(packet, timestamp_us=at)
        for packet, at in zip(packets, accumulate(received, max), strict=True)
    ]


def stalled(packets: list[Sent], at: int, seconds: float) -> list[Sent]:
    """Delays packets from `at` on for `seconds`; then all of them arrive in one burst."""
    resumes_us = packets[at].spoken_us + round(seconds * 1_000_000)
    return [
        packet
        if packet.number < at
        else replace(packet, timestamp_us=max(packet.timestamp_us or 0, resumes_us))
        for packet in packets
    ]


HOST_US = 7_300_000_000
"""Difference between the recorder's clock and the sender's: only differences may matter."""


def arrived(packets: list[Sent], delay_us: int = 30_000) -> list[Sent]:
    """Lets each packet arrive a moment after it was spoken."""
    return [replace(one, arrived_us=one.spoken_us + delay_us + HOST_US) for one in packets]


def play(packets: list[Sent], timeline: Timeline | None = None) -> Decided:
    """Pushes the packets in this order to a timeline and finishes it."""
    timeline = timeline or Timeline()
    for packet in packets:
        timeline.push(
            packet.participant,
            packet.timestamp_us,
            packet.pcm,
            packet.rate,
            START_US,
            packet.arrived_us,
        )
    timeline.finish()
    return timeline.take()


def reloaded(timeline: Timeline) -> Timeline:
    """Returns the timeline as written to disk and read back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(timeline), type=Timeline)


def audio_of(taken: Decided, participant: str = "p") -> bytes:
    """Returns the track's samples, runs joined without the gaps."""
    track = taken.tracks[participant]
    return b"".join(piece for run in track.runs for piece in run.pieces)


def places_of(taken: Decided, participant: str = "p") -> list[tuple[int, bytes]]:
    """Returns (place in samples on the axis, PCM) of every packet of the track, in order of the
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
    """Returns the distance of each packet from its true place, in ms."""
    true = {packet.pcm: packet.spoken_us for packet in packets}
    places = places_of(taken, participant)
    return [(place * 1_000_000 / RATE - true[pcm]) / 1000 for place, pcm in places]
