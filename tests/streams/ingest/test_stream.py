"""One socket's messages: journal records, counts, and reasons to close the socket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase, mock

from msgspec import structs

from streams.ingest import stream as module
from streams.ingest.packets import ODD_TIMESTAMP, UnsupportedAudio
from streams.ingest.stream import MAX_SUBSCRIPTIONS, MAX_VOICES, NO_MEDIA_MESSAGES, NoMedia, Stream
from streams.journal.records import (
    Alarm,
    Audio,
    Counts,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Unwritten,
    Voice,
)
from tests.streams.streams import (
    ALICE,
    BOB,
    PACKET,
    START_US,
    audio,
    close,
    dtmf,
    fill_disk,
    metadata,
    open_stream,
    pcm_in,
    records_in,
)

NOT_JSON = "no JSON"
FLAT_FORM = json.dumps({"participantId": "x", "isSilence": False})


def odd_audio() -> str:
    """Returns a packet with the default of .NET as its timestamp."""
    return audio().replace("2022-10-03T19:16:12.925", "0001-01-01T00:00:00")


class StreamTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.stream = open_stream(self.folder)
        self.addCleanup(self._close)

    def _close(self) -> None:
        if self.stream.closed is None:
            close(self.stream)

    def receive(self, *messages: str | bytes) -> Stream:
        for message in messages:
            self.stream.receive(message)
        return self.stream

    def records(self, kind: type[Record] | None = None) -> list[Record]:
        return [
            record for record in records_in(self.folder) if kind is None or isinstance(record, kind)
        ]

    def kinds(self) -> list[str]:
        return [type(record).__name__ for record in self.records()]


class Receiving(StreamTestCase):
    def test_a_packet_follows_its_metadata_and_its_voice(self) -> None:
        self.receive(metadata(), audio())
        self.assertEqual(self.kinds(), ["Handshake", "Metadata", "Voice", "Audio"])
        [packet] = self.records(Audio)
        assert isinstance(packet, Audio)
        self.assertEqual(
            (packet.timestamp_us, packet.voice, packet.silent, packet.pcm),
            (START_US, 0, False, PACKET),
        )

    def test_text_and_binary_are_recorded_alike(self) -> None:
        self.receive(metadata().encode(), audio().encode(), audio(at=1))
        self.assertEqual(pcm_in(self.folder), {ALICE: PACKET * 2})
        self.assertEqual(self.stream.tally.audio, 2)

    def test_each_voice_is_recorded_once(self) -> None:
        self.receive(metadata(), audio(ALICE), audio(BOB), audio(ALICE, at=1), audio(BOB, at=1))
        self.assertEqual(self.records(Voice), [Voice(0, ALICE), Voice(1, BOB)])

    def test_mixed_audio_is_a_voice_without_a_raw_id(self) -> None:
        self.receive(metadata(), audio(""))
        self.assertEqual(pcm_in(self.folder), {"": PACKET})

    def test_a_silent_packet_without_samples_is_kept(self) -> None:
        self.receive(metadata(), audio(pcm=b"", silent=True))
        [packet] = self.records(Audio)
        assert isinstance(packet, Audio)
        self.assertEqual((packet.silent, packet.pcm), (True, b""))

    def test_an_odd_byte_is_cut_off_and_counted(self) -> None:
        self.receive(metadata(), audio(pcm=PACKET + b"\x01"))
        self.assertEqual(pcm_in(self.folder), {ALICE: PACKET})
        self.assertEqual((self.stream.tally.audio, self.stream.tally.odd_bytes), (1, 1))

    def test_a_tone_is_recorded(self) -> None:
        self.receive(metadata(), dtmf("#"))
        self.assertEqual(
            [tone.tone for tone in self.records(Dtmf) if isinstance(tone, Dtmf)], ["#"]
        )
        self.assertEqual(self.stream.tally.dtmf, 1)

    def test_a_documented_kind_without_media_is_neither_unknown_nor_malformed(self) -> None:
        tally = self.receive('{"kind":"MarkData","markData":{"id":"1","status":"completed"}}').tally
        self.assertEqual((tally.other, tally.unknown, tally.malformed), (1, 0, 0))

    def test_skipped_messages_are_counted_by_reason_and_reading_continues(self) -> None:
        bad_data = audio().replace('"data":"', '"data":"!')
        tally = self.receive(
            metadata(), NOT_JSON, FLAT_FORM, bad_data, bad_data, "[]", b"\xff", audio()
        ).tally
        self.assertEqual((tally.unknown, tally.malformed, tally.audio), (1, 5, 1))
        reasons = {
            "not JSON": 2,  # also the single byte
            "audioData: data: wrong type or value": 2,
            "not a JSON object": 1,
        }
        self.assertEqual(tally.reasons, reasons)

    def test_a_packet_with_an_odd_timestamp_is_recorded_like_one_without_and_counted(self) -> None:
        self.receive(metadata(), audio(), odd_audio(), odd_audio())
        packets = [record for record in self.records(Audio) if isinstance(record, Audio)]
        timestamps = [packet.timestamp_us for packet in packets]
        self.assertEqual(timestamps, [START_US, None, None])
        self.assertEqual(pcm_in(self.folder), {ALICE: 3 * PACKET})
        tally = self.stream.tally
        self.assertEqual((tally.audio, tally.malformed, tally.odd_timestamp), (3, 0, 2))
        self.assertEqual(tally.oddities, {ODD_TIMESTAMP: 2})

    def test_other_oddities_are_counted_by_reason_only(self) -> None:
        tally = self.receive(metadata(), audio().replace("false", '"false"')).tally
        self.assertEqual((tally.audio, tally.odd_timestamp), (1, 0))
        self.assertEqual(tally.oddities, {"audioData: silent: not true or false": 1})
        self.assertEqual(tally.reasons, {})

    def test_the_first_513_participants_are_512_voices_and_a_malformed_message(self) -> None:
        self.receive(
            metadata(),
            *(audio(f"4:+{number}") for number in range(MAX_VOICES + 1)),
            audio("4:+0", at=1),
        )
        tally = self.stream.tally
        self.assertEqual(
            (len(self.stream.speakers), tally.audio, tally.malformed),
            (MAX_VOICES, MAX_VOICES + 1, 1),
        )
        self.assertEqual(tally.reasons["audioData: participantRawID: too many participants"], 1)


class OneRead(StreamTestCase):
    """The messages of one read of the socket."""

    def test_is_one_write(self) -> None:
        self.receive(metadata(), audio(ALICE), audio(BOB))
        with mock.patch("os.write", wraps=os.write) as write:
            self.stream.receive(audio(ALICE, at=1), audio(BOB, at=1), audio(ALICE, at=2))
        self.assertEqual(write.call_count, 1)
        self.assertEqual(self.stream.tally.audio, 5)

    def test_has_the_same_result_as_single_messages(self) -> None:
        messages = [
            metadata(),
            audio(ALICE),
            NOT_JSON,
            audio(BOB),
            dtmf(),
            audio(ALICE, at=1),
            metadata(24_000),
        ]
        messages += [audio(ALICE, at=2), FLAT_FORM, audio(BOB, at=2)]
        self.receive(*messages)
        other = open_stream(Path(self.enterContext(TemporaryDirectory())))
        other.receive(*messages)
        close(other)
        close(self.stream)
        self.assertEqual(other.tally, self.stream.tally)
        self.assertEqual(other.counts(), self.stream.counts())
        found = [normalized(record) for record in self.records()]
        self.assertEqual(
            [normalized(record) for record in records_in(other.journal._folder)], found
        )
        self.assertEqual(other.speakers[ALICE].seconds, self.stream.speakers[ALICE].seconds)

    def test_is_written_up_to_the_message_that_ends_the_socket(self) -> None:
        with self.assertRaises(UnsupportedAudio):
            self.stream.receive(
                metadata(), audio(at=0), audio(at=1), metadata(encoding="opus"), audio(at=2)
            )
        self.assertEqual(pcm_in(self.folder), {ALICE: 2 * PACKET})

    def test_is_lost_on_a_full_disk_and_each_packet_counted(self) -> None:
        self.receive(metadata(), audio(at=0))
        fill_disk(self.stream)
        self.stream.receive(audio(at=1), audio(at=2), audio(at=3))
        fill_disk(self.stream, full=False)
        self.stream.receive(audio(at=4), audio(at=5))
        self.assertEqual((self.stream.tally.audio, self.stream.tally.unwritten), (3, 3))
        (deferred,) = self.records(Unwritten)
        stamps = START_US + 20_000, START_US + 60_000
        self.assertEqual(deferred, Unwritten(*stamps, 3, {0: 3}, {0: stamps}))
        self.assertEqual(pcm_in(self.folder), {ALICE: 3 * PACKET})

    def test_is_lost_with_a_deferred_alarm_in_its_place(self) -> None:
        self.receive(metadata(), audio(at=0))
        fill_disk(self.stream)
        self.stream.receive(audio(at=1))
        self.stream.note(Alarm("not_written", None, START_US))
        self.stream.receive(audio(at=2))
        self.assertEqual(self.records(Alarm), [])
        fill_disk(self.stream, full=False)
        self.stream.receive(audio(at=3))
        kinds = [type(record) for record in records_in(self.folder)][-4:]
        self.assertEqual(kinds, [Unwritten, Alarm, Unwritten, Audio])


def normalized(record: Record) -> Record:
    """Removes differences between two sockets and two clocks."""
    times: dict[str, Any] = {
        name: 0 for name in ("at_us", "arrived_us") if name in record.__struct_fields__
    }
    if isinstance(record, Handshake):
        return structs.replace(record, stream_id="")
    return structs.replace(record, **times)


class Subscriptions(StreamTestCase):
    def subscriptions(self) -> list[tuple[int, str, int]]:
        found = [record for record in self.records(Metadata) if isinstance(record, Metadata)]
        return [(record.index, record.subscription_id, record.sample_rate) for record in found]

    def test_later_metadata_begins_a_subscription_with_its_own_counts(self) -> None:
        self.receive(
            metadata(),
            audio(),
            dtmf(),
            NOT_JSON,
            metadata(24_000, "sub-2"),
            audio(at=1),
            audio(at=2),
        )
        self.assertEqual(self.subscriptions(), [(0, "sub-1", 16_000), (1, "sub-2", 24_000)])
        counts = [(one.index, one.audio, one.dtmf, one.malformed) for one in self.stream.counts()]
        self.assertEqual(counts, [(0, 1, 1, 1), (1, 2, 0, 0)])
        self.assertEqual(self.records(Counts), [self.stream.counts()[0]])

    def test_odd_timestamps_are_counted_by_subscription(self) -> None:
        self.receive(metadata(), odd_audio(), odd_audio(), metadata(24_000, "sub-2"), odd_audio())
        self.assertEqual([one.odd_timestamp for one in self.stream.counts()], [2, 1])
        self.assertEqual(self.stream.counts()[1].oddities, {ODD_TIMESTAMP: 3}, "of the socket")

    def test_seconds_are_counted_at_the_current_rate(self) -> None:
        one_second = bytes(32_000)
        self.receive(
            metadata(16_000), audio(pcm=one_second), metadata(8_000, "sub-2"), audio(pcm=one_second)
        )
        self.assertEqual(self.stream.speakers[ALICE].seconds, 1.0 + 2.0)

    def test_the_rate_of_audio_before_metadata_is_inferred_from_its_size(self) -> None:
        for size, rate in ((640, 16_000), (960, 24_000)):
            with self.subTest(rate), TemporaryDirectory() as folder:
                stream = open_stream(Path(folder))
                stream.receive(audio(pcm=bytes(size)))
                self.assertEqual([one.sample_rate for one in stream.metadata], [rate])
                close(stream)
                self.assertEqual(pcm_in(Path(folder)), {ALICE: bytes(size)})

    def test_metadata_after_audio_is_another_subscription(self) -> None:
        self.receive(audio(), metadata())
        self.assertEqual(self.subscriptions(), [(0, "", 16_000), (1, "sub-1", 16_000)])

    def test_audio_before_metadata_with_an_unknown_size_is_malformed(
        self,
    ) -> None:
        tally = self.receive(audio(pcm=bytes(320)), metadata(), audio()).tally
        self.assertEqual((tally.malformed, tally.audio), (1, 1))
        self.assertEqual(tally.reasons["audioData: audio before metadata"], 1)
        self.assertEqual(pcm_in(self.folder), {ALICE: PACKET})

    def test_unsupported_audio_ends_the_socket_with_a_reason(self) -> None:
        with self.assertRaises(UnsupportedAudio) as caught:
            self.receive(metadata(encoding="OPUS"))
        self.assertEqual(
            caught.exception.reason, "audioMetadata: encoding: only PCM can be recorded"
        )
        self.assertEqual(self.stream.tally.malformed, 1)

    def test_endless_metadata_ends_the_socket(self) -> None:
        self.receive(*[metadata()] * MAX_SUBSCRIPTIONS)
        with self.assertRaises(UnsupportedAudio):
            self.receive(metadata())
        self.assertEqual(len(self.stream.metadata), MAX_SUBSCRIPTIONS)


class SocketWithoutMedia(StreamTestCase):
    def test_is_closed_at_the_thousandth_message(self) -> None:
        self.receive(*[NOT_JSON, FLAT_FORM] * (NO_MEDIA_MESSAGES // 2 - 1), NOT_JSON)
        self.assertEqual(
            self.stream.tally.unknown + self.stream.tally.malformed, NO_MEDIA_MESSAGES - 1
        )
        with self.assertRaises(NoMedia):
            self.receive(FLAT_FORM)

    def test_is_not_closed_after_a_message_of_a_known_kind(self) -> None:
        for first in (metadata(), audio(), dtmf(), '{"kind":"MarkData"}'):
            with self.subTest(first[:30]), TemporaryDirectory() as folder:
                stream = open_stream(Path(folder))
                for message in [first, *[NOT_JSON] * NO_MEDIA_MESSAGES]:
                    stream.receive(message)
                self.assertEqual(stream.tally.malformed, NO_MEDIA_MESSAGES)
                close(stream)

    def test_is_not_closed_because_of_our_full_disk(self) -> None:
        fill_disk(self.stream)
        self.receive(audio(), *[NOT_JSON] * NO_MEDIA_MESSAGES)
        self.assertEqual(self.stream.tally.unwritten, 1)


class Time(TestCase):
    def test_is_microseconds_since_the_epoch(self) -> None:
        self.assertGreater(module.microseconds_now(), START_US)
