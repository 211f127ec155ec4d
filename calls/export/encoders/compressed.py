"""Samples -> FLAC, MP3 or Opus, sent while it is encoded.

libsndfile writes a file front to back and returns to the front at the end, to enter what it knows
by then. What has been sent cannot be entered any more, so it is entered before: the number of
samples in FLAC's STREAMINFO, lengths and padding in MP3's Info frame. What is still unknown then
(FLAC's MD5) is marked as unknown, as the formats provide for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import cache
from io import BytesIO
from itertools import islice

import numpy as np
import soundfile
from numpy.typing import NDArray

from calls.audio.codec import Samples
from calls.export.encoders.mp3 import Lengths, info_frame
from calls.export.encoders.ogg import Pages
from calls.export.plan import Plan, etag_of
from calls.export.rendering import BLOCK_SECONDS, Renderer

_SUBTYPES = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}
_MP3_COMPRESSION = 0.6
"""A constant 64 kbit/s at 16 and 24 kHz: transparent for speech, and its size is known before it is
encoded.
"""
_STREAMINFO_END = 42
_FIRST_SECONDS = {"mp3": 1, "opus": 1}
"""What these are given at once of the first block, which has ten: they take 4 and 28 ms for a
second of a track. Of every block that would cost a third of MP3's speed.
"""

Rewrite = Callable[[bytes], bytes]
"""Bytes as the encoder writes them -> bytes as they are sent. Called with every write, in order."""


def size_of(plan: Plan) -> int | None:
    """The size of the whole file in bytes where it is known beforehand."""
    return _mp3_lengths(plan).size if plan.format.name == "mp3" else None


def pieces(plan: Plan, renderer: Renderer) -> Generator[bytes, None, None]:
    """The file from its beginning."""
    rewrite = _rewriting(plan)
    outlet = _Outlet()
    with closing(_open(outlet, plan.format.name, plan.sample_rate, plan.channels)) as encoder:
        for part in _parts(plan, renderer):
            encoder.write(_as_written(part, plan))
            if sendable := b"".join(rewrite(written) for written in outlet.take()):
                yield sendable
    if sendable := b"".join(rewrite(written) for written in outlet.take()):
        yield sendable


def _parts(plan: Plan, renderer: Renderer) -> Iterator[Samples]:
    """Blocks, the first one in pieces where the encoder is slow, so that the first byte does not
    wait for it.
    """
    blocks = renderer.blocks(plan.first, plan.last)
    step = _FIRST_SECONDS.get(plan.format.name, BLOCK_SECONDS) * plan.sample_rate
    for first in islice(blocks, 1):
        yield from (first[start : start + step] for start in range(0, len(first), step))
    yield from blocks


def _as_written(part: Samples, plan: Plan) -> Samples | NDArray[np.float32]:
    """Full scale ±1 for MP3, where libsndfile 1.2.2 loses half of what it is given as 16 bits in
    two channels and sends what lay in memory instead (libsndfile pull request 1106).
    """
    return np.divide(part, 32_768, dtype=np.float32) if plan.format.name == "mp3" else part


class _Outlet:
    """The file that libsndfile writes to: keeps what is appended until it is taken, lets go what is
    written over.
    """

    def __init__(self) -> None:
        self._place = self._end = 0
        self._appended: list[bytes] = []

    def take(self) -> list[bytes]:
        taken, self._appended = self._appended, []
        return taken

    def write(self, content: bytes) -> int:
        if self._place == self._end:
            self._appended.append(bytes(content))
            self._end += len(content)
        self._place += len(content)
        assert self._place <= self._end, (
            "an encoder appends, or writes over what is there; never both at once"
        )
        return len(content)

    def read(self, _size: int = -1) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = (0, self._place, self._end)[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place


def _open(
    file: _Outlet | BytesIO, name: str, sample_rate: int, channels: int
) -> soundfile.SoundFile:
    container, subtype = _SUBTYPES[name]
    options = (
        {"bitrate_mode": "CONSTANT", "compression_level": _MP3_COMPRESSION} if name == "mp3" else {}
    )
    return soundfile.SoundFile(
        file, "w", sample_rate, channels, subtype=subtype, format=container, **options
    )


def _rewriting(plan: Plan) -> Rewrite:
    if plan.format.name == "flac":
        return _FlacHead(plan.sample_count).rewrite
    if plan.format.name == "mp3":
        return _Mp3Head(plan).rewrite
    return Pages(int(etag_of(plan).strip('"')[:8], 16)).renumber


class _FlacHead:
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


class _Mp3Head:
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
    """The Info frame of an almost empty file, and the samples of a frame: 1152 in MPEG 1, half of
    it below 32 kHz.
    """
    file = BytesIO()
    with _open(file, "mp3", sample_rate, channels) as encoder:
        encoder.write(np.zeros((1, channels), np.int16))
    frame_samples = 1152 if sample_rate >= 32_000 else 576
    frames = Lengths(1, frame_samples, 1).frames + 1
    return file.getvalue()[: len(file.getvalue()) // frames], frame_samples
