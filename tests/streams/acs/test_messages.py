"""Decoding of ACS's messages: every documented message and variant, and arbitrary input."""

from __future__ import annotations

import base64
import json
import os
import struct
import time
from pathlib import Path
from typing import Any
from unittest import SkipTest, TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.acs import messages
from streams.ingest.packets import (
    AudioData,
    AudioMetadata,
    DtmfData,
    Malformed,
    Other,
    Skipped,
    Unknown,
    UnsupportedAudio,
)

VECTORS = Path(
    os.environ.get("ACS_VECTORS", Path(__file__).parents[4] / "shared/data/vectors.jsonl")
)


def audio_message(**members: Any) -> str:
    defaults = {
        "timestamp": "2022-08-23T11:48:05Z",
        "participantRawID": "p",
        "data": "AQIDBA==",
        "silent": False,
    }
    return json.dumps({"kind": "AudioData", "audioData": {**defaults, **members}})


def metadata_message(**members: Any) -> str:
    defaults = {
        "subscriptionId": "s",
        "encoding": "PCM",
        "sampleRate": 16000,
        "channels": 1,
        "length": 640,
    }
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": {**defaults, **members}})


def reason_of(message: str | bytes) -> str:
    try:
        messages.decode(message)
    except Skipped as skipped:
        return skipped.reason
    raise AssertionError("the message was accepted")


class RecordedMessages(TestCase):
    """Messages recorded from ACS and documented variants, with the expected results."""

    def test_every_recorded_message_has_the_expected_result(self) -> None:
        if not VECTORS.exists():
            raise SkipTest("the recorded messages are not on this machine")
        lines = VECTORS.read_text(encoding="utf-8").splitlines()
        for line in filter(None, lines):
            vector = json.loads(line)
            for message in (
                vector["message"],
                vector["message"].encode(),
                "\ufeff" + vector["message"],
            ):
                with self.subTest(vector["name"], type=type(message).__name__):
                    self.check(message, vector["expect"])

    def check(self, message: str | bytes, expect: dict[str, Any]) -> None:
        if "skipped" in expect:
            with self.assertRaises(Unknown if expect["skipped"] == "unknown" else Malformed):
                messages.decode(message)
            return
        decoded = messages.decode(message)
        self.assertEqual(type(decoded).__name__, expect["kind"])
        if isinstance(decoded, AudioMetadata):
            facts = (decoded.sample_rate, decoded.channels, decoded.length)
            self.assertEqual(facts, (expect["sample_rate"], expect["channels"], expect["length"]))
        if isinstance(decoded, DtmfData):
            self.assertEqual(decoded.tone, expect["tone"])
        if isinstance(decoded, AudioData):
            self.assertEqual(
                (decoded.participant, len(decoded.pcm)), (expect["participant"], expect["bytes"])
            )
            self.assertEqual(
                (decoded.silent, decoded.timestamp_us), (expect["silent"], expect["timestamp_us"])
            )
            first = (
                list(struct.unpack_from("<4h", decoded.pcm)) if "first_samples" in expect else None
            )
            self.assertEqual(first, expect.get("first_samples"))


