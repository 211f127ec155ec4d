"""FLAC and PCM for stored segments: size, encoding time and decoding time, with the demo's speech
or the given files.

    python -m bench.segment_encoding [FILE ...]

Prints one row per encoding for segments of ten seconds. Ratios are stable, times vary between
machines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import soundfile

from calls.audio.codec import Samples

SECONDS = 10
ROUNDS = 5
VOICES = Path(__file__).resolve().parent.parent / "streams" / "simulator" / "voices"
ENCODINGS = {
    "PCM (WAV)": ("WAV", None),
    "FLAC level 0": ("FLAC", 0.0),
    "FLAC level 5": ("FLAC", 0.625),
    "FLAC level 8": ("FLAC", 1.0),
}


def main() -> None:
    paths = [Path(name) for name in sys.argv[1:]] or sorted(VOICES.glob("*.flac"))
    segments = [segment for path in paths for segment in segments_of(path)]
    pcm_bytes = sum(2 * len(samples) for samples, _ in segments)
    print(f"{len(segments)} segments of {SECONDS} s from {len(paths)} files")
    print(f"{'':14} {'size':>6} {'encode':>10} {'decode':>10}")
    for name, (kind, level) in ENCODINGS.items():
        encode_ms = best_ms(partial(encode_all, segments, kind, level))
        encoded = encode_all(segments, kind, level)
        decode_ms = best_ms(partial(decode_all, encoded))
        size = sum(map(len, encoded)) / pcm_bytes
        print(
            f"{name:14} {size:6.1%} {encode_ms / len(segments):7.2f} ms "
            f"{decode_ms / len(segments):7.2f} ms"
        )


def segments_of(path: Path) -> list[tuple[Samples, int]]:
    samples, rate = soundfile.read(path, dtype="int16")
    return [
        (samples[start : start + SECONDS * rate], rate)
        for start in range(0, len(samples), SECONDS * rate)
    ]


def encode_all(segments: list[tuple[Samples, int]], kind: str, level: float | None) -> list[bytes]:
    return [encode(*segment, kind, level) for segment in segments]


def decode_all(encoded: list[bytes]) -> None:
    for content in encoded:
        soundfile.read(BytesIO(content), dtype="int16")


def encode(samples: Samples, rate: int, kind: str, level: float | None) -> bytes:
    file = BytesIO()
    more = {} if level is None else {"compression_level": level}
    soundfile.write(file, samples, rate, format=kind, subtype="PCM_16", **more)
    return file.getvalue()


def best_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


if __name__ == "__main__":
    main()
