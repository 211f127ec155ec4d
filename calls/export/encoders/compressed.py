"""FLAC, MP3 and Opus, sent while they are encoded.

libsndfile writes a file front to back and returns to the front at the end, to enter values that it
knows only then. Bytes that are sent already cannot be changed, so the values are entered in
advance: the number of samples in FLAC's STREAMINFO, lengths and padding in MP3's Info frame. FLAC's
MD5 is still unknown at that time and is marked as unknown, which the format allows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import cache
from io import BytesIO
from itertools import islice

import numpy as np
import soundfile

from calls.audio.codec import Samples
from calls.export.encoders.mp3 import Lengths, info_frame
from calls.export.encoders.ogg import Pages
from calls.export.plan import Plan, etag_of
from calls.export.rendering import BLOCK_SECONDS

_SUBTYPES = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}
_MP3_COMPRESSION = 0.6
"""A constant 64 kbit/s at 16 and 24 kHz: transparent for speech, and its size is known before it is
encoded.
"""
_STREAMINFO_END = 42
_FIRST_SECONDS = {"mp3": 1, "opus": 1}
"""The first block of ten seconds is split into parts of this length for slow encoders: they take 4
and 28 ms for a second of a track. For every block that would cost a third of MP3's speed.
"""

Rewrite = Callable[[bytes], bytes]
"""Bytes as the encoder writes them -> bytes as they are sent. Called with every write, in order."""


def size_of(plan: Plan) -> int | None:
    """Returns the size of the whole file in bytes, None if it is not known in advance."""
    return _mp3_lengths(plan).size if plan.format.name == "mp3" else None


def chunks(plan: Plan, blocks: Iterable[Samples]) -> Generator[bytes, None, None]:
    """Yields the file from its beginning. `blocks` are all samples of the plan, in blocks of shape
    (samples, channels).
    """
    rewrite: Rewrite
    if plan.format.name == "flac":
        rewrite = _FlacHeader(plan.sample_count).rewrite
    elif plan.format.name == "mp3":
        rewrite = _Mp3Header(plan).rewrite
    else:
        rewrite = Pages(int(etag_of(plan).strip('"')[:8], 16)).renumber
    output = _Output()
    with closing(_open(output, plan.format.name, plan.sample_rate, plan.channels)) as encoder:
        for samples in _split_first(plan, blocks):
            if plan.format.name == "mp3":
                # As floats: of 16-bit samples in two channels libsndfile 1.2.2 loses half and
                # sends stale memory instead (libsndfile pull request 1106).
                encoder.write(np.divide(samples, 32_768, dtype=np.float32))
            else:
                encoder.write(samples)
            if sendable := b"".join(rewrite(written) for written in output.take()):
                yield sendable
    if sendable := b"".join(rewrite(written) for written in output.take()):
        yield sendable


def _split_first(plan: Plan, blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yields the blocks, the first one in parts if the encoder is slow, so that the first byte does
    not wait for all of it.
    """
    remaining = iter(blocks)
    step = _FIRST_SECONDS.get(plan.format.name, BLOCK_SECONDS) * plan.sample_rate
    for block in islice(remaining, 1):
        yield from (block[start : start + step] for start in range(0, len(block), step))
    yield from remaining


class _Output:
    """The file that libsndfile writes to: keeps appended bytes until they are taken, and ignores
    bytes that replace earlier ones.
    """

    def __init__(self) -> None:
        self._position = self._end = 0
        self._appended: list[bytes] = []

    def take(self) -> list[bytes]:
        taken, self._appended = self._appended, []
        return taken

    def write(self, content: bytes) -> int:
        if self._position == self._end:
            self._appended.append(bytes(content))
            self._end += len(content)
        self._position += len(content)
        assert self._position <= self._end, (
            "an encoder either appends or replaces earlier bytes, never both in one write"
        )
        return len(content)

    def read(self, _size: int = -1) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._end)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position


def _open(
    file: _Output | BytesIO, name: str, sample_rate: int, channels: int
) -> soundfile.SoundFile:
    container, subtype = _SUBTYPES[name]
    options = (
        {"bitrate_mode": "CONSTANT", "compression_level": _MP3_COMPRESSION} if name == "mp3" else {}
    )
    return soundfile.SoundFile(
        file, "w", sample_rate, channels, subtype=subtype, format=container, **options
    )


class _FlacHeader:
    """Enters the number of samples in STREAMINFO (36 bits; RFC 9639, section 8.2)."""

    def __init__(self, sample_count: int) -> None:
        self._sample_count = sample_count
        self._head: bytes | None = b""

    def rewrite(self, written: bytes) -> bytes:
        if self._head is None:
            return written
        head = self._head + written
        if len(head) < _STREAMINFO_END:
            self._head = head
            return b""
        self._head = None
        bits = int.from_bytes(head[21:26], "big") & ~(2**36 - 1) | self._sample_count
        return head[:21] + bits.to_bytes(5, "big") + head[26:]


class _Mp3Header:
    """Replaces the empty first frame, which the encoder writes at once, by the Info frame."""

    def __init__(self, plan: Plan) -> None:
        template, _ = _mp3_template(plan.sample_rate, plan.channels)
        self._head = info_frame(template, _mp3_lengths(plan))

    def rewrite(self, written: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + written[len(head) :]


def _mp3_lengths(plan: Plan) -> Lengths:
    template, frame_samples = _mp3_template(plan.sample_rate, plan.channels)
    return Lengths(plan.sample_count, frame_samples, len(template))


@cache
def _mp3_template(sample_rate: int, channels: int) -> tuple[bytes, int]:
    """Returns the Info frame of a file with one sample, and the samples per frame: 1152 in MPEG 1,
    half of that below 32 kHz.
    """
    file = BytesIO()
    with _open(file, "mp3", sample_rate, channels) as encoder:
        encoder.write(np.zeros((1, channels), np.int16))
    frame_samples = 1152 if sample_rate >= 32_000 else 576
    frames = Lengths(1, frame_samples, 1).frames + 1
    return file.getvalue()[: len(file.getvalue()) // frames], frame_samples
