"""Opus in sections: each encoded alone and padded to its size, so that a decoder hears one file."""

from __future__ import annotations

from io import BytesIO
from unittest import TestCase
from unittest.mock import patch

import numpy as np
import soundfile
from django.test import tag

from calls.audio.codec import Samples
from calls.export.encoders import libsndfile, ogg
from calls.export.encoders.opus_file import OpusFile
from calls.export.encoders.sections import chunks, size_of
from calls.export.plan import Plan
from calls.export.rendering import Renderer
from tests.calls.joins import errors_at, joins_of, voice
from tests.calls.sealed import Sealed

RATE = 16_000
SECONDS = 35


def encoded(sealed: Sealed, plan: Plan, first: int = 0, last: int | None = None) -> bytes:
    file = OpusFile(plan)
    end = size_of(file) if last is None else last
    return b"".join(chunks(file, plan, Renderer(plan, sealed.read).blocks, first, end))


def decoded(content: bytes) -> Samples:
    samples: Samples = soundfile.read(BytesIO(content), dtype="int16", always_2d=True)[0]
    return samples


def noise(count: int) -> Samples:
    values: Samples = np.random.default_rng(2).normal(0, 4_000, count).astype(np.int16)
    return values


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=float))))


@tag("once")
class OpusFileTests(TestCase):
    def test_the_error_at_joins_is_that_of_a_file_from_one_encoder(self) -> None:
        for channels in (1, 2):
            with self.subTest(channels=channels):
                source = voice(RATE, SECONDS, channels)
                sealed = Sealed([[(0, track)] for track in source.T])
                plan = sealed.plan("opus")
                # The second section begins before the encoder's lead of a second has passed.
                places = [RATE, *joins_of(OpusFile(plan), lead=RATE)[1:]]
                self.assertEqual(places, [RATE, 11 * RATE, 21 * RATE, 31 * RATE])
                as_one = libsndfile.whole_file("opus", RATE, channels, source)
                usual = errors_at(places, decoded(as_one), source, RATE)
                found = errors_at(places, decoded(encoded(sealed, plan)), source, RATE)
                self.assertLess(found, 1.2 * usual)

    def test_a_range_has_the_bytes_of_the_whole_and_reads_only_what_is_near(self) -> None:
        spoken = voice(RATE, 120)[:, 0]
        cuts = range(0, len(spoken), 160_000)
        sealed = Sealed([[(at, spoken[at : at + 160_000]) for at in cuts]])
        plan = sealed.plan("opus")
        whole = encoded(sealed, plan)
        for first, last in ((len(whole) - 1_000, len(whole)), (200_000, 200_100), (0, 9)):
            sealed.reads.clear()
            self.assertEqual(encoded(sealed, plan, first, last), whole[first:last])
            self.assertLessEqual(sealed.reads.total(), 3)

    def test_noise_is_encoded_at_a_lower_bit_rate_to_fit(self) -> None:
        for channels in (1, 2, 3):
            tracks = [noise(RATE * 12) for _ in range(channels)]
            sealed = Sealed([[(0, track)] for track in tracks])
            samples = self.exactly_as_large_as_announced(sealed)
            self.assertGreater(rms(samples), 0.5 * rms(tracks[0]), channels)

    def test_clipped_noise_that_exceeds_every_bit_rate_fits_too(self) -> None:
        for rate in (8_000, 16_000):
            loud = np.where(noise(rate * 3) > 0, 32_767, -32_768).astype(np.int16)
            self.exactly_as_large_as_announced(Sealed([[(0, loud)]], rate=rate))

    def exactly_as_large_as_announced(self, sealed: Sealed) -> Samples:
        plan = sealed.plan("opus")
        content = encoded(sealed, plan)
        self.assertEqual(len(content), size_of(OpusFile(plan)))
        samples = decoded(content)
        self.assertEqual(samples.shape, (plan.sample_count, plan.channels))
        return samples

    def test_time_without_audio_is_small_and_not_encoded(self) -> None:
        """Two minutes with a second of speech at either end."""
        spoken = voice(RATE, 1)[:, 0]
        for channels, size in ((1, 3), (2, 3), (3, 7), (12, 47)):
            last = (119 * RATE, spoken)
            sealed = Sealed([[(0, spoken), last], *([last] for _ in range(channels - 1))])
            plan = sealed.plan("opus")
            with (
                self.subTest(channels=channels),
                patch.object(libsndfile, "encode", wraps=libsndfile.encode) as encode,
            ):
                content = encoded(sealed, plan)
                # 0 to 1 s, 1 to 11 s because of its lead, and 111 to 120 s
                self.assertEqual(encode.call_count, 3)
                sizes = [len(packet) for packet in ogg.packets_of(content)][2:]
                self.assertEqual(set(sizes[11 * 50 : 111 * 50]), {size})
                samples = decoded(content)
                self.assertEqual(samples.shape, (120 * RATE, channels))
                self.assertFalse(samples[12 * RATE : 110 * RATE].any())
                self.assertTrue(samples[119 * RATE :, -1].any())

    def test_pages_are_numbered_and_end_at_the_samples_of_their_packets(self) -> None:
        sealed = Sealed([[(0, voice(RATE, 13)[:, 0])]])
        content = encoded(sealed, sealed.plan("opus"))
        positions, numbers, flags = [], [], []
        start = 0
        while start < len(content):
            flags.append(content[start + 5])
            positions.append(int.from_bytes(content[start + 6 : start + 14], "little"))
            numbers.append(int.from_bytes(content[start + 18 : start + 22], "little"))
            count = content[start + 26]
            start += 27 + count + sum(content[start + 27 : start + 27 + count])
        self.assertEqual(numbers, list(range(len(numbers))))
        self.assertEqual(flags, [2, *[0] * (len(flags) - 2), 4])
        delay = content[28 + 10] | content[28 + 11] << 8  # of OpusHead, after its page's head
        self.assertEqual(
            positions, [0, 0, *range(48_000, 13 * 48_000 + 1, 48_000), 13 * 48_000 + delay]
        )

    def test_speech_in_a_part_of_the_call_stays_where_it_was(self) -> None:
        """Ten seconds after the beginning of the part, which is 60 to 100 s of the call."""
        spoken = voice(RATE, 1)[:, 0]
        sealed = Sealed([[(at * RATE, spoken) for at in (0, 70, 119)]])
        whole = sealed.plan("opus")
        bounds = 60 * RATE, 100 * RATE
        part = type(whole)(whole.format, whole.axis, whole.tracks, whole.layout, *bounds)
        with patch.object(libsndfile, "encode", wraps=libsndfile.encode) as encode:
            samples = decoded(encoded(sealed, part))
        self.assertEqual(encode.call_count, 2)  # 1 to 11 s, and 11 to 21 s because of its lead
        self.assertFalse(samples[:RATE].any())
        self.assertTrue(samples[10 * RATE : 11 * RATE].any())
        self.assertFalse(samples[22 * RATE :].any())

    def test_a_part_of_the_call_is_as_long_as_requested(self) -> None:
        sealed = Sealed([[(0, voice(RATE, 30)[:, 0])]])
        whole = sealed.plan("opus")
        part = type(whole)(whole.format, whole.axis, whole.tracks, whole.layout, 100_000, 300_000)
        samples = decoded(encoded(sealed, part))
        self.assertEqual(len(samples), 200_000)
        source = voice(RATE, 30)[100_000:300_000]
        self.assertGreater(float(np.corrcoef(samples[:, 0], source[:, 0])[0, 1]), 0.9)
