"""Members of ACS's messages that are not as documented (timestamps, flags, ids): the audio beside
them is never lost.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.identity import RAW_ID_MAX_LENGTH
from streams.acs import messages
from streams.ingest.packets import ODD_TIMESTAMP, AudioData
from tests.streams.acs.test_messages import audio_message, metadata_message, reason_of


class OddMembers(TestCase):
    """Audio is kept whatever is beside it; the oddity is named."""

    def decoded(self, **members: Any) -> AudioData:
        decoded = messages.decode(audio_message(**members))
        assert isinstance(decoded, AudioData)
        self.assertEqual(decoded.pcm, b"\x01\x02\x03\x04")
        return decoded

    def test_a_timestamp_that_cannot_be_read_counts_as_absent(self) -> None:
        stamps: tuple[Any, ...] = (
            *(1661255285, 1661255285.925, 1661255285925, 0, -1, True, False, [], {}, {"a": []}),
            *("1661255285", "1661255285925", "1661255285.925", "2032120112345"),
            *("yesterday", " ", "T", "\x00", "2022-08-23T11:48:05Z ", "2022-13-01T00:00:00Z"),
            *("2022-08-23", "2022-08-23T11", "2022-08-23T11:48", "2022-08-23T11:48Z"),
            *("2022-08-23T11:48+00:00", "20220823T1148Z", "20220823T1148+00:00"),
            *("2022-W34-2T11:48+00:00", "2022-08-23T11+00:00:00"),
            *("0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
            *("1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"),
            *("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.925Z"),
            *("08/23/2022 11:48:05 AM", "Tue, 23 Aug 2022 11:48:05 GMT"),
            "Tue Aug 23 2022 11:48:05 GMT+0000 (Coordinated Universal Time)",
        )
        for timestamp in stamps:
            with self.subTest(timestamp=timestamp):
                decoded = self.decoded(timestamp=timestamp)
                self.assertIsNone(decoded.timestamp_us)
                self.assertEqual(decoded.oddities, (ODD_TIMESTAMP,))

    def test_an_absent_timestamp_is_no_oddity(self) -> None:
        for timestamp in (None, ""):
            with self.subTest(timestamp=timestamp):
                decoded = self.decoded(timestamp=timestamp)
                self.assertEqual((decoded.timestamp_us, decoded.oddities), (None, ()))

    def test_silent_as_text_or_number_is_read_as_what_it_means(self) -> None:
        meanings: dict[bool, tuple[Any, ...]] = {
            True: ("true", "True", "TRUE", 1, 1.0),
            # the last ones mean neither, and count as absent
            False: ("false", "False", 0, 0.0, "no", "1", 2, -1, [], {}, ["true"]),
        }
        for meaning, values in meanings.items():
            for silent in values:
                with self.subTest(silent=silent):
                    decoded = self.decoded(silent=silent)
                    self.assertIs(decoded.silent, meaning)
                    self.assertEqual(decoded.oddities, ("audioData: silent: not true or false",))
        self.assertEqual(self.decoded(silent="").oddities, ())

    def test_an_odd_silent_decides_about_a_packet_without_data(self) -> None:
        decoded = messages.decode(audio_message(data="", silent="True"))
        self.assertEqual(decoded.pcm, b"")  # type: ignore[union-attr]
        self.assertEqual(reason_of(audio_message(data="", silent="no")), "audioData: data: empty")

    def test_a_number_as_raw_id_is_its_text(self) -> None:
        oddities = ("audioData: participantRawID: not text",)
        for number, raw_id in ((7, "7"), (-7, "-7"), (0, "0"), (7.5, "7.5"), (2**64, str(2**64))):
            with self.subTest(number):
                decoded = self.decoded(participantRawID=number)
                self.assertEqual((decoded.participant, decoded.oddities), (raw_id, oddities))

    def test_a_raw_id_that_is_neither_text_nor_number_counts_as_absent(self) -> None:
        oddities = ("audioData: participantRawID: not text",)
        for value in (True, False, [], {}, ["p"], {"id": "p"}):
            with self.subTest(value=value):
                decoded = self.decoded(participantRawID=value)
                self.assertEqual((decoded.participant, decoded.oddities), ("", oddities))

    def test_an_unfit_raw_id_is_replaced_by_one_that_begins_alike(self) -> None:
        cases = {
            "audioData: participantRawID: too long": "4:+1" + "5" * 600,
            "audioData: participantRawID: control character": "4:+1\x00\n\x7f",
        }
        for oddity, raw_id in cases.items():
            with self.subTest(oddity):
                decoded = self.decoded(participantRawID=raw_id)
                self.assertEqual(decoded.oddities, (oddity,))
                self.assertEqual(decoded, self.decoded(participantRawID=raw_id), "always the same")
                self.assertTrue(decoded.participant.startswith("4:+1"))
                self.assertLessEqual(len(decoded.participant), RAW_ID_MAX_LENGTH)
                self.assertTrue(decoded.participant.isprintable())

    def test_different_unfit_raw_ids_stay_different(self) -> None:
        unfit = ["x" * 513, "x" * 514, "x" * 512 + "y", "a\x00", "a\x01", "\x00a", "a\x00\x00"]
        stored = {self.decoded(participantRawID=raw_id).participant for raw_id in unfit}
        self.assertEqual(len(stored), len(unfit))

    def test_of_two_spellings_the_documented_one_counts_unless_it_means_nothing(self) -> None:
        for members, raw_id in (
            ({"participantRawID": "p", "participantRawId": "q"}, "p"),
            ({"participantRawId": "q", "participantRawID": "p"}, "p"),
            ({"participantRawID": "", "participantRawId": "q"}, "q"),
            ({"participantRawId": "q", "participantRawID": ""}, "q"),
            ({"participantRawID": None, "participantRawId": "q"}, "q"),
            ({"participantRawID": {}, "participantRawId": "q"}, "q"),
            ({"participantRawId": 7, "participantRawID": "p"}, "p"),
        ):
            for kind in ("AudioData", "audiodata"):  # on both paths of the decoder
                with self.subTest(kind, members=members):
                    message = {"kind": kind, "audioData": {"data": "AQI=", **members}}
                    decoded = messages.decode(json.dumps(message))
                    self.assertEqual(decoded.participant, raw_id)  # type: ignore[union-attr]

    def test_all_oddities_of_a_packet_are_named(self) -> None:
        decoded = self.decoded(timestamp=7, silent="false", participantRawID="a\x00b")
        self.assertEqual(
            set(decoded.oddities),
            {
                ODD_TIMESTAMP,
                "audioData: silent: not true or false",
                "audioData: participantRawID: control character",
            },
        )

    def test_an_odd_byte_beside_an_oddity_is_cut_off_too(self) -> None:
        decoded = messages.decode(audio_message(data="AQIDBAU=", timestamp="0001-01-01T00:00:00Z"))
        expected = AudioData(
            "p", None, b"\x01\x02\x03\x04", odd_byte=True, oddities=(ODD_TIMESTAMP,)
        )
        self.assertEqual(decoded, expected)


class OddMetadata(TestCase):
    """Without its metadata, the audio after it would be lost."""

    def test_a_length_that_is_no_number_counts_as_absent(self) -> None:
        lengths: tuple[Any, ...] = ("640", True, [], {}, 10**400)
        for length in lengths:
            with self.subTest(length=length):
                decoded = messages.decode(metadata_message(length=length))
                self.assertIsNone(decoded.length)  # type: ignore[union-attr]

    def test_a_subscription_id_that_is_no_text_is_its_number_or_absent(self) -> None:
        for value, subscription_id in ((7, "7"), (True, ""), ([], ""), ({"a": 1}, ""), (None, "")):
            with self.subTest(value=value):
                decoded = messages.decode(metadata_message(subscriptionId=value))
                self.assertEqual(decoded.subscription_id, subscription_id)  # type: ignore[union-attr]


class Timestamps(TestCase):
    def test_every_form_of_iso_8601_with_seconds_is_that_moment(self) -> None:
        for text in (
            *("2022-08-23T11:48:05.25Z", "2022-08-23 11:48:05.25Z", "2022-08-23T11:48:05,25Z"),
            *("2022-08-23t11:48:05.25z", "2022-08-23T11:48:05.25z", "2022-08-23t11:48:05.25Z"),
            *("20220823T114805.25Z", "20220823T114805.25+0000", "2022-08-23T114805.25Z"),
            *("20220823T11:48:05.25Z", "2022-W34-2T11:48:05.25Z", "2022W342T114805,25"),
            *("2022-08-23T17:18:05.25+05:30", "2022-08-23T17:18:05.25+0530"),
        ):
            with self.subTest(text):
                self.assertEqual(messages.microseconds_of(text), 1661255285250000)
        self.assertEqual(messages.microseconds_of("20220823T114805Z"), 1661255285000000)
        self.assertEqual(messages.microseconds_of("1970-01-01T00:00:00Z"), 0)

    @given(st.text(st.characters(codec="ascii"), max_size=40))
    def test_any_other_text_raises_nothing_but_value_error(self, text: str) -> None:
        with suppress(ValueError):
            messages.microseconds_of(text)

    def test_zero_to_nine_fraction_digits_are_cut_to_microseconds(self) -> None:
        digits = "123456789"
        for count in range(10):
            text = f"2022-08-23T11:48:05{'.' if count else ''}{digits[:count]}Z"
            with self.subTest(text):
                expected = 1661255285000000 + int(digits[:6][:count].ljust(6, "0"))
                self.assertEqual(messages.microseconds_of(text), expected)

    def test_offsets_are_applied_and_none_means_utc(self) -> None:
        for text in (
            "2022-08-23T11:48:05",
            "2022-08-23T11:48:05+00:00",
            "2022-08-23T13:48:05+02:00",
        ):
            self.assertEqual(messages.microseconds_of(text), 1661255285000000)
