"""Ogg pages with a serial number that follows from the ETag (RFC 3533, section 6). PURE.

libsndfile uses a random serial number, which would make every file different. With a reproducible
one the same export gives the same bytes, and ranges of it that are fetched separately fit together.
"""

from __future__ import annotations

import zlib

_HEADER_BYTES = 27
_SERIAL = slice(14, 18)
_CHECKSUM = slice(22, 26)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Pages:
    """Splits an Ogg stream into pages and gives them another serial number."""

    def __init__(self, serial: int) -> None:
        self._serial = serial.to_bytes(4, "little")
        self._rest = b""

    def renumber(self, content: bytes) -> bytes:
        """Returns the renumbered pages that `content` completes."""
        self._rest += content
        pages = []
        while (length := _page_length(self._rest)) is not None and len(self._rest) >= length:
            page, self._rest = bytearray(self._rest[:length]), self._rest[length:]
            page[_SERIAL] = self._serial
            page[_CHECKSUM] = bytes(4)
            page[_CHECKSUM] = checksum(page).to_bytes(4, "little")
            pages.append(page)
        return b"".join(pages)


def checksum(page: bytes | bytearray) -> int:
    """Returns Ogg's CRC-32: zlib's polynomial, not reflected, from 0, without the final
    inversion.
    """
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reflected.to_bytes(4, "big").translate(_REVERSED), "little")


def _page_length(content: bytes) -> int | None:
    """Returns the length of the first page in bytes, None if its header is incomplete."""
    if len(content) < _HEADER_BYTES or len(content) < _HEADER_BYTES + content[26]:
        return None
    assert content.startswith(b"OggS"), "an Ogg stream consists of pages with nothing between them"
    segments = content[26]
    return _HEADER_BYTES + segments + sum(content[_HEADER_BYTES : _HEADER_BYTES + segments])
