"""Audio records of a journal, as numbers: when each packet was stamped, when it arrived, where its
record ends.

Only heads are read (docs/journal.md has the format): the bytes were checked by the sealer, and a
run has millions. PURE.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from streams.journal.records import MAGIC, MARKER

_HEAD = struct.Struct("<2sBBI")
_TIMES = struct.Struct("<qqH")
_CRC_BYTES = 4
_AUDIO = 4


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet: its timestamp and its arrival in microseconds since the epoch, its voice, the end
    of its record.
    """

    timestamp_us: int
    arrived_us: int
    voice: int
    end: int


def pcm_in(content: bytes) -> Iterator[Heard]:
    """Every audio record of a file, up to the first that is not whole. Raises `ValueError` where
    there is no record.
    """
    place = len(MAGIC)
    while place + _HEAD.size <= len(content):
        marker, kind, _flags, length = _HEAD.unpack_from(content, place)
        if marker != MARKER:
            raise ValueError(f"no record at byte {place}")
        end = place + _HEAD.size + length + _CRC_BYTES
        if end > len(content):
            return
        if kind == _AUDIO:
            timestamp_us, arrived_us, voice = _TIMES.unpack_from(content, place + _HEAD.size)
            yield Heard(timestamp_us, arrived_us, voice, end)
        place = end
