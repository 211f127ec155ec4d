"""The Info frame and the sizes of an MP3, compared with files that LAME has finished itself."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from calls.export.encoders.mp3 import Frames, Lengths, checksum, info_frame

# Samples and bytes of a frame at 64 kbit/s (at 48 and 32 kHz LAME takes 160): ISO/IEC
# 11172-3, 2.4.3.1, half of both below 32 kHz.
FRAMES = {
    (8_000, 1): (576, 288),
    (16_000, 1): (576, 288),
    (24_000, 2): (576, 192),
    (32_000, 1): (1_152, 720),
    (48_000, 2): (1_152, 480),
}
COUNTS = (1, 575, 576, 577, 1_152, 1_153, 40_000)
SEEK_TABLE = slice(16, 116)
"""All offsets count from `Info`."""
LAME = 120
PADDING = slice(LAME + 21, LAME + 24)
CHECKSUMS = slice(LAME + 32, LAME + 36)


@cache
def lame_file(rate: int, channels: int, count: int) -> bytes:
    """Returns an MP3 of a tone, with the Info frame that LAME writes at the end."""
    tone = np.sin(np.arange(count) / 7).astype(np.float32) / 2
    file = BytesIO()
    with soundfile.SoundFile(
        *(file, "w", rate, channels, "MPEG_LAYER_III"),
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=0.6,
    ) as encoder:
        encoder.write(np.stack([tone] * channels, axis=1))
    return file.getvalue()


def bitwise_crc16(content: bytes) -> int:
    """Polynomial division by x^16 + x^15 + x^2 + 1, the lowest bit of each byte first."""
    remainder = 0
    for bit in [byte >> place & 1 for byte in content for place in range(8)] + [0] * 16:
        remainder = remainder << 1 | bit
        if remainder >> 16:
            remainder ^= 0x1_8005
    return int(f"{remainder:016b}"[::-1], 2)


class LengthTests(TestCase):
    @given(st.integers(0, 10**10), st.sampled_from([576, 1_152]))
    def test_padding_fills_the_last_frame_and_covers_the_overlap_of_the_decoder(
        self, count: int, frame_samples: int
    ) -> None:
        lengths = Lengths(count, frame_samples, 288)
        self.assertEqual((576 + count + lengths.padding) % frame_samples, 0)
        self.assertGreaterEqual(lengths.padding, 576)
        self.assertLess(lengths.padding, 576 + frame_samples)

    def test_sizes_are_those_of_the_files_that_lame_writes(self) -> None:
        for (rate, channels), (frame_samples, frame_bytes) in FRAMES.items():
            for count in COUNTS:
                with self.subTest(rate=rate, channels=channels, count=count):
                    content = lame_file(rate, channels, count)
                    lengths = Lengths(count, frame_samples, frame_bytes)
                    self.assertEqual(lengths.size, len(content))
                    # Every frame begins with the same eleven bits and version.
                    starts = [content[at : at + 2] for at in range(0, len(content), frame_bytes)]
                    self.assertEqual(starts, [content[:2]] * (lengths.frames + 1))

    def test_a_file_in_sections_is_larger_by_its_joins(self) -> None:
        one = Lengths(100 * 576, 576, 192)
        for section_frames, joins in ((1_000, 0), (one.frames, 0), (one.frames - 1, 1), (10, 10)):
            many = Lengths(100 * 576, 576, 192, section_frames, join_bytes=288)
            self.assertEqual(many.size, one.size + joins * 288)
            self.assertEqual((many.frames, many.padding), (one.frames, one.padding))


class JoinTests(TestCase):
    """Headers: MPEG 2 at 64 kbit/s and 24 kHz, mono and stereo; MPEG 1 at 128 and 48 kHz."""

    mono = Frames(bytes.fromhex("fff384c0"), 576, 192)
    stereo = Frames(bytes.fromhex("fff38440"), 576, 192)
    mpeg1_mono = Frames(bytes.fromhex("fffb94c0"), 1_152, 384)
    mpeg1_stereo = Frames(bytes.fromhex("fffb9440"), 1_152, 384)

    def test_the_last_frame_of_a_section_has_the_next_rate_with_enough_room(self) -> None:
        """From 64 to 160 kbit/s, and from 128 to 320: 255 and 511 bytes have to fit."""
        self.assertEqual((self.mono.join_bytes, self.mpeg1_mono.join_bytes), (288, 576))
        self.assertEqual(self.mono.widened(self.mono.header + b"rest").hex()[:8], "fff3e4c0")
        self.assertEqual(self.mpeg1_mono.widened(self.mpeg1_mono.header).hex(), "fffbe4c0")
        self.assertTrue(self.mono.widened(self.mono.header + b"rest").endswith(b"rest"))

    def test_a_join_ends_with_the_bytes_before_the_frame_without_headers(self) -> None:
        """The side information has 9 and 17 bytes, and 17 and 32 in MPEG 1; it begins with how far
        back the audio lies, in 8 bits or 9.
        """
        for frames, side, begin in (
            (self.mono, 9, bytes([5])),
            (self.stereo, 17, bytes([5])),
            (self.mpeg1_mono, 17, bytes([2, 0x80])),
            (self.mpeg1_stereo, 32, bytes([2, 0x80])),
        ):
            before = [frames.header + bytes(side) + body for body in (b"abc", b"de", b"f")]
            join = frames.join(before, frames.header + begin)
            self.assertEqual(join, b"bcdef".rjust(frames.join_bytes, b"\0"))

    def test_a_frame_that_begins_at_its_place_needs_nothing(self) -> None:
        join = self.mono.join([self.mono.header + bytes(9) + b"abc"], self.mono.header + bytes(9))
        self.assertEqual(join, bytes(288))

    def test_audio_that_nobody_wrote_is_a_defect_of_the_encoder(self) -> None:
        with self.assertRaises(AssertionError):
            self.mono.join([], self.mono.header + bytes([1]))

    def test_frames_with_a_checksum_are_a_defect_of_the_encoder(self) -> None:
        with self.assertRaises(AssertionError):
            _ = Frames(bytes.fromhex("fff284c0"), 576, 192).join_bytes


class InfoFrameTests(TestCase):
    def test_it_is_the_frame_that_lame_writes_except_seek_table_and_checksums(self) -> None:
        for (rate, channels), (frame_samples, frame_bytes) in FRAMES.items():
            template = lame_file(rate, channels, 1)[:frame_bytes]
            for count in COUNTS:
                with self.subTest(rate=rate, channels=channels, count=count):
                    expected = bytearray(lame_file(rate, channels, count)[:frame_bytes])
                    frame = info_frame(template, Lengths(count, frame_samples, frame_bytes))
                    tag = expected.index(b"Info")
                    for part in (SEEK_TABLE, CHECKSUMS):
                        span = slice(tag + part.start, tag + part.stop)
                        expected[span] = frame[span]
                    self.assertEqual(frame, bytes(expected))

    def test_the_seek_table_is_a_straight_line_close_to_that_of_lame(self) -> None:
        expected = lame_file(16_000, 1, 640_000)[:288]
        frame = info_frame(lame_file(16_000, 1, 1)[:288], Lengths(640_000, 576, 288))
        tag = frame.index(b"Info")
        table = frame[tag:][SEEK_TABLE]
        self.assertEqual((table[0], table[25], table[50], table[75]), (0, 64, 128, 192))
        for ours, theirs in zip(table, expected[tag:][SEEK_TABLE], strict=True):
            self.assertAlmostEqual(ours, theirs, delta=2)

    def test_delay_and_padding_are_twelve_bits_each(self) -> None:
        lengths = Lengths(1_000, 576, 288)
        frame = info_frame(lame_file(16_000, 1, 1)[:288], lengths)
        packed = int.from_bytes(frame[frame.index(b"Info") :][PADDING], "big")
        self.assertEqual(divmod(packed, 4_096), (576, 4 * 576 - 1_000 - 576))

    def test_the_tag_ends_with_the_checksum_of_everything_before_it(self) -> None:
        frame = info_frame(lame_file(24_000, 2, 1)[:192], Lengths(40_000, 576, 192))
        end = frame.index(b"Info") + CHECKSUMS.stop
        self.assertEqual(
            int.from_bytes(frame[end - 2 : end], "big"), bitwise_crc16(frame[: end - 2])
        )

    def test_a_decoder_finds_the_number_of_samples_in_it(self) -> None:
        content = lame_file(16_000, 1, 40_000)
        frame = info_frame(lame_file(16_000, 1, 1)[:288], Lengths(40_000, 576, 288))
        samples, _rate = soundfile.read(BytesIO(frame + content[288:]))
        self.assertEqual(len(samples), 40_000)

    def test_a_size_from_four_gibibytes_on_is_written_as_the_largest(self) -> None:
        lengths = Lengths(576 * 2**24, 576, 288)
        self.assertGreaterEqual(lengths.size, 2**32)
        frame = info_frame(lame_file(16_000, 1, 1)[:288], lengths)
        tag = frame.index(b"Info")
        for place in (tag + 12, tag + LAME + 28):
            self.assertEqual(frame[place : place + 4], b"\xff\xff\xff\xff")


class ChecksumTests(TestCase):
    def test_it_has_the_check_value_of_the_catalogue(self) -> None:
        self.assertEqual(checksum(b"123456789"), 0xBB3D)  # CRC-16/ARC

    @given(st.binary(max_size=300))
    def test_it_is_the_remainder_of_a_polynomial_division(self, content: bytes) -> None:
        self.assertEqual(checksum(content), bitwise_crc16(content))

    def test_it_is_the_one_that_lame_writes(self) -> None:
        frame = lame_file(24_000, 2, 40_000)[:192]
        end = frame.index(b"Info") + CHECKSUMS.stop
        self.assertEqual(checksum(frame[: end - 2]), int.from_bytes(frame[end - 2 : end], "big"))
