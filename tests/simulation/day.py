"""`python -m tests.simulation.day [--hours 24]`: one long call through the timeline, judged packet
by packet.

Four voices, whose sound cards run up to 500 ppm fast or slow, speak for up to 90 s at a time:
without pauses, drift adds up. Every hour the service reconnects. The call is digested in files of
ten seconds, and the state is written and read between them, as sealing does. Prints how far packets
lie from their true time; the exit code is 1 if one is more than 60 ms off, or if a gap is missing
or too many.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import msgspec

from streams.timeline.timeline import Packet, Timeline
from tests.simulation.network import LATENCY_NOISE_US, LATENCY_US
from tests.simulation.plan import HOUR, PACKET_US, SECOND
from tests.simulation.report import BINS_MS, bin_of
from tests.simulation.world import START_US

RATE = 16_000
PACKET_BYTES = RATE // 50 * 2
PPM = (500, -500, 100, -250)
"""Drift of each voice's sound card."""
JITTER_US = 15_000
FILE_US = 10 * SECOND
RECONNECT_US = SECOND
PAUSE_US = 3 * SECOND
LIMIT_MS = 60.2
"""Law 3, and the rounding of both places to whole samples."""


@dataclass(slots=True)
class Voice:
    """One speaker: packets so far by number, and what was found of them."""

    name: str
    ppm: int
    random: Random
    true_us: list[int] = field(default_factory=list)
    heard: int = 0
    gaps: int = 0
    misplaced: dict[int, int] = field(default_factory=dict)
    worst_ms: float = 0.0
    speaks_until_us: int = 0
    next_us: float = 0.0

    @property
    def silences(self) -> int:
        """Pauses and reconnects between its packets."""
        return sum(after - before > PAUSE_US // 4 for before, after in pairwise(self.true_us))

    def spoken(self, until_us: int) -> Iterator[tuple[int, int]]:
        """Yields number and true time of the next packets."""
        while self.next_us < until_us:
            if self.next_us >= self.speaks_until_us:
                self.next_us += PAUSE_US
                self.speaks_until_us = round(self.next_us) + self.random.randint(40, 90) * SECOND
                continue
            self.true_us.append(round(self.next_us))
            yield len(self.true_us) - 1, round(self.next_us)
            self.next_us += PACKET_US * (1 - self.ppm * 1e-6)

    def note(self, start_sample: int, pieces: list[bytes]) -> None:
        """Compares placed packets with the truth."""
        for place, piece in enumerate(pieces):
            number = int.from_bytes(piece[:4], "little")
            assert number == self.heard, f"{self.name}: packet {number} follows {self.heard - 1}"
            self.heard += 1
            place_us = (start_sample * SECOND) / RATE + place * PACKET_US - START_US
            error_ms = (place_us - self.true_us[number]) / 1000
            at = bin_of(error_ms)
            self.misplaced[at] = self.misplaced.get(at, 0) + 1
            self.worst_ms = max(self.worst_ms, abs(error_ms))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.day", description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    hours = parser.parse_args().hours
    voices = [Voice(f"{ppm:+} ppm", ppm, Random(number)) for number, ppm in enumerate(PPM)]
    began = time.monotonic()
    timeline = Timeline()
    for hour in range(hours):
        end_us = (hour + 1) * HOUR - RECONNECT_US
        for at_us in range(hour * HOUR, end_us, FILE_US):
            timeline = _digested(timeline, voices, min(at_us + FILE_US, end_us))
        timeline.finish("not_connected")
        _take(timeline, voices)
        for voice in voices:
            voice.next_us = max(voice.next_us, (hour + 1) * HOUR)
        print(f"{hour + 1} h, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return _reported(voices)


def _digested(timeline: Timeline, voices: list[Voice], until_us: int) -> Timeline:
    """Digests one file; returns the timeline as written to disk and read back."""
    sent: list[tuple[int, Packet]] = []
    for voice in voices:
        stamped_us = 0
        for number, true_us in voice.spoken(until_us):
            stamped_us = max(stamped_us, true_us + voice.random.randrange(JITTER_US))
            pcm = number.to_bytes(4, "little") + bytes(PACKET_BYTES - 4)
            arrived_us = stamped_us + LATENCY_US + voice.random.randrange(LATENCY_NOISE_US)
            sent.append((arrived_us, (voice.name, START_US + stamped_us, pcm)))
    sent.sort(key=lambda one: one[0])
    for start in range(0, len(sent), 200):
        part = sent[start : start + 200]
        arrivals = [START_US + arrived_us for arrived_us, _ in part]
        timeline.push_all([packet for _, packet in part], RATE, START_US, arrivals)
    _take(timeline, voices)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(timeline), type=Timeline)


def _take(timeline: Timeline, voices: list[Voice]) -> None:
    taken = timeline.take()
    assert not taken.jumps, f"no clock has jumped: {taken.jumps[0]}"
    for voice in voices:
        if track := taken.tracks.get(voice.name):
            voice.gaps += len(track.gaps)
            for run in track.runs:
                voice.note(run.start_sample, run.pieces)


def _reported(voices: list[Voice]) -> int:
    """Prints a table; returns 1 if a law is broken."""
    labels = [f"<= {most} ms" for most in BINS_MS] + [f"> {BINS_MS[-1]} ms"]
    print(f"{'':12}" + "".join(f"{voice.name:>14}" for voice in voices))
    for name, values in (
        ("packets", [f"{voice.heard:,}" for voice in voices]),
        ("silences", [f"{voice.silences:,}" for voice in voices]),
        ("gaps", [f"{voice.gaps:,}" for voice in voices]),
        ("worst", [f"{voice.worst_ms:.1f} ms" for voice in voices]),
        *(
            (label, [f"{voice.misplaced.get(number, 0):,}" for voice in voices])
            for number, label in enumerate(labels)
        ),
    ):
        print(f"{name:12}" + "".join(f"{value:>14}" for value in values))
    return int(
        any(
            voice.heard != len(voice.true_us)
            or voice.gaps != voice.silences
            or voice.worst_ms > LIMIT_MS
            for voice in voices
        )
    )


if __name__ == "__main__":
    sys.exit(main())
