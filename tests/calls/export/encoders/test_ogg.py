"""Ogg pages: another serial number and its checksum, and nothing else."""

from __future__ import annotations

import struct
from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from calls.export.encoders.ogg import Pages, checksum

SERIAL = 0x0BAD_CAFE
BODIES = st.lists(st.lists(st.binary(max_size=255), max_size=4), min_size=1, max_size=5)
"""Pages, each a list of its segments."""


def bitwise_crc32(content: bytes) -> int:
    """Ogg's checksum (RFC 3533, section 6) one bit at a time, the highest bit of a byte first."""
    remainder = 0
    for byte in content:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = remainder << 1 ^ (0x1_04C1_1DB7 if remainder >> 31 else 0)
    return remainder


def page(number: int, segments: list[bytes], serial: int) -> bytes:
    """Returns a page of the stream, laid out as in RFC 3533, section 6."""
    head = b"OggS" + struct.pack("<BBQII", 0, 0, 960 * number, serial, number)
    body = bytes([len(segments), *map(len, segments)]) + b"".join(segments)
    return head + struct.pack("<I", bitwise_crc32(head + bytes(4) + body)) + body


def stream(bodies: list[list[bytes]], serial: int) -> bytes:
    return b"".join(page(number, segments, serial) for number, segments in enumerate(bodies))


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


class RenumberTests(TestCase):
    @given(BODIES, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
    def test_pages_get_the_serial_number_and_keep_everything_else(
        self, bodies: list[list[bytes]], before: int, after: int
    ) -> None:
        content = Pages(after).renumber(stream(bodies, before))
        self.assertEqual(content, stream(bodies, after))

    @given(BODIES, st.data())
    def test_a_page_is_returned_by_the_write_that_completes_it(
        self, bodies: list[list[bytes]], data: st.DataObject
    ) -> None:
        content, expected = stream(bodies, 1), stream(bodies, SERIAL)
        ends = {len(stream(bodies[:count], 1)) for count in range(len(bodies) + 1)}
        pages, start, returned = Pages(SERIAL), 0, b""
        while start < len(content):
            length = data.draw(st.integers(1, len(content) - start))
            returned += pages.renumber(content[start : start + length])
            start += length
            self.assertEqual(returned, expected[: max(end for end in ends if end <= start)])
        self.assertEqual(returned, expected)

    def test_a_page_without_its_segment_table_waits(self) -> None:
        content = page(0, [b"a" * 100, b"b" * 100], 1)
        pages = Pages(SERIAL)
        self.assertEqual(pages.renumber(content[:27]), b"")
        self.assertEqual(pages.renumber(content[27:28]), b"")
        self.assertEqual(pages.renumber(content[28:]), page(0, [b"a" * 100, b"b" * 100], SERIAL))

    def test_other_bytes_between_pages_are_a_defect_of_the_encoder(self) -> None:
        pages = Pages(SERIAL)
        with self.assertRaises(AssertionError):
            pages.renumber(page(0, [b"a"], 1) + bytes(27))

    def test_a_decoder_reads_the_same_audio_from_the_renumbered_file(self) -> None:
        content = opus_file()
        renumbered = Pages(SERIAL).renumber(content)
        self.assertEqual(renumbered[14:18], SERIAL.to_bytes(4, "little"))
        before, _rate = soundfile.read(BytesIO(content))
        after, _rate = soundfile.read(BytesIO(renumbered))
        np.testing.assert_array_equal(after, before)
