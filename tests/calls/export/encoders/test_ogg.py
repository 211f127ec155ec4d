"""Ogg pages: written as libogg writes them, and read back."""

from __future__ import annotations

import struct
from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from calls.export.encoders.ogg import checksum, cost, packets_of, page

SERIAL = 0x0BAD_CAFE
PACKETS = st.lists(st.binary(max_size=1_000), min_size=1, max_size=50)


def bitwise_crc32(content: bytes) -> int:
    """Ogg's checksum (RFC 3533, section 6) one bit at a time, the highest bit of a byte first."""
    remainder = 0
    for byte in content:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = remainder << 1 ^ (0x1_04C1_1DB7 if remainder >> 31 else 0)
    return remainder


def opus_file() -> bytes:
    file = BytesIO()
    tone = np.sin(np.arange(48_000) / 9)
    soundfile.write(file, tone, 16_000, format="OGG", subtype="OPUS")
    return file.getvalue()


class ChecksumTests(TestCase):
    @given(st.binary(max_size=300))
    def test_it_is_the_one_that_is_computed_bit_by_bit(self, content: bytes) -> None:
        self.assertEqual(checksum(content), bitwise_crc32(content))

    def test_it_is_the_one_that_libogg_writes(self) -> None:
        first = bytearray(opus_file()[: 27 + 1 + 19])  # OpusHead, 19 bytes in one segment
        written = int.from_bytes(first[22:26], "little")
        first[22:26] = bytes(4)
        self.assertEqual(checksum(first), written)


class PageTests(TestCase):
    def test_it_is_laid_out_as_in_rfc_3533(self) -> None:
        content = page([b"a" * 255, b"bc"], SERIAL, number=7, position=960, flags=4)
        head = b"OggS" + struct.pack("<BBQII", 0, 4, 960, SERIAL, 7)
        body = bytes([3, 255, 0, 2]) + b"a" * 255 + b"bc"
        crc = struct.pack("<I", bitwise_crc32(head + bytes(4) + body))
        self.assertEqual(content, head + crc + body)

    def test_the_pages_of_libogg_are_written_alike(self) -> None:
        content = opus_file()
        serial = int.from_bytes(content[14:18], "little")
        head, tags, *_ = packets_of(content)
        ours = page([head], serial, 0, 0, 2) + page([tags], serial, 1, 0, 0)
        self.assertEqual(content[: len(ours)], ours)

    @given(PACKETS)
    def test_packets_are_read_back_and_take_what_they_cost(self, packets: list[bytes]) -> None:
        pages = [page(packets[at : at + 25], SERIAL, at, at, 0) for at in range(0, 50, 25)]
        self.assertEqual(list(packets_of(b"".join(pages))), packets)
        self.assertEqual(len(b"".join(pages)), 2 * 27 + sum(cost(len(each)) for each in packets))

    def test_a_packet_that_continues_on_the_next_page_is_read_too(self) -> None:
        pages = [page([bytes(510)], SERIAL, 0, 0, 0), page([b"end"], SERIAL, 1, 0, 0)]
        # Without its last segment of zero bytes the first packet has not ended.
        first = pages[0][:26] + bytes([2, 255, 255]) + pages[0][30:]
        self.assertEqual(list(packets_of(first + pages[1])), [bytes(510) + b"end"])

    def test_a_page_holds_255_segments(self) -> None:
        self.assertEqual(len(page([bytes(254 * 255)], SERIAL, 0, 0, 0)), 27 + 255 + 254 * 255)
        with self.assertRaises(AssertionError):
            page([bytes(255 * 255)], SERIAL, 0, 0, 0)

    def test_other_bytes_between_pages_are_a_defect_of_the_encoder(self) -> None:
        with self.assertRaises(AssertionError):
            list(packets_of(page([b"a"], SERIAL, 0, 0, 0) + bytes(27)))
