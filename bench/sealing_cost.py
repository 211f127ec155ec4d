"""CPU cost of sealing, from the bytes of journals to encoded segments: µs per packet for each step.

    python -m bench.sealing_cost [FILE ...]

Two-party calls of three journal files of ten seconds, in memory, without disk and database. FILE
...: the two voices of "speech", 16 kHz mono (default: the demo's speech). The other journals
contain noise, which no codec compresses. The clock is the CPU time of this thread, the best of
several rounds: ratios are stable, times vary between machines.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import soundfile

from calls.audio import codec
from calls.audio.levels import level_of
from streams.journal import records as journal
from streams.journal.files import Journal
from streams.journal.records import Audio, Handshake, Metadata, Record, Voice
from streams.sealing.digest import (
    SealedSegment,
    StreamState,
    digest_of,
    dump_state,
    handshake_in,
    load_state,
)
from streams.timeline.timeline import Timeline

RATE = 16_000
PACKET_US = 20_000
PACKET_BYTES = 640
FILE_PACKETS = 500
"""Packets of one voice: ten seconds."""
FILES = 3
ROUNDS = 5
START_US = 1_664_824_372_000_000
STEPS = ("parse", "one by one", "digest", "state", "hash", "encode", "level", "sum")
VOICES = Path(__file__).resolve().parent.parent / "streams" / "simulator" / "voices"


class Packet(NamedTuple):
    """A packet, in order of arrival."""

    timestamp_us: int
    voice: int
    pcm: bytes


def main() -> None:
    paths = [Path(name) for name in sys.argv[1:]] or sorted(VOICES.glob("*.flac"))[:2]
    speech = [spoken(path) for path in paths]
    print(f"{'µs a packet':12}", *(f"{step:>10}" for step in STEPS), f"{'state':>9}")
    for name, packets in journals(speech).items():
        costs, state_bytes = costs_of(packets)
        print(
            f"{name:12}",
            *(f"{costs[step]:10.2f}" for step in STEPS),
            f"{state_bytes / 1000:6.0f} kB",
        )


def spoken(path: Path) -> list[bytes]:
    samples, rate = soundfile.read(path, dtype="int16")
    assert (rate, samples.ndim) == (RATE, 1), f"{path} is not 16 kHz mono"
    pcm = samples.astype("<i2").tobytes() * 4
    return [
        pcm[at : at + PACKET_BYTES]
        for at in range(0, FILES * FILE_PACKETS * PACKET_BYTES, PACKET_BYTES)
    ]


def journals(speech: Sequence[Sequence[bytes]]) -> dict[str, list[Packet]]:
    """Returns ordinary and late packets, and some that only a broken or hostile sender sends."""
    chance = random.Random(1)
    noise = [
        [chance.randbytes(PACKET_BYTES) for _ in range(FILES * FILE_PACKETS)] for _ in range(2)
    ]
    even = call_of(noise)
    repeated = [
        Packet(START_US + n % FILE_PACKETS * PACKET_US, 0, noise[0][n % FILE_PACKETS])
        for n in range(15_000)
    ]
    return {
        "speech": call_of(speech),
        "noise": even,
        "jittered": jittered(even, 15_000, chance),
        "delayed": jittered(even, 120_000, chance),
        "disordered": sorted(
            even, key=lambda packet: packet.timestamp_us + chance.uniform(0, 200_000)
        ),
        "lossy": [packet for packet in even if chance.random() > 0.1],
        "repeated": repeated,
        "same bytes": [Packet(packet.timestamp_us, 0, noise[0][0]) for packet in repeated],
        "stepping": [
            Packet(packet.timestamp_us, 0, chance.randbytes(PACKET_BYTES)) for packet in repeated
        ],
        "standing": [Packet(START_US, 0, chance.randbytes(PACKET_BYTES)) for _ in range(15_000)],
        "tiny": [Packet(START_US, 0, n.to_bytes(2, "little")) for n in range(30_000)],
    }


def call_of(voices: Sequence[Sequence[bytes]]) -> list[Packet]:
    """Interleaves the voices in steps of 20 ms."""
    pairs = enumerate(zip(*voices, strict=True))
    return [
        Packet(START_US + n * PACKET_US, voice, pcm)
        for n, pair in pairs
        for voice, pcm in enumerate(pair)
    ]


def jittered(packets: Sequence[Packet], most_us: int, chance: random.Random) -> list[Packet]:
    """Keeps the order of arrival, with timestamps up to `most_us` too early or too late."""
    return [
        packet._replace(timestamp_us=packet.timestamp_us + chance.randint(-most_us, most_us))
        for packet in packets
    ]


def costs_of(packets: Sequence[Packet]) -> tuple[dict[str, float], int]:
    """Returns the best µs per packet for each step, and bytes of state between two files."""
    files = list(written(packets))
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        stopwatch = Stopwatch()
        state_bytes = seal(files, stopwatch)
        for step, seconds in stopwatch.seconds.items():
            best[step] = min(seconds, best.get(step, seconds))
    costs = {step: seconds / len(packets) * 1e6 for step, seconds in best.items()}
    costs["sum"] = sum(
        cost for step, cost in costs.items() if step != "one by one"
    )  # the digest includes its own
    return costs, state_bytes


class Stopwatch:
    """CPU seconds of this thread by step."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STEPS[:-1], 0.0)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        started = time.thread_time()
        yield
        self.seconds[step] += time.thread_time() - started


