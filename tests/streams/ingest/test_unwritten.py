"""Packets lost on a full disk: recorded in the journal afterwards, and the reason of their gap."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase

from streams.journal.records import Audio, Handshake, Metadata, Record, Unwritten, Voice
from streams.sealing.digest import StreamState, digest_of, dump_state, load_state
from tests.streams.packets import RATE, START_US, speech
from tests.streams.streams import audio, close, fill_disk, metadata, open_stream, records_in

HANDSHAKE = Handshake("s", "00000000-0000-0000-0000-000000000001", "c", "", START_US, 10.0)
PACKET_US = 20_000


class LostPackets(SimpleTestCase):
    def test_are_a_gap_with_that_reason(self) -> None:
        lost = Unwritten(START_US + 100 * PACKET_US, START_US + 149 * PACKET_US, 50)
        self.assertEqual(
            self.reasons([*self.audio_records(0, 100), lost, *self.audio_records(150, 300)]),
            ["not_written"],
        )

    def test_are_not_the_reason_of_another_gap(self) -> None:
        lost = Unwritten(START_US + 10 * PACKET_US, START_US + 10 * PACKET_US, 1)
        self.assertEqual(
            self.reasons([*self.audio_records(0, 100), lost, *self.audio_records(150, 300)]),
            ["not_received"],
        )

    def test_are_the_reason_of_a_gap_found_with_a_later_file(self) -> None:
        state = StreamState()
        lost = Unwritten(START_US + 100 * PACKET_US, START_US + 149 * PACKET_US, 50)
        self.reasons([*self.audio_records(0, 100), lost], state)
        state = load_state(dump_state(state))
        self.assertEqual(self.reasons(self.audio_records(150, 300), state), ["not_written"])

    def reasons(self, records: list[Record], state: StreamState | None = None) -> list[str]:
        metadata = Metadata(0, START_US, "sub", "PCM", RATE, 1, 640.0)
        state = state or StreamState()
        digest = digest_of(
            [HANDSHAKE, metadata, Voice(0, "p"), *records], HANDSHAKE, state, last=False
        )
        return [gap.reason for _, gap in digest.gaps]

    def audio_records(self, first: int, end: int) -> list[Record]:
        packets = speech(end)[first:]
        return [Audio(packet.timestamp_us, START_US, 0, False, packet.pcm) for packet in packets]


class StreamOnAFullDisk(SimpleTestCase):
    def test_records_the_lost_packets_before_it_continues(self) -> None:
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
            found = [
                record
                for record in records_in(Path(folder))
                if isinstance(record, Audio | Unwritten)
            ]
        first, unwritten, second = found
        assert isinstance(unwritten, Unwritten), "the loss is recorded in its place"
        assert isinstance(first, Audio), "the packet before it is recorded"
        assert isinstance(second, Audio), "the packet after it is recorded"
        assert first.timestamp_us, "the packets have timestamps"
        self.assertEqual(unwritten.packets, 3)
        self.assertEqual(unwritten.first_us, first.timestamp_us + PACKET_US)
        self.assertEqual(unwritten.last_us, first.timestamp_us + 3 * PACKET_US)
