"""Padding of Opus packets: the announced size, and the same audio."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from calls.export.encoders.ogg import cost, packets_of, page
from calls.export.encoders.opus import padded, padded_sizes

PAGE = 10
"""Packets in a page of these tests."""


@cache
def packets(channels: int) -> tuple[bytes, ...]:
    """Returns the packets of half a second of noise, the two headers first."""
    noise = np.random.default_rng(1).normal(0, 0.1, (8_000, channels))
    file = BytesIO()
    soundfile.write(file, noise, 16_000, format="OGG", subtype="OPUS")
    return tuple(packets_of(file.getvalue()))


def decoded(heads: list[bytes], body: list[bytes]) -> np.ndarray:
    count = (len(body) + PAGE - 1) // PAGE
    pages = [page([head], 1, number, 0, 0 if number else 2) for number, head in enumerate(heads)]
    for index in range(count):
        part = body[index * PAGE : (index + 1) * PAGE]
        position = (index * PAGE + len(part)) * 960
        pages.append(page(part, 1, index + 2, position, 4 if index == count - 1 else 0))
    samples, _rate = soundfile.read(BytesIO(b"".join(pages)))
    return np.asarray(samples)


class SizeTests(TestCase):
    @given(st.lists(st.integers(1, 700), min_size=2, max_size=60), st.integers(0, 90_000))
    def test_they_take_the_total_and_no_packet_shrinks_or_is_too_large(
        self, sizes: list[int], more: int
    ) -> None:
        total = sum(map(cost, sizes)) + more
        found = padded_sizes(sizes, total, most=1_274)
        if found is None:  # the total is one that no sizes take, or more than all can
            self.assertGreater(total, len(sizes) * cost(1_274) - 300)
            return
        self.assertEqual(sum(map(cost, found)), total)
        for before, after in zip(sizes, found, strict=True):
            self.assertLessEqual(before, after)
            self.assertLessEqual(after, 1_274)

    def test_the_smallest_are_padded_first(self) -> None:
        self.assertEqual(padded_sizes([10, 90, 30], 60 + 90 + 60 + 3, most=254), [60, 90, 60])

    def test_the_announced_mean_always_fits_for_equal_packets(self) -> None:
        for size in (3, 58, 253, 254, 255, 256, 509, 510):
            self.assertEqual(padded_sizes([3] * 50, 50 * cost(size), 1_274), [size] * 50)

    def test_a_total_that_is_too_small_or_a_packet_too_large_is_impossible(self) -> None:
        self.assertIsNone(padded_sizes([10, 10], 21, most=100))
        self.assertIsNone(padded_sizes([10, 101], 200, most=100))
        self.assertIsNone(padded_sizes([10, 10], 1_000, most=100))

    def test_a_single_packet_cannot_take_one_byte_more_than_254(self) -> None:
        self.assertIsNone(padded_sizes([10], 256, most=1_000))
        self.assertEqual(padded_sizes([10, 10], 256 + 11, most=1_000), [133, 132])


class PaddingTests(TestCase):
    def test_a_decoder_hears_the_same(self) -> None:
        """One stream, two channels in one, several streams, and one stream for each channel."""
        for channels in (1, 2, 3, 5, 12):
            head, tags, *body = packets(channels)
            streams = head[19] if head[18] else 1
            expected = decoded([head, tags], body)
            for more in (1, 2, 3, 255, 256, 257, 300, 600):
                with self.subTest(channels=channels, more=more):
                    longer = [padded(each, len(each) + more, streams) for each in body]
                    self.assertEqual(
                        {len(b) - len(a) for a, b in zip(body, longer, strict=True)}, {more}
                    )
                    np.testing.assert_array_equal(decoded([head, tags], longer), expected)

    def test_without_more_bytes_it_is_unchanged(self) -> None:
        self.assertEqual(padded(b"\x08ab", 3), b"\x08ab")

    def test_packets_of_every_code_keep_their_frames(self) -> None:
        """RFC 6716, section 3.2: code 3 has a count, the flag 0x40 and the length of the padding;
        0x80 says that the lengths of the frames follow.
        """
        for packet, expected in (
            (b"\x08ab", b"\x0b\x41\x01ab\0"),
            (b"\x09abcd", b"\x0b\x42\x01abcd\0"),
            (b"\x0a\x01abcd", b"\x0b\xc2\x01\x01abcd\0"),
            (b"\x0b\x03abc", b"\x0b\x43\x02abc\0\0"),
        ):
            self.assertEqual(padded(packet, len(packet) + 3), expected)

    def test_padding_of_an_encoder_is_a_defect(self) -> None:
        with self.assertRaises(AssertionError):
            padded(b"\x0b\x41\x00a", 8)

    def test_the_streams_before_the_last_are_unchanged(self) -> None:
        long = b"\x08\xfc\x01" + bytes(256)  # 252 + 4 * 1 bytes
        for before in (b"\x08\x02xy", long):
            self.assertEqual(
                padded(before + b"\x08ab", len(before) + 4, streams=2), before + b"\x0b\x01ab"
            )

    def test_several_frames_in_a_stream_before_the_last_are_a_defect(self) -> None:
        with self.assertRaises(AssertionError):
            padded(b"\x09\x01ab\x08c", 9, streams=2)
