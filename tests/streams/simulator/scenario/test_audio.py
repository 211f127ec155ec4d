"""Files and tones as packets of 20 ms."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.errors import UnreadableAudio
from streams.simulator.scenario.audio import Clip, Samples, mixed, read_file, tone

sample_lists = st.lists(st.integers(-32768, 32767), min_size=1, max_size=2000).map(
    lambda values: np.array(values, np.int16)
)


def played(clip: Clip) -> bytes:
    return b"".join(clip.packet(number) for number in range(clip.packet_count))


class ClipTests(TestCase):
    @given(sample_lists)
    def test_a_clip_plays_its_samples_and_fills_the_last_packet_with_silence(
        self, samples: Samples
    ) -> None:
        pcm = played(Clip(samples, 16000))
        self.assertEqual(len(pcm) % 640, 0)
        self.assertEqual(pcm[: len(samples) * 2], samples.astype("<i2").tobytes())
        self.assertEqual(pcm[len(samples) * 2 :].strip(b"\0"), b"")
        self.assertLess(len(pcm) - len(samples) * 2, 640)

    @given(sample_lists, st.floats(0.02, 1))
    def test_a_longer_clip_repeats_its_samples_without_a_seam(
        self, samples: Samples, seconds: float
    ) -> None:
        clip = Clip(samples, 16000, seconds)
        expected = np.resize(samples, clip.packet_count * 320).astype("<i2").tobytes()
        self.assertEqual(played(clip), expected)
        self.assertEqual(clip.packet_count, round(seconds * 50))

    def test_a_packet_has_640_bytes_at_16_khz_and_960_at_24_khz(self) -> None:
        for rate, size in ((16000, 640), (24000, 960)):
            self.assertEqual(len(Clip(tone(440, rate), rate).packet(3)), size)

    def test_a_tone_has_its_frequency(self) -> None:
        spectrum = np.abs(np.fft.rfft(tone(554, 16000)))
        self.assertEqual(int(spectrum.argmax()), 554)

    def test_mixing_adds_and_clips_and_lasts_as_long_as_the_longest(self) -> None:
        loud, short = np.full(640, 30000, np.int16), np.full(320, 10000, np.int16)
        both = mixed([Clip(loud, 16000), Clip(short, 16000)], 16000)
        self.assertEqual(both.samples().tolist(), [32767] * 320 + [30000] * 320)


class ReadFileTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name: str, samples: Samples, rate: int, subtype: str = "PCM_16") -> Path:
        path = self.folder / name
        soundfile.write(path, samples, rate, subtype=subtype)
        return path

    def test_16_bit_mono_at_the_right_rate_is_kept_bit_for_bit(self) -> None:
        noise = np.random.default_rng(1).integers(-32768, 32767, 5000, np.int16, endpoint=True)
        for name in ("a.wav", "a.flac"):
            self.assertTrue(np.array_equal(read_file(self.write(name, noise, 16000), 16000), noise))

    def test_another_rate_is_resampled(self) -> None:
        samples = read_file(self.write("a.wav", tone(440, 24000), 24000), 16000)
        self.assertEqual(len(samples), 16000)
        self.assertLess(int(np.abs(samples.astype(int) - tone(440, 16000))[200:-200].max()), 60)

    def test_stereo_is_mixed_down_to_the_mean(self) -> None:
        stereo = np.stack([np.full(100, 1000, np.int16), np.full(100, 3000, np.int16)], axis=1)
        self.assertEqual(set(read_file(self.write("a.wav", stereo, 16000), 16000).tolist()), {2000})

    def test_floats_are_read_at_full_scale(self) -> None:
        path = self.folder / "a.wav"
        soundfile.write(path, np.full(100, 0.5, np.float32), 16000, subtype="FLOAT")
        self.assertEqual(set(read_file(path, 16000).tolist()), {16384})

    def test_a_file_that_is_missing_empty_or_no_audio_is_rejected_by_name(self) -> None:
        (self.folder / "text.wav").write_text("no audio")
        empty = self.write("empty.wav", np.zeros(0, np.int16), 16000)
        for path in (self.folder / "missing.wav", self.folder / "text.wav", empty):
            with self.assertRaisesRegex(UnreadableAudio, path.name):
                read_file(path, 16000)
