"""Stored audio is returned bit-exact or refused as damaged."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.audio.codec import (
    HEADER_BYTES,
    DamagedAudio,
    announced,
    comment_of,
    decode,
    encode,
    pcm_hash,
    samples_of,
)
from tests.calls.rows import tone
from tests.streams.journals import flipped

PCM = st.binary(min_size=2, max_size=4000).map(lambda content: content[: len(content) // 2 * 2])
SPOKEN = bytes(range(256)) * 5  # any 640 samples


class RoundTrips(TestCase):
    @given(PCM, st.sampled_from([16000, 24000]))
    def test_any_pcm_is_restored_bit_by_bit(self, pcm: bytes, sample_rate: int) -> None:
        samples = decode(encode(pcm, sample_rate), sample_count=len(pcm) // 2, sha256=pcm_hash(pcm))
        self.assertEqual(pcm, samples.astype("<i2").tobytes())

    def test_samples_are_little_endian(self) -> None:
        self.assertEqual(
            [1, -2, -32768, 32767], samples_of(b"\x01\x00\xfe\xff\x00\x80\xff\x7f").tolist()
        )

    def test_the_hash_is_of_the_pcm_not_of_the_file(self) -> None:
        self.assertEqual(
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", pcm_hash(bytes(2))
        )

    def test_without_a_hash_only_the_length_is_checked(self) -> None:
        self.assertEqual(640, len(decode(encode(SPOKEN, 16000), sample_count=640)))


class DamagedObjects(TestCase):
    def test_content_that_is_not_flac_is_refused(self) -> None:
        for content in (b"", b"not audio at all", encode(SPOKEN, 16000)[:20]):
            with self.assertRaisesRegex(DamagedAudio, "cannot be decoded"):
                decode(content, sample_count=640)

    def test_another_length_is_refused(self) -> None:
        with self.assertRaisesRegex(DamagedAudio, r"announces \(640, 1\) instead of \(641, 1\)"):
            decode(encode(SPOKEN, 16000), sample_count=641)

    def test_other_audio_of_the_same_length_is_refused(self) -> None:
        with self.assertRaisesRegex(DamagedAudio, "hash"):
            decode(encode(bytes(1280), 16000), sample_count=640, sha256=pcm_hash(SPOKEN))

    def test_any_flipped_bit_is_detected_or_harmless(self) -> None:
        pcm = tone(0.05).astype("<i2").tobytes()
        content = encode(pcm, 16000)
        found = 0
        for bit in range(8 * len(content)):
            try:
                decoded = decode(
                    flipped(content, bit), sample_count=len(pcm) // 2, sha256=pcm_hash(pcm)
                )
            except DamagedAudio:
                found += 1
            else:  # a bit that does not affect the samples
                self.assertEqual(decoded.astype("<i2").tobytes(), pcm, bit)
        self.assertGreater(found, 4 * len(content))

    def test_no_memory_is_allocated_for_a_wrong_length(self) -> None:
        highest_bit_of_the_length = 8 * 21 + 3
        with self.assertRaisesRegex(DamagedAudio, "announces"):
            decode(flipped(encode(SPOKEN, 16000), highest_bit_of_the_length), sample_count=640)

    def test_a_truncated_object_is_refused(self) -> None:
        content = encode(SPOKEN, 16000)
        for broken in (content[: len(content) // 2], content[:-1]):
            with self.assertRaises(DamagedAudio):
                decode(broken, sample_count=640, sha256=pcm_hash(SPOKEN))


class Comments(TestCase):
    def test_a_comment_is_read_and_changes_no_sample(self) -> None:
        content = encode(SPOKEN, 16000, "of whom ü")
        self.assertEqual(comment_of(content), "of whom ü")
        decoded = decode(content, sample_count=640, sha256=pcm_hash(SPOKEN))
        self.assertEqual(decoded.astype("<i2").tobytes(), SPOKEN)
        self.assertEqual(announced(content[:HEADER_BYTES]), (640, 16000))

    def test_without_a_comment_it_is_empty(self) -> None:
        self.assertEqual(comment_of(encode(SPOKEN, 16000)), "")

    def test_content_that_is_not_flac_is_refused(self) -> None:
        with self.assertRaises(DamagedAudio):
            comment_of(b"not audio at all")


class Headers(TestCase):
    def test_length_and_rate_are_read(self) -> None:
        for seconds, rate in ((0.2, 16_000), (1.0, 24_000)):
            content = encode(tone(seconds, rate=rate).astype("<i2").tobytes(), rate)
            self.assertEqual(announced(content[:HEADER_BYTES]), (round(seconds * rate), rate))

    def test_anything_else_is_damaged_audio(self) -> None:
        content = encode(SPOKEN, 16000)
        stereo = bytearray(content[:HEADER_BYTES])
        stereo[20] |= 2
        for head in (
            b"",
            content[: HEADER_BYTES - 1],
            b"RIFF" + content[4:HEADER_BYTES],
            bytes(stereo),
        ):
            with self.assertRaises(DamagedAudio):
                announced(head)
