"""The JSON that the simulator sends, compared with that of ACS."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator import wire
from streams.simulator.scenario.schedule import AudioFormat

TIMESTAMP_US = 1_664_824_572_925_000


class WireTests(TestCase):
    def test_metadata_is_written_as_acs_writes_it(self) -> None:
        self.assertEqual(
            wire.audio_metadata("4af370df-3868-461f-8242-91f077a6f8a6", AudioFormat(16000, 640)),
            '{"kind":"AudioMetadata","audioMetadata":'
            '{"subscriptionId":"4af370df-3868-461f-8242-91f077a6f8a6","encoding":"PCM","sampleRate":16000,"channels":1,"length":640}}',
        )

    def test_an_unmixed_packet_is_written_as_acs_writes_it(self) -> None:
        self.assertEqual(
            wire.audio_data(TIMESTAMP_US, "8:acs:3d20e1de", b"\x01\x02", silent=False),
            '{"kind":"AudioData","audioData":{"timestamp":"2022-10-03T19:16:12.925Z",'
            '"participantRawID":"8:acs:3d20e1de","data":"AQI=","silent":false}}',
        )

    def test_a_mixed_packet_names_nobody(self) -> None:
        self.assertNotIn("participantRawID", wire.audio_data(TIMESTAMP_US, "", b"", silent=True))

    def test_none_omits_a_member(self) -> None:
        message = wire.audio_data(None, "", b"", silent=None)
        self.assertEqual(message, '{"kind":"AudioData","audioData":{"data":""}}')
        self.assertNotIn("length", wire.audio_metadata("s", AudioFormat(16000, None)))

    def test_a_tone_is_written_as_acs_writes_it(self) -> None:
        self.assertEqual(wire.dtmf_data("#"), '{"kind":"DtmfData","dtmfData":{"data":"#"}}')

    @given(st.integers(0, 4_000_000_000_000_000))
    def test_a_timestamp_has_three_digits_and_is_rounded_down(self, moment_us: int) -> None:
        text = wire.timestamp(moment_us)
        self.assertRegex(text, re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"))
        moment = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
        self.assertEqual(
            moment.days * 86_400_000 + moment.seconds * 1000 + moment.microseconds // 1000,
            moment_us // 1000,
        )