def written(packets: Sequence[Packet]) -> Iterator[bytes]:
    """Yields journals of a socket with these packets, an equal number in each file."""
    most = -(-len(packets) // FILES)
    with TemporaryDirectory(prefix="acsmedia-bench-") as folder:
        target = Journal(
            Path(folder), Handshake("stream", "call", "", "", START_US, segment_seconds=10.0)
        )
        target.append(Metadata(0, START_US, "", "PCM", RATE, 1, PACKET_BYTES))
        for voice in (0, 1):
            target.append(Voice(voice, f"4:+1555123456{voice}"))
        for number, packet in enumerate(packets):
            if number % most == 0 and number:
                os.close(target.rotate())
            arrived_us = START_US + number * PACKET_US // 2
            target.append_audio(
                [Audio(packet.timestamp_us, arrived_us, packet.voice, silent=False, pcm=packet.pcm)]
            )
        os.close(target.finish())
        yield from [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def seal(files: Sequence[bytes], stopwatch: Stopwatch) -> int:
    """Seals the files in order, as the sealer does; returns the bytes of state before the last."""
    timeline, left = Timeline(), dump_state(StreamState())
    for content in files:
        with stopwatch.of("state"):
            state = load_state(left)
        with stopwatch.of("parse"):
            records = list(journal.parse(content))
        with stopwatch.of("one by one"):
            place(records, timeline)
        handshake = handshake_in(records)
        assert handshake, "it was written"
        with stopwatch.of("digest"):
            digest = digest_of(records, handshake, state, last=content is files[-1])
        for segment in digest.segments:
            store(segment, stopwatch)
        state_bytes = len(left)
        with stopwatch.of("state"):
            left = dump_state(state)
    return state_bytes


def place(records: Sequence[Record], timeline: Timeline) -> None:
    """Places packets one by one, without the fast path. For irregular packets this is part of
    "digest"; for ordinary ones it is measured in addition.
    """
    for record in records:
        if isinstance(record, Audio):
            timeline.push(str(record.voice), record.timestamp_us, record.pcm, RATE, START_US)
    timeline.take()


def store(segment: SealedSegment, stopwatch: Stopwatch) -> None:
    with stopwatch.of("hash"):
        codec.pcm_hash(segment.pcm)
    with stopwatch.of("encode"):
        codec.encode(segment.pcm, segment.sample_rate)
    with stopwatch.of("level"):
        level_of(segment.pcm)


if __name__ == "__main__":
    main()
