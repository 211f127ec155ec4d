"""Audio records of a journal as numbers: timestamp and arrival of each packet, and the end of its
record.

Only headers are read (docs/journal.md describes the format): the sealer has checked the content,
and a run has millions of records. PURE.
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
class PacketRecord:
    """One packet: timestamp and arrival in microseconds since the epoch, voice, and record end."""

    timestamp_us: int
    arrived_us: int
    voice: int
    end: int


def packet_records_in(content: bytes) -> Iterator[PacketRecord]:
    """Yields every audio record of a file, up to the first incomplete one.

    Raises:
        ValueError: there is no record.
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
            yield PacketRecord(timestamp_us, arrived_us, voice, end)
        place = end
