"""WAV, FLAC, MP3 and Opus: other software reads the sealed audio from them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from unittest import TestCase

import numpy as np
import soundfile
from django.test import tag
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.audio.codec import Samples
from calls.export.encoders import flac, mp3, sections, wav
from calls.export.encoders.mp3_file import Mp3File
from calls.export.encoders.opus_file import OpusFile
from calls.export.encoders.sections import SectionedFile
from calls.export.errors import WrongParameter
from calls.export.formats import FORMATS, Layout
from calls.export.plan import Plan
from calls.export.rendering import Renderer
from tests.calls.sealed import Sealed


def noise(count: int, seed: int = 0) -> Samples:
    values: Samples = np.random.default_rng(seed).integers(-20_000, 20_000, count, dtype=np.int16)
    return values


def tone(count: int, rate: int, hertz: float = 300) -> Samples:
    values: Samples = np.round(9_000 * np.sin(2 * np.pi * hertz * np.arange(count) / rate)).astype(
        np.int16
    )
    return values


def sweep(count: int, rate: int) -> Samples:
    """From 300 to 3,000 Hz: unlike a tone it matches itself only unshifted, also at 48 kHz."""
    seconds = np.arange(count) / rate
    phase = 2 * np.pi * (300 * seconds + (3_000 - 300) * seconds**2 / (2 * count / rate))
    values: Samples = np.round(9_000 * np.sin(phase)).astype(np.int16)
    return values


def hum(count: int, seed: int) -> Samples:
    """Noise below 2 kHz at 16 kHz, like voices: lossy formats keep its shape."""
    low = np.convolve(noise(count, seed), np.hanning(8) / 4, "same")
    values: Samples = np.round(low / 3).astype(np.int16)
    return values


def file_of(sealed: Sealed, plan: Plan) -> bytes:
    return b"".join(chunks_of(sealed, plan))


def chunks_of(sealed: Sealed, plan: Plan) -> Iterator[bytes]:
    renderer = Renderer(plan, sealed.read)
    if plan.format.name == "wav":
        return wav.chunks(plan, renderer.blocks, 0, wav.size_of(plan))
    if plan.format.name == "flac":
        return flac.chunks(plan, renderer.all_blocks())
    file = sectioned(plan)
    return sections.chunks(file, plan, renderer.blocks, 0, sections.size_of(file))


def sectioned(plan: Plan) -> SectionedFile:
    return Mp3File(plan) if plan.format.name == "mp3" else OpusFile(plan)


def decoded(content: bytes) -> tuple[Samples, int]:
    samples, rate = soundfile.read(BytesIO(content), dtype="int16", always_2d=True)
    return samples, rate


@tag("once")
class LosslessTests(TestCase):
    def test_tracks_are_bit_exact_in_wav_and_flac(self) -> None:
        for channels in (1, 2, 3, 8):
            tracks = [noise(40_000, seed) for seed in range(channels)]
            sealed = Sealed([[(0, track)] for track in tracks])
            for name in ("wav", "flac"):
                with self.subTest(name, channels=channels):
                    samples, rate = decoded(file_of(sealed, sealed.plan(name)))
                    self.assertEqual(rate, 16_000)
                    np.testing.assert_array_equal(samples, np.stack(tracks, axis=1))

    def test_missing_time_is_digital_silence(self) -> None:
        sealed = Sealed([[(0, noise(100)), (300, noise(100))], [(150, noise(400))]])
        samples, _ = decoded(file_of(sealed, sealed.plan("flac")))
        self.assertEqual(samples[100:300, 0].tolist(), [0] * 200)
        self.assertEqual(samples[400:, 0].tolist(), [0] * 150)
        self.assertEqual(samples[:150, 1].tolist(), [0] * 150)

    def test_a_mix_beyond_full_scale_is_clipped_and_does_not_wrap(self) -> None:
        loud = np.full(100, 30_000, np.int16)
        sealed = Sealed([[(0, loud)], [(0, loud)], [(50, -loud)]])
        samples, _ = decoded(file_of(sealed, sealed.plan("wav", Layout.MIX)))
        self.assertEqual(samples[:, 0].tolist(), [32_767] * 50 + [30_000] * 50 + [-30_000] * 50)

    def test_sixty_four_channels_fit_in_wav_and_opus(self) -> None:
        sealed = Sealed([[(0, noise(1_600, seed))] for seed in range(64)])
        for name in ("wav", "opus"):
            self.assertEqual(decoded(file_of(sealed, sealed.plan(name)))[0].shape, (1_600, 64))


@tag("once")
class WavTests(TestCase):
    def test_the_size_is_known_and_in_the_header(self) -> None:
        for channels in (1, 2, 5):
            sealed = Sealed([[(0, noise(777))]] * channels)
            plan = sealed.plan()
            content = file_of(sealed, plan)
            self.assertEqual(len(content), wav.size_of(plan))
            self.assertEqual(struct.unpack_from("<I", content, 4)[0], len(content) - 8)

    @given(st.lists(st.integers(0, 3_000), max_size=6), st.integers(1, 4))
    @settings(max_examples=40, deadline=None)
    def test_adjoining_byte_ranges_are_the_whole(self, cuts: list[int], channels: int) -> None:
        sealed = Sealed([[(seed, noise(300, seed))] for seed in range(channels)])
        plan = sealed.plan()
        size = wav.size_of(plan)
        bounds = sorted({0, size, *(cut for cut in cuts if cut < size)})
        parts = [
            b"".join(wav.chunks(plan, Renderer(plan, sealed.read).blocks, a, b))
            for a, b in pairwise(bounds)
        ]
        self.assertEqual([len(part) for part in parts], [b - a for a, b in pairwise(bounds)])
        self.assertEqual(b"".join(parts), file_of(sealed, plan))

    def test_a_range_of_the_header_reads_no_audio(self) -> None:
        sealed = Sealed([[(0, noise(100))]])
        plan = sealed.plan()
        content = b"".join(wav.chunks(plan, Renderer(plan, sealed.read).blocks, 0, 44))
        self.assertEqual(content[:4], b"RIFF")
        self.assertFalse(sealed.reads)

    def test_from_four_gibibytes_on_it_is_rf64(self) -> None:
        most = (0xFFFF_FFFE - 36) // 2
        self.assertEqual(wav.header(1, 16_000, most)[:4], b"RIFF")
        head = wav.header(1, 16_000, most + 1)
        self.assertEqual(head[:4] + head[8:16], b"RF64WAVEds64")
        riff, body, samples, _ = struct.unpack_from("<QQQI", head, 20)
        self.assertEqual((riff, body, samples), (len(head) + body - 8, 2 * (most + 1), most + 1))

    def test_other_software_reads_rf64(self) -> None:
        head = wav.header(3, 24_000, 2**31)
        with soundfile.SoundFile(BytesIO(head + bytes(6_000))) as file:
            self.assertEqual((file.format, file.channels, file.samplerate), ("RF64", 3, 24_000))


@tag("once")
class FlacTests(TestCase):
    def test_the_header_has_the_sample_count_though_it_is_sent_first(self) -> None:
        sealed = Sealed([[(0, noise(123_456))]])
        plan = sealed.plan("flac")
        first = next(chunks_of(sealed, plan))
        self.assertEqual(int.from_bytes(first[21:26], "big") & (2**36 - 1), 123_456)
        with soundfile.SoundFile(BytesIO(file_of(sealed, plan))) as file:
            self.assertEqual(file.frames, 123_456)


@tag("once")
class LossyTests(TestCase):
    RATES = (8_000, 12_000, 16_000, 24_000, 48_000)

    def test_no_sample_is_added_lost_or_shifted(self) -> None:
        for rate in self.RATES:
            for name in ("mp3", "opus"):
                with self.subTest(name, rate=rate):
                    source = sweep(rate + 123, rate)
                    sealed = Sealed([[(0, source)], [(0, source)]], rate=rate)
                    samples, _ = decoded(file_of(sealed, sealed.plan(name)))
                    self.assertEqual(samples.shape, (len(source), 2))
                    self.assertEqual(_shift(samples[:, 0], source), 0)

    def test_every_channel_has_its_own_track_from_beginning_to_end(self) -> None:
        """Compares each half second of speech-like noise with its track and a neighbour, for 1 to
        10 channels.
        """
        for channels in range(1, 11):
            sources = [hum(16_000 * (25 if channels == 2 else 4), seed) for seed in range(channels)]
            sealed = Sealed([[(0, source)] for source in sources])
            for name in ("mp3", "opus"):
                if not FORMATS[name].holds(channels):
                    with self.assertRaises(WrongParameter):
                        sealed.plan(name)
                    continue
                samples, _ = decoded(file_of(sealed, sealed.plan(name)))
                for channel, source in enumerate(sources):
                    with self.subTest(name, channels=channels, channel=channel):
                        self.assertGreater(_lowest_correlation(samples[:, channel], source), 0.9)
                        if channels > 1:
                            self.assertLess(
                                _lowest_correlation(samples[:, channel], sources[channel - 1]), 0.5
                            )

    def test_a_mix_is_the_sum_from_beginning_to_end(self) -> None:
        sources = [hum(16_000 * 25, seed) for seed in range(2)]
        sealed = Sealed([[(0, source)] for source in sources])
        for name in ("mp3", "opus"):
            samples, _ = decoded(file_of(sealed, sealed.plan(name, Layout.MIX)))
            self.assertGreater(
                _lowest_correlation(samples[:, 0], sources[0] + sources[1]), 0.9, name
            )

    def test_slow_encoders_start_with_one_second(self) -> None:
        sealed = Sealed([[(0, hum(16_000 * 12, seed))] for seed in range(2)])
        for name in ("mp3", "opus"):
            first = next(filter(None, chunks_of(sealed, sealed.plan(name))))
            self.assertLess(len(first), sections.size_of(sectioned(sealed.plan(name))) / 8, name)

    def test_a_file_has_the_announced_size_and_every_sample(self) -> None:
        for rate in (*self.RATES, 32_000):
            for count in (1, 575, 576, 577, 1_153, rate // 50 - 104, rate):
                sealed = Sealed([[(0, tone(count, rate))]], rate=rate)
                for name in ("mp3", "opus"):
                    with self.subTest(name, rate=rate, count=count):
                        plan = sealed.plan(name)
                        content = file_of(sealed, plan)
                        self.assertEqual(len(content), sections.size_of(sectioned(plan)))
                        samples, decoded_rate = decoded(content)
                        self.assertEqual(samples.shape, (plan.sample_count, 1))
                        self.assertEqual(decoded_rate, plan.sample_rate)

    def test_the_info_frame_of_mp3_has_a_valid_checksum(self) -> None:
        sealed = Sealed([[(0, tone(48_000, 16_000))]])
        content = file_of(sealed, sealed.plan("mp3"))
        tag = content.index(b"Info")
        self.assertEqual(
            mp3.checksum(content[: tag + 154]),
            int.from_bytes(content[tag + 154 : tag + 156], "big"),
        )

    def test_the_checksum_of_mp3_matches_the_crc_catalogue(self) -> None:
        self.assertEqual(mp3.checksum(b"123456789"), 0xBB3D)  # CRC-16/ARC

    def test_encoding_again_gives_the_same_bytes(self) -> None:
        sealed = Sealed([[(0, noise(80_000, seed))] for seed in range(2)])
        for name in ("mp3", "opus"):
            plan = sealed.plan(name)
            self.assertEqual(file_of(sealed, plan), file_of(sealed, plan), name)

    def test_every_format_is_streamed_while_it_is_encoded(self) -> None:
        sealed = Sealed([[(0, noise(16_000 * 60))]])
        for name in FORMATS:
            chunks = list(filter(None, chunks_of(sealed, sealed.plan(name))))
            self.assertGreaterEqual(len(chunks), 6, name)


def _lowest_correlation(decoded: Samples, source: Samples) -> float:
    """Returns the lowest correlation of any half second; 1 means alike."""
    seconds = [slice(start, start + 8_000) for start in range(0, len(source) - 8_000, 8_000)]
    return min(float(np.corrcoef(decoded[span], source[span])[0, 1]) for span in seconds)


def _shift(decoded: Samples, source: Samples) -> int:
    """Returns the delay of `decoded` in samples: the peak of the cross-correlation around 0."""
    middle = slice(1_000, -1_000)
    correlation = {
        shift: float(
            np.dot(np.roll(decoded, -shift)[middle].astype(float), source[middle].astype(float))
        )
        for shift in range(-20, 21)
    }
    return max(correlation, key=lambda shift: correlation[shift])