class Audio(TestCase):
    def test_text_and_binary_are_decoded_alike(self) -> None:
        self.assertEqual(
            messages.decode(audio_message()), messages.decode(audio_message().encode())
        )

    def test_a_leading_byte_order_mark_is_ignored(self) -> None:
        plain = messages.decode(audio_message())
        self.assertEqual(messages.decode("\ufeff" + audio_message()), plain)
        self.assertEqual(messages.decode(b"\xef\xbb\xbf" + audio_message().encode()), plain)

    def test_another_casing_or_absence_of_kind_is_accepted(self) -> None:
        plain = messages.decode(audio_message())
        message = json.loads(audio_message())
        for kind in ("audiodata", "AUDIODATA", "audioData", None, ""):
            with self.subTest(kind=kind):
                self.assertEqual(messages.decode(json.dumps({**message, "kind": kind})), plain)
        del message["kind"]
        self.assertEqual(messages.decode(json.dumps(message)), plain)

    def test_another_casing_of_members_is_accepted(self) -> None:
        inner = {
            "Data": "AQIDBA==",
            "Timestamp": "2022-08-23T11:48:05Z",
            "ParticipantRawId": "p",
            "Silent": True,
        }
        decoded = messages.decode(json.dumps({"Kind": "AudioData", "AudioData": inner}))
        self.assertEqual(
            decoded, AudioData("p", 1661255285000000, b"\x01\x02\x03\x04", silent=True)
        )

    def test_participantRawId_is_the_same_as_participantRawID(self) -> None:  # noqa: N802 - the wire's own words
        message = json.dumps(
            {"kind": "AudioData", "audioData": {"data": "AQI=", "participantRawId": "4:+1"}}
        )
        self.assertEqual(messages.decode(message), AudioData("4:+1", None, b"\x01\x02"))

    def test_null_members_count_as_absent(self) -> None:
        decoded = messages.decode(audio_message(timestamp=None, participantRawID=None, silent=None))
        self.assertEqual(decoded, AudioData("", None, b"\x01\x02\x03\x04"))

    def test_a_silent_packet_may_have_no_data(self) -> None:
        for data in ("", None):
            with self.subTest(data=data):
                self.assertEqual(messages.decode(audio_message(data=data, silent=True)).pcm, b"")  # type: ignore[union-attr]

    def test_a_packet_that_is_not_silent_must_have_data(self) -> None:
        self.assertEqual(reason_of(audio_message(data="")), "audioData: data: empty")

    def test_an_odd_last_byte_is_cut_off_and_reported(self) -> None:
        decoded = messages.decode(audio_message(data="AQIDBAU="))
        self.assertEqual(
            decoded, AudioData("p", 1661255285000000, b"\x01\x02\x03\x04", odd_byte=True)
        )

    def test_wrong_members_are_named(self) -> None:
        cases: dict[str, list[dict[str, Any]]] = {
            "audioData: data: wrong type or value": [
                {"data": "!!!!"},
                {"data": 7},
                {"data": "AQIDBA"},
            ],
        }
        for reason, variants in cases.items():
            for variant in variants:
                with self.subTest(variant=str(variant)[:60]):
                    self.assertEqual(reason_of(audio_message(**variant)), reason)

    def test_unusual_but_printable_ids_are_kept(self) -> None:
        for raw_id in ("8:acs:ü/../..", "a\u2028b", "<script>"):
            with self.subTest(raw_id=raw_id):
                packet = messages.decode(audio_message(participantRawID=raw_id))
                self.assertEqual(packet.participant, raw_id)  # type: ignore[union-attr]

    @given(
        st.binary(min_size=1, max_size=2000),
        st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=100),
    )
    def test_every_payload_is_decoded_to_the_byte(self, pcm: bytes, raw_id: str) -> None:
        decoded = messages.decode(
            audio_message(data=base64.b64encode(pcm).decode(), participantRawID=raw_id)
        )
        assert isinstance(decoded, AudioData)
        self.assertEqual(decoded.pcm, pcm[: len(pcm) // 2 * 2])
        self.assertEqual(decoded.participant, raw_id)


class Metadata(TestCase):
    def test_encoding_in_any_casing_is_pcm(self) -> None:
        for encoding in ("PCM", "pcm", "Pcm"):
            self.assertEqual(messages.decode(metadata_message(encoding=encoding)).encoding, "PCM")  # type: ignore[union-attr]

    def test_the_length_may_be_fractional_wrong_or_absent(self) -> None:
        for length in (100.1, -3, None):
            self.assertEqual(messages.decode(metadata_message(length=length)).length, length)  # type: ignore[union-attr]

    def test_unsupported_audio_is_refused_with_a_clear_reason(self) -> None:
        cases: dict[str, dict[str, Any]] = {
            "audioMetadata: encoding: only PCM can be recorded": {"encoding": "Opus"},
            "audioMetadata: channels: only one channel can be recorded": {"channels": 2},
            "audioMetadata: sampleRate: not between 8000 and 96000 Hz": {"sampleRate": -16000},
        }
        for reason, variant in cases.items():
            with self.subTest(reason), self.assertRaisesRegex(UnsupportedAudio, reason):
                messages.decode(metadata_message(**variant))

    def test_wrong_members_are_named(self) -> None:
        self.assertEqual(
            reason_of(metadata_message(sampleRate="x")),
            "audioMetadata: sampleRate: wrong type or value",
        )
        self.assertEqual(
            reason_of('{"kind":"AudioMetadata"}'), "audioMetadata: absent or no object"
        )
        self.assertEqual(
            reason_of('{"kind":"AudioMetadata","audioMetadata":[]}'),
            "audioMetadata: absent or no object",
        )
        self.assertEqual(reason_of('{"audioMetadata":{}}'), "audioMetadata: wrong type or value")
        self.assertEqual(
            reason_of(metadata_message(subscriptionId="x" * 257)),
            "audioMetadata: subscriptionId: too long",
        )
        self.assertEqual(
            reason_of(metadata_message(subscriptionId="\x07")),
            "audioMetadata: subscriptionId: control character",
        )


class OtherKinds(TestCase):
    def test_documented_kinds_without_audio_are_not_unknown(self) -> None:
        for kind in ("MarkData", "TranscriptionMetadata", "transcriptionData"):
            self.assertEqual(
                messages.decode(json.dumps({"kind": kind, "x": {}})), Other(kind.lower())
            )

    def test_a_tone_is_short_text(self) -> None:
        self.assertEqual(
            messages.decode('{"kind":"DtmfData","dtmfData":{"data":"#"}}'), DtmfData("#")
        )
        for tone in ('""', '"' + "1" * 33 + '"', '"\\u0000"'):
            for name in ("data", "tone"):
                self.assertEqual(
                    reason_of(f'{{"dtmfData":{{"{name}":{tone}}}}}'), "dtmfData: data: not a tone"
                )
        self.assertEqual(reason_of('{"dtmfData":{}}'), "dtmfData: data: not a tone")

    def test_a_tone_may_be_named_tone(self) -> None:
        for members in ({"tone": "#"}, {"Tone": "#"}, {"data": "", "tone": "#"}):
            message = {"kind": "DtmfData", "dtmfData": members}
            self.assertEqual(messages.decode(json.dumps(message)), DtmfData("#"))
        self.assertEqual(messages.decode('{"dtmfData":{"tone":"1","data":"2"}}'), DtmfData("2"))


class InvalidMessages(TestCase):
    def test_anything_but_a_json_object_is_malformed(self) -> None:
        for message in (
            "",
            "7",
            "[]",
            "null",
            '"x"',
            "{",
            b"\xff\xfe",
            '{"kind": NaN}',
            '{"kind":1e999}',
            b'{"a":"\xff"}',
        ):
            with self.subTest(message=message), self.assertRaises(Malformed):
                messages.decode(message)

    def test_a_kind_that_is_not_text_is_malformed(self) -> None:
        self.assertEqual(reason_of('{"kind":7,"audioData":{}}'), "kind: not a string")

    def test_deep_nesting_is_malformed(self) -> None:
        for bomb in (
            "[" * 100_000,
            '{"a":' * 100_000,
            '{"kind":"AudioData","audioData":{"data":' + "[" * 100_000,
        ):
            self.assertEqual(reason_of(bomb), "nested too deeply")
        bomb = '{"kind":"AudioData","audioData":{"x":' + "[" * 100_000 + "]" * 100_000 + "}}"
        self.assertEqual(reason_of(bomb), "nested too deeply")

    @given(st.one_of(st.binary(), st.text()))
    def test_arbitrary_messages_raise_nothing_but_skipped(self, message: bytes | str) -> None:
        with self.assertRaises(Skipped):
            messages.decode(message)

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
    names = st.sampled_from(
        [
            "kind",
            "audioData",
            "audioMetadata",
            "dtmfData",
            "data",
            "timestamp",
            "participantRawID",
            "silent",
            "sampleRate",
        ]
    )

    @given(
        st.dictionaries(
            names,
            json_values | st.dictionaries(names, json_values, max_size=6),
            max_size=6,
        ),
        st.sampled_from(["AudioData", "AudioMetadata", "DtmfData", "MarkData", None]),
    )
    def test_json_of_any_shape_is_decoded_or_skipped(
        self, value: dict[str, Any], kind: str | None
    ) -> None:
        try:
            decoded = messages.decode(json.dumps({**value, "kind": kind} if kind else value))
        except Skipped as skipped:
            self.assertLess(len(skipped.reason), 80)
        else:
            self.assertIsInstance(decoded, AudioData | AudioMetadata | DtmfData | Other)

    def test_reasons_never_repeat_the_payload(self) -> None:
        secret = "4:+15551234567"
        self.assertNotIn(secret, reason_of(audio_message(data=secret)))
        for member in ("timestamp", "silent"):
            decoded = messages.decode(audio_message(**{member: secret}))
            self.assertNotIn(secret, str(decoded))
        decoded = messages.decode(audio_message(participantRawID=secret + "\x00"))
        self.assertNotIn(secret, "".join(decoded.oddities))  # type: ignore[union-attr]

    def test_decoding_time_is_linear_in_the_length(self) -> None:
        for shape in ("{%s", '{"kind":"%s"}', audio_message(data="%s")):
            small, large = (
                self.seconds_for(shape.replace("%s", "!" * size)) for size in (20_000, 400_000)
            )
            # Twenty times the length: linear is 20, quadratic would be 400. The floor keeps timer
            # noise out.
            self.assertLess(large / max(small, 1e-4), 120)

    def seconds_for(self, message: str) -> float:
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            with self.assertRaises(Skipped):
                messages.decode(message)
            best = min(best, time.perf_counter() - start)
        return best
