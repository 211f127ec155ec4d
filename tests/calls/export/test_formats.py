"""The channels and sample rates of each format."""

from __future__ import annotations

from io import BytesIO
from unittest import TestCase

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from calls.export.errors import WrongParameter
from calls.export.formats import FORMATS, Format, Layout

MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""ISO/IEC 11172-3 and 13818-3, and MPEG 2.5 below 16 kHz."""


def refusal(name: str, channels: int) -> str:
    """Returns parameter and message for a number of channels, "" if the format can hold it."""
    try:
        FORMATS[name].check_channels(channels)
    except WrongParameter as error:
        return f"{error.parameter}: {error}"
    return ""


class ChannelTests(TestCase):
    def test_each_format_holds_the_channels_that_its_container_can_number(self) -> None:
        # 16 bits in `fmt `, 3 bits in a FLAC frame, stereo in a frame, a byte in OpusHead
        expected = {"wav": 2**16 - 1, "flac": 2**3, "mp3": 2, "opus": 2**8 - 1}
        self.assertEqual(list(FORMATS), list(expected))
        for name, most in expected.items():
            with self.subTest(name):
                self.assertTrue(FORMATS[name].holds(1))
                self.assertTrue(FORMATS[name].holds(most))
                self.assertFalse(FORMATS[name].holds(most + 1))

    def test_opus_does_not_hold_the_numbers_with_a_subwoofer_channel(self) -> None:
        # RFC 7845, section 5.1.1.2: 5.1, 6.1 and 7.1 are the layouts with LFE.
        held = [channels for channels in range(1, 12) if FORMATS["opus"].holds(channels)]
        self.assertEqual(held, [1, 2, 3, 4, 5, 9, 10, 11])

    def test_check_channels_refuses_exactly_what_the_format_does_not_hold(self) -> None:
        for name, format_ in FORMATS.items():
            for channels in (1, 2, 3, 5, 6, 8, 9, 255, 256, 65_535, 65_536):
                with self.subTest(name, channels=channels):
                    self.assertEqual(refusal(name, channels) == "", format_.holds(channels))

    def test_the_refusal_has_the_limit_and_the_alternatives(self) -> None:
        self.assertEqual(
            refusal("mp3", 3),
            "format: mp3 holds at most 2 channels; this call has 3 tracks. "
            "Use format=wav, layout=mix or one participant.",
        )
        self.assertEqual(
            refusal("opus", 6),
            "format: opus holds at most 255 channels, but not 6 to 8; this call has 6 tracks. "
            "Use format=wav, layout=mix or one participant.",
        )


class RateTests(TestCase):
    @given(st.integers(1, 192_000), st.sampled_from(sorted(FORMATS)))
    def test_the_rate_is_the_lowest_that_keeps_the_whole_band(self, rate: int, name: str) -> None:
        chosen, rates = FORMATS[name].rate_for(rate), FORMATS[name].rates
        if not rates:
            self.assertEqual(chosen, rate)
        elif rate > max(rates):
            self.assertEqual(chosen, 48_000)
        else:
            self.assertEqual(chosen, min(each for each in rates if each >= rate))

    def test_wav_and_flac_have_any_rate(self) -> None:
        self.assertEqual([FORMATS[name].rate_for(11_025) for name in ("wav", "flac")], [11_025] * 2)

    def test_mp3_has_the_mpeg_rates_whose_frames_are_all_of_one_size(self) -> None:
        # A frame has 144 bytes (72 below 32 kHz) times bit rate over sample rate, in whole bytes
        # for every bit rate: these are multiples of 8 kbit/s.
        whole = [rate for rate in MPEG_RATES if (144 if rate >= 32_000 else 72) * 8_000 % rate == 0]
        self.assertEqual(list(FORMATS["mp3"].rates), whole)

    def test_opus_has_the_rates_of_its_encoder(self) -> None:
        # RFC 6716, section 2: narrowband to fullband
        self.assertEqual(FORMATS["opus"].rates, (8_000, 12_000, 16_000, 24_000, 48_000))


class NameTests(TestCase):
    def test_a_format_is_found_by_its_name(self) -> None:
        self.assertEqual([format_.name for format_ in FORMATS.values()], list(FORMATS))
        self.assertEqual(
            [format_.label for format_ in FORMATS.values()], ["WAV", "FLAC", "MP3", "Opus"]
        )

    def test_content_types_are_those_of_the_registry(self) -> None:
        self.assertEqual(
            {name: format_.content_type for name, format_ in FORMATS.items()},
            {
                "wav": "audio/wav",
                "flac": "audio/flac",
                "mp3": "audio/mpeg",
                "opus": "audio/ogg; codecs=opus",
            },
        )

    def test_layouts_are_the_values_of_the_query_parameter(self) -> None:
        self.assertEqual([str(layout) for layout in Layout], ["mix", "tracks"])

    def test_a_format_has_any_rate_and_no_surround_sound_by_default(self) -> None:
        plain = Format("name", "label", "type", 8)
        self.assertEqual((plain.rate_for(12_345), plain.holds(6)), (12_345, True))


class EncoderTests(TestCase):
    def test_libsndfile_encodes_at_every_rate_that_is_offered(self) -> None:
        for name, container, subtype in (
            ("mp3", "MP3", "MPEG_LAYER_III"),
            ("opus", "OGG", "OPUS"),
        ):
            for rate in FORMATS[name].rates:
                with self.subTest(name, rate=rate):
                    file = BytesIO()
                    soundfile.write(file, np.zeros(rate), rate, subtype, format=container)
                    self.assertEqual(soundfile.info(BytesIO(file.getvalue())).samplerate, rate)
