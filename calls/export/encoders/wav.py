"""WAV: a header that is known before any audio is read, and the samples behind any byte range.
PURE.

Layout: RIFF with one `fmt ` and one `data` member ("Multimedia Programming Interface and Data
Specifications 1.0", 1991); more than two channels take WAVE_FORMAT_EXTENSIBLE without speaker
positions; from 4 GiB on it is RF64 with the sizes in `ds64` (EBU Tech 3306).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

from calls.audio.codec import Samples
from calls.export.plan import Plan

_BITS = 16
_BYTES = _BITS // 8
_PCM, _EXTENSIBLE = 1, 0xFFFE
_PCM_SUBFORMAT = UUID("00000001-0000-0010-8000-00aa00389b71").bytes_le
_UNKNOWN = 0xFFFF_FFFF
"""A 32-bit size whose value is in `ds64`."""

Blocks = Callable[[int, int], Iterable[Samples]]
"""Returns samples [first, last) of the axis in blocks of shape (samples, channels)."""


def header(channels: int, sample_rate: int, sample_count: int) -> bytes:
    """Returns everything before the samples. `sample_count` is per channel."""
    across = channels * _BYTES
    body = sample_count * across
    tag = _PCM if channels <= 2 else _EXTENSIBLE
    fields = struct.pack("<HHIIHH", tag, channels, sample_rate, sample_rate * across, across, _BITS)
    if tag == _EXTENSIBLE:
        fields += struct.pack("<HHI", 22, _BITS, 0) + _PCM_SUBFORMAT
    format_ = _member(b"fmt ", fields)
    riff_size = 4 + len(format_) + 8 + body
    if riff_size <= _UNKNOWN - 1:
        return _riff(b"RIFF", riff_size) + format_ + b"data" + struct.pack("<I", body)
    sizes = _member(b"ds64", struct.pack("<QQQI", riff_size + 8 + 28, body, sample_count, 0))
    return _riff(b"RF64", _UNKNOWN) + sizes + format_ + b"data" + struct.pack("<I", _UNKNOWN)


def size_of(plan: Plan) -> int:
    """Returns the size of the whole file in bytes."""
    head = header(plan.channels, plan.sample_rate, plan.sample_count)
    return len(head) + plan.sample_count * plan.channels * _BYTES


def chunks(plan: Plan, blocks: Blocks, first_byte: int, last_byte: int) -> Iterator[bytes]:
    """Yields bytes [first_byte, last_byte) of the file; only their samples are rendered."""
    head = header(plan.channels, plan.sample_rate, plan.sample_count)
    # Sent together with the first samples, so that an error in them shows before anything is sent.
    lead = head[first_byte:last_byte]
    across = plan.channels * _BYTES  # bytes of one sample over all channels
    begin, end = max(first_byte - len(head), 0), max(last_byte - len(head), 0)
    first, last = begin // across, -(-end // across)
    position = first * across
    for block in blocks(plan.first + first, plan.first + last):
        encoded = block.astype("<i2", copy=False).tobytes()
        yield lead + encoded[max(begin - position, 0) : end - position]
        lead = b""
        position += len(encoded)
    if lead:
        yield lead


def _riff(kind: bytes, size: int) -> bytes:
    return kind + struct.pack("<I", size) + b"WAVE"


def _member(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body
