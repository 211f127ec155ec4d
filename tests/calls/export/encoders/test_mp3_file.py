"""MP3 in sections: each encoded alone, joined so that a decoder hears one file."""

from __future__ import annotations

from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from django.test import tag

from calls.audio.codec import Samples
from calls.export.encoders import libsndfile
from calls.export.encoders.mp3_file import Mp3File
from calls.export.encoders.sections import chunks, size_of
from calls.export.plan import Plan
from calls.export.rendering import Renderer
from tests.calls.joins import errors_at, joins_of, voice
from tests.calls.sealed import Sealed

SECONDS = 35


def encoded(sealed: Sealed, plan: Plan, first: int = 0, last: int | None = None) -> bytes:
    file = Mp3File(plan)
    end = size_of(file) if last is None else last
    return b"".join(chunks(file, plan, Renderer(plan, sealed.read).blocks, first, end))


def decoded(content: bytes) -> Samples:
    samples: Samples = soundfile.read(BytesIO(content), dtype="int16", always_2d=True)[0]
    return samples


@tag("once")
class Mp3FileTests(TestCase):
    def test_the_error_at_joins_is_that_of_a_file_from_one_encoder(self) -> None:
        for rate, channels, level in ((8_000, 1, 0.6), (16_000, 2, 0.6), (48_000, 1, 0.66)):
            with self.subTest(rate=rate, channels=channels):
                source = voice(rate, SECONDS, channels)
                sealed = Sealed([[(0, track)] for track in source.T], rate=rate)
                plan = sealed.plan("mp3")
                options = {"bitrate_mode": "CONSTANT", "compression_level": level}
                as_one = libsndfile.whole_file(
                    "mp3", rate, channels, np.divide(source, 32_768), **options
                )
                places = joins_of(Mp3File(plan), lead=16 * (1_152 if rate > 24_000 else 576))
                self.assertEqual(len(places), SECONDS // 10)
                usual = errors_at(places, decoded(as_one), source, rate)
                self.assertLess(
                    errors_at(places, decoded(encoded(sealed, plan)), source, rate), 1.05 * usual
                )

    def test_a_range_has_the_bytes_of_the_whole_and_reads_only_what_is_near(self) -> None:
        """Ten minutes in segments of ten seconds."""
        spoken = voice(16_000, 600)[:, 0]
        cuts = range(0, len(spoken), 160_000)
        sealed = Sealed([[(at, spoken[at : at + 160_000]) for at in cuts]])
        plan = sealed.plan("mp3")
        whole = encoded(sealed, plan)
        for first, last in ((len(whole) - 1_000, len(whole)), (2_000_000, 2_000_100), (0, 9)):
            sealed.reads.clear()
            self.assertEqual(encoded(sealed, plan, first, last), whole[first:last])
            self.assertLessEqual(sealed.reads.total(), 3)
