"""WAV: headers that other readers accept, and any byte range of the file."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from calls.audio.codec import Samples
from calls.export.encoders import wav
from calls.export.formats import FORMATS, Layout
from calls.export.plan import Plan, Recording
from calls.export.track import ExportTrack
from tests.calls.sealed import Sealed

MONO_HEADER_BYTES = 44
"""RIFF and WAVE (12), `fmt ` (24), `data` and its size (8)."""
LARGEST_RIFF_SAMPLES = (0xFFFF_FFFE - 36) // 2
"""Mono: the RIFF size, 36 bytes and the samples, is the largest that is not reserved for RF64."""


class FakeBlocks:
    """Samples of an axis without audio behind it, in blocks of `step`: channel c of sample n is
    100 * n + c. Records the samples that are requested.
    """

    def __init__(self, channels: int, step: int) -> None:
        self.channels = channels
        self.step = step
        self.requested: list[tuple[int, int]] = []

    def __call__(self, first: int, last: int) -> Iterator[Samples]:
        self.requested.append((first, last))
        for start in range(first, last, self.step):
            yield self.samples(start, min(start + self.step, last))

    def samples(self, first: int, last: int) -> Samples:
        numbers = 100 * np.arange(first, last)[:, np.newaxis] + np.arange(self.channels)
        return numbers.astype(np.int16)


def plan_of(channels: int, first: int, last: int) -> Plan:
    """Returns a plan at 16 kHz of samples [first, last) and this number of tracks."""
    tracks = [[(0, np.zeros(1_000, np.int16))]] * channels
    recording: Recording = Sealed(tracks).recording
    axis = recording.axis()
    made = tuple(ExportTrack(key, refs, axis) for key, refs in recording.segments.items())
    return Plan(FORMATS["wav"], axis, made, Layout.TRACKS, first, last)


def whole(plan: Plan) -> bytes:
    """Returns the file of `FakeBlocks`, header included, encoded with `struct`."""
    samples = FakeBlocks(plan.channels, 1).samples(plan.first, plan.last).flatten().tolist()
    head = wav.header(plan.channels, plan.sample_rate, plan.sample_count)
    return head + struct.pack(f"<{len(samples)}h", *samples)


class HeaderTests(TestCase):
    @given(st.integers(1, 2), st.sampled_from([8_000, 16_000, 24_000, 96_000]), st.integers(0, 500))
    def test_pythons_wave_module_reads_mono_and_stereo(
        self, channels: int, rate: int, count: int
    ) -> None:
        body = bytes(range(256)) * 8
        body = body[: 2 * channels * count]
        content = wav.header(channels, rate, len(body) // 2 // channels) + body
        with wave.open(BytesIO(content)) as file:
            self.assertEqual(
                (file.getnchannels(), file.getsampwidth(), file.getframerate()),
                (channels, 2, rate),
            )
            self.assertEqual(file.readframes(file.getnframes()), body)

    def test_stereo_is_laid_out_as_microsoft_documents_it(self) -> None:
        self.assertEqual(
            wav.header(2, 16_000, 100),
            b"RIFF" + struct.pack("<I", 436) + b"WAVE"
            b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 16_000, 64_000, 4, 16) + b"data"
            b"\x90\x01\x00\x00",
        )

    def test_more_than_two_channels_are_extensible_without_speaker_positions(self) -> None:
        head = wav.header(3, 24_000, 10)
        tag, channels, rate, byte_rate, across, bits, size, valid, mask = struct.unpack_from(
            "<HHIIHHHHI", head, 20
        )
        self.assertEqual((tag, channels, rate), (0xFFFE, 3, 24_000))
        self.assertEqual((byte_rate, across, bits), (144_000, 6, 16))
        self.assertEqual((size, valid, mask), (22, 16, 0))
        # KSDATAFORMAT_SUBTYPE_PCM, as it is in the file
        self.assertEqual(head[44:60].hex(), "0100000000001000800000aa00389b71")
        self.assertEqual(head[60:], b"data" + struct.pack("<I", 60))
        self.assertEqual(struct.unpack_from("<I", head, 4), (len(head) + 60 - 8,))

    def test_libsndfile_reads_any_number_of_channels(self) -> None:
        for channels in (1, 2, 3, 8, 64):
            samples = FakeBlocks(channels, 1).samples(0, 50)
            content = wav.header(channels, 24_000, 50) + samples.tobytes()
            with self.subTest(channels=channels):
                read, rate = soundfile.read(BytesIO(content), dtype="int16", always_2d=True)
                self.assertEqual(rate, 24_000)
                np.testing.assert_array_equal(read, samples)

    def test_the_largest_riff_size_is_still_riff(self) -> None:
        head = wav.header(1, 16_000, LARGEST_RIFF_SAMPLES)
        self.assertEqual((len(head), head[:4]), (MONO_HEADER_BYTES, b"RIFF"))
        self.assertEqual(struct.unpack_from("<I", head, 4), (0xFFFF_FFFE,))
        self.assertEqual(struct.unpack_from("<I", head, 40), (2 * LARGEST_RIFF_SAMPLES,))

    def test_one_sample_more_is_rf64_with_its_sizes_in_ds64(self) -> None:
        count = LARGEST_RIFF_SAMPLES + 1
        head = wav.header(1, 16_000, count)
        self.assertEqual(head[:12], b"RF64\xff\xff\xff\xffWAVE")
        # EBU Tech 3306: 28 bytes of RIFF size, data size, sample count and an empty table.
        self.assertEqual(head[12:20], b"ds64" + struct.pack("<I", 28))
        riff_size = len(head) + 2 * count - 8
        self.assertEqual(struct.unpack_from("<QQQI", head, 20), (riff_size, 2 * count, count, 0))
        self.assertEqual(head[48:], wav.header(1, 16_000, 0)[12:40] + b"\xff\xff\xff\xff")


class ChunkTests(TestCase):
    def test_the_file_is_the_header_and_the_samples(self) -> None:
        for channels in (1, 2, 3):
            plan = plan_of(channels, 5, 70)
            with self.subTest(channels=channels):
                content = b"".join(wav.chunks(plan, FakeBlocks(channels, 20), 0, wav.size_of(plan)))
                self.assertEqual(content, whole(plan))

    @given(st.integers(1, 3), st.integers(0, 30), st.integers(1, 40), st.integers(1, 50), st.data())
    def test_any_byte_range_is_cut_from_the_file_and_renders_only_its_samples(
        self, channels: int, first: int, count: int, step: int, data: st.DataObject
    ) -> None:
        plan = plan_of(channels, first, first + count)
        expected = whole(plan)
        begin = data.draw(st.integers(0, len(expected) - 1))
        end = data.draw(st.integers(begin + 1, len(expected)))
        blocks = FakeBlocks(channels, step)
        self.assertEqual(b"".join(wav.chunks(plan, blocks, begin, end)), expected[begin:end])
        head = len(expected) - 2 * channels * count
        touched = [
            plan.first + (byte - head) // (2 * channels) for byte in range(max(begin, head), end)
        ]
        requested = [number for span in blocks.requested for number in range(*span)]
        self.assertEqual(requested, sorted(set(touched)))

    def test_the_header_comes_with_the_first_samples(self) -> None:
        plan = plan_of(1, 0, 50)
        chunks = list(wav.chunks(plan, FakeBlocks(1, 20), 0, wav.size_of(plan)))
        self.assertEqual([len(chunk) for chunk in chunks], [MONO_HEADER_BYTES + 40, 40, 20])

    def test_a_range_within_the_header_is_one_chunk_without_samples(self) -> None:
        plan, blocks = plan_of(1, 0, 50), FakeBlocks(1, 20)
        self.assertEqual(list(wav.chunks(plan, blocks, 8, 12)), [b"WAVE"])
        self.assertEqual([last - first for first, last in blocks.requested], [0])

    def test_an_error_in_the_first_samples_precedes_the_first_chunk(self) -> None:
        def read(_sample: int) -> Samples:
            raise OSError("unreachable")

        plan = plan_of(1, 0, 50)
        chunks = wav.chunks(
            plan, lambda first, last: map(read, range(first, last)), 0, wav.size_of(plan)
        )
        with self.assertRaises(OSError):
            next(chunks)

    def test_the_size_is_that_of_the_whole_file(self) -> None:
        for channels in (1, 2, 5):
            plan = plan_of(channels, 3, 20)
            self.assertEqual(wav.size_of(plan), len(whole(plan)))
