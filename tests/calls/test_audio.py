"""What is stored comes back bit by bit, or is refused as damaged: never something else."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.audio import DamagedAudio, decode, encode, pcm_hash, samples_of

PCM = st.binary(min_size=2, max_size=4000).map(lambda content: content[: len(content) // 2 * 2])
SPOKEN = bytes(range(256)) * 5  # 640 samples of something


class Stored(TestCase):
    @given(PCM, st.sampled_from([16000, 24000]))
    def test_any_pcm_comes_back_bit_by_bit(self, pcm: bytes, sample_rate: int) -> None:
        samples = decode(encode(pcm, sample_rate), sample_count=len(pcm) // 2, sha256=pcm_hash(pcm))
        self.assertEqual(pcm, samples.astype("<i2").tobytes())

    def test_samples_are_little_endian(self) -> None:
        self.assertEqual([1, -2, -32768, 32767], samples_of(b"\x01\x00\xfe\xff\x00\x80\xff\x7f").tolist())

    def test_the_hash_is_that_of_the_pcm_and_not_of_the_file(self) -> None:
        self.assertEqual("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", pcm_hash(bytes(2)))

    def test_without_a_hash_the_length_alone_is_held_against_the_row(self) -> None:
        self.assertEqual(640, len(decode(encode(SPOKEN, 16000), sample_count=640)))


class Damaged(TestCase):
    def test_what_is_no_flac_is_refused(self) -> None:
        for content in (b"", b"not audio at all", encode(SPOKEN, 16000)[:20]):
            with self.assertRaisesRegex(DamagedAudio, "cannot be decoded"):
                decode(content, sample_count=640)

    def test_another_length_is_refused(self) -> None:
        with self.assertRaisesRegex(DamagedAudio, r"shape \(640,\) instead of \(641,\)"):
            decode(encode(SPOKEN, 16000), sample_count=641)

    def test_other_audio_of_the_same_length_is_refused(self) -> None:
        with self.assertRaisesRegex(DamagedAudio, "hash"):
            decode(encode(bytes(1280), 16000), sample_count=640, sha256=pcm_hash(SPOKEN))
