"""Packets of 20 ms, 16-bit little-endian mono, and the protocol of a sound that consists of them.
PURE.
"""

from __future__ import annotations

from typing import Protocol

PACKET_MS = 20
PACKET_US = PACKET_MS * 1000
PACKETS_PER_SECOND = 1000 // PACKET_MS
SAMPLE_RATES = (16000, 24000)  # Hz, all that ACS streams


class Sound(Protocol):
    """The audio of one participant in a call."""

    @property
    def packet_count(self) -> int: ...

    def packet(self, number: int) -> bytes:
        """Returns the PCM of packet `number`, 0 <= number < packet_count."""
        ...
