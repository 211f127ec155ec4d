"""Ogg pages with a serial number of our own (RFC 3533, section 6). PURE.

libsndfile draws the serial at random, so that no two files were alike; with one that follows from
the ETag the same export gives the same bytes, and parts of it that are fetched one by one fit
together.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_HEAD = 27
_SERIAL = slice(14, 18)
_CHECKSUM = slice(22, 26)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Pages:
    """Takes bytes of an Ogg stream as they come, gives whole pages renumbered."""

    def __init__(self, serial: int) -> None:
        self._serial = serial.to_bytes(4, "little")
        self._rest = b""

    def renumber(self, content: bytes) -> bytes:
        """The pages that `content` completes."""
        self._rest += content
        return b"".join(self._pages())

    def _pages(self) -> Iterator[bytes]:
        while (length := _page_length(self._rest)) is not None and len(self._rest) >= length:
            page, self._rest = bytearray(self._rest[:length]), self._rest[length:]
            page[_SERIAL] = self._serial
            page[_CHECKSUM] = bytes(4)
            page[_CHECKSUM] = checksum(page).to_bytes(4, "little")
            yield bytes(page)


def checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC-32: zlib's polynomial, but not reflected, from 0, without the final inversion."""
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reflected.to_bytes(4, "big").translate(_REVERSED), "little")


def _page_length(content: bytes) -> int | None:
    """Length of the page at the front; None where its head is not complete."""
    if len(content) < _HEAD or len(content) < _HEAD + content[26]:
        return None
    assert content.startswith(b"OggS"), "an Ogg stream is pages without anything between them"
    segments = content[26]
    return _HEAD + segments + sum(content[_HEAD : _HEAD + segments])
