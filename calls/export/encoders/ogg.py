"""Ogg pages of packets (RFC 3533, section 6). PURE.

libsndfile uses a random serial number, which would make every file different. With a reproducible
one the same export gives the same bytes, and ranges of it that are fetched separately fit together.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

HEADER_BYTES = 27
MAX_SEGMENTS = 255
"""A page has so many segments at most; each but the last of a packet has 255 bytes."""

BEGIN, END = 2, 4
"""Flags of the first and of the last page of a stream."""

_CHECKSUM = slice(22, 26)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def cost(size: int) -> int:
    """Returns the bytes that a packet of `size` bytes takes in a page, with its segment table."""
    return size + size // 255 + 1


def page(packets: Sequence[bytes], serial: int, number: int, position: int, flags: int) -> bytes:
    """Returns a page of whole packets. `position` is the granule position at its end."""
    lacing = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets
    )
    assert len(lacing) <= MAX_SEGMENTS, "the packets fit in a page"
    head = struct.pack("<4sBBQII", b"OggS", 0, flags, position, serial, number)
    content = bytearray(b"".join([head, bytes(4), bytes([len(lacing)]), lacing, *packets]))
    content[_CHECKSUM] = checksum(content).to_bytes(4, "little")
    return bytes(content)


def packets_of(content: bytes) -> Iterator[bytes]:
    """Yields the packets of a stream, given all its pages."""
    start, packet = 0, b""
    while start < len(content):
        assert content.startswith(b"OggS", start), "a stream consists of pages"
        body = start + HEADER_BYTES + content[start + HEADER_BYTES - 1]
        for length in content[start + HEADER_BYTES : body]:
            packet += content[body : body + length]
            body += length
            if length < 255:
                yield packet
                packet = b""
        start = body


def checksum(content: bytes | bytearray) -> int:
    """Returns Ogg's CRC-32: zlib's polynomial, not reflected, from 0, without the final
    inversion.
    """
    reflected = zlib.crc32(content.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reflected.to_bytes(4, "big").translate(_REVERSED), "little")
