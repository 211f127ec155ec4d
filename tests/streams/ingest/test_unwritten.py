"""What a full disk did not take: the journal says so afterwards, and the gap says why."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase

from streams.journal.records import Audio, Handshake, Metadata, Record, Unwritten, Voice
from streams.sealing import digest as sealing
from streams.sealing.digest import StreamState
from tests.streams.packets import RATE, START_US, speech
from tests.streams.streams import audio, close, fill_disk, metadata, open_stream, records_in

HANDSHAKE = Handshake("s", "00000000-0000-0000-0000-000000000001", "c", "", START_US, 10.0)
PACKET_US = 20_000


class WhatTheDiskDidNotTake(SimpleTestCase):
    def test_is_a_gap_that_says_so(self) -> None:
        lost = Unwritten(START_US + 100 * PACKET_US, START_US + 149 * PACKET_US, 50)
        self.assertEqual(
            self.reasons([*self.spoken(0, 100), lost, *self.spoken(150, 300)]), ["not_written"]
        )

    def test_does_not_explain_another_gap(self) -> None:
        lost = Unwritten(START_US + 10 * PACKET_US, START_US + 10 * PACKET_US, 1)
        self.assertEqual(
            self.reasons([*self.spoken(0, 100), lost, *self.spoken(150, 300)]), ["not_received"]
        )

    def test_explains_a_gap_that_a_later_file_decides(self) -> None:
        state = StreamState()
        lost = Unwritten(START_US + 100 * PACKET_US, START_US + 149 * PACKET_US, 50)
        self.reasons([*self.spoken(0, 100), lost], state)
        state = sealing.load(sealing.dump(state))
        self.assertEqual(self.reasons(self.spoken(150, 300), state), ["not_written"])

    def reasons(self, records: list[Record], state: StreamState | None = None) -> list[str]:
        metadata = Metadata(0, START_US, "sub", "PCM", RATE, 1, 640.0)
        state = state or StreamState()
        digest = sealing.digest(
            [HANDSHAKE, metadata, Voice(0, "p"), *records], HANDSHAKE, state, last=False
        )
        return [gap.reason for _, gap in digest.gaps]

    def spoken(self, first: int, end: int) -> list[Record]:
        packets = speech(end)[first:]
        return [Audio(packet.timestamp_us, START_US, 0, False, packet.pcm) for packet in packets]


class AStreamOnAFullDisk(SimpleTestCase):
    def test_says_what_was_not_written_before_it_goes_on(self) -> None:
        with TemporaryDirectory() as folder:
            stream = open_stream(Path(folder))
            stream.receive(metadata())
            stream.receive(audio(at=0))
            fill_disk(stream)
            for number in (1, 2, 3):
                stream.receive(audio(at=number))
            fill_disk(stream, full=False)
            stream.receive(audio(at=4))
            close(stream)
            told = [
                record
                for record in records_in(Path(folder))
                if isinstance(record, Audio | Unwritten)
            ]
        first, unwritten, second = told
        assert isinstance(unwritten, Unwritten), "what was lost is told where it was lost"
        assert isinstance(first, Audio), "packets around it are there"
        assert isinstance(second, Audio), "packets around it are there"
        assert first.timestamp_us, "the packets have timestamps"
        self.assertEqual(unwritten.packets, 3)
        self.assertEqual(unwritten.first_us, first.timestamp_us + PACKET_US)
        self.assertEqual(unwritten.last_us, first.timestamp_us + 3 * PACKET_US)
