"""One socket's journal files: full disk, rotation, close."""

from __future__ import annotations

import os

from streams.ingest.stream import MAX_DEFERRED
from streams.journal.files import JournalUnwritable
from streams.journal.records import Audio, Closed, Counts, Dtmf, Handshake, Metadata
from tests.streams.ingest.test_stream import NOT_JSON, StreamTestCase
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
    pcm_in,
    read,
)


class FullDisk(StreamTestCase):
    def fill(self, *, full: bool = True) -> None:
        fill_disk(self.stream, full=full)

    def test_loses_and_counts_only_the_packets_of_that_time(self) -> None:
        self.receive(metadata(), audio(at=0))
        self.fill()
        self.receive(audio(at=1), audio(at=2))
        self.fill(full=False)
        self.receive(audio(at=3))
        self.assertEqual((self.stream.tally.audio, self.stream.tally.unwritten), (2, 2))
        packets = [record for record in self.records(Audio) if isinstance(record, Audio)]
        self.assertEqual([packet.timestamp_us for packet in packets], [START_US, START_US + 60_000])

    def test_loses_no_voice(self) -> None:
        self.receive(metadata())
        self.fill()
        self.receive(audio(ALICE))
        self.fill(full=False)
        self.receive(audio(ALICE, at=1), audio(BOB, at=1))
        self.assertEqual(pcm_in(self.folder), {ALICE: PACKET, BOB: PACKET})

    def test_loses_no_metadata(self) -> None:
        self.fill()
        self.receive(metadata(24_000))
        self.fill(full=False)
        self.receive(audio(pcm=bytes(960)))
        self.assertEqual(self.kinds(), ["Handshake", "Metadata", "Voice", "Audio"])

    def test_loses_no_metadata_across_a_rotation(self) -> None:
        self.receive(metadata(), audio())
        self.fill()
        self.receive(metadata(24_000, "sub-2"))
        with self.assertRaises(JournalUnwritable):
            self.stream.rotate()
        self.fill(full=False)
        finished = self.stream.rotate()
        assert finished is not None
        os.close(finished)
        self.receive(audio(pcm=bytes(960), at=1))
        second = read(max(self.folder.iterdir()))
        self.assertEqual(
            [type(record).__name__ for record in second],
            ["Handshake", "Metadata", "Voice", "Audio"],
        )
        self.assertEqual([one.sample_rate for one in second if isinstance(one, Metadata)], [24_000])

    def test_bounds_the_deferred_tones(self) -> None:
        self.receive(metadata())
        self.fill()
        self.receive(*[dtmf()] * (MAX_DEFERRED + 3), audio(BOB))
        self.fill(full=False)
        self.receive(audio(BOB, at=1))
        self.assertEqual(len(self.records(Dtmf)), MAX_DEFERRED)
        self.assertEqual(self.stream.tally.unwritten, 3 + 1)
        self.assertEqual(pcm_in(self.folder), {BOB: PACKET})

    def test_does_not_prevent_closing(self) -> None:
        self.receive(metadata(), audio())
        self.fill()
        close(self.stream)
        self.assertEqual([path.suffix for path in self.folder.iterdir()], [".journal"])
        self.assertEqual(pcm_in(self.folder), {ALICE: PACKET})


class Rotating(StreamTestCase):
    def rotate(self) -> None:
        finished = self.stream.rotate()
        assert finished is not None, "the file holds something"
        os.close(finished)

    def test_a_file_without_audio_is_not_rotated(self) -> None:
        self.assertIsNone(self.stream.rotate())
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_every_file_can_be_read_alone(self) -> None:
        self.receive(metadata(), audio(ALICE), audio(BOB))
        self.rotate()
        self.receive(audio(BOB, at=1))
        first, second = sorted(self.folder.iterdir())
        self.assertEqual((first.suffix, second.suffix), (".journal", ".open"))
        self.assertEqual(
            [type(record).__name__ for record in read(second)],
            ["Handshake", "Metadata", "Voice", "Voice", "Audio"],
        )
        sequences = [record.sequence for record in self.records() if isinstance(record, Handshake)]
        self.assertEqual(sequences, [0, 1])

    def test_a_finished_file_ends_with_the_counts_so_far(self) -> None:
        self.receive(metadata(), audio(), NOT_JSON)
        self.rotate()
        self.assertEqual(
            read(min(self.folder.iterdir()))[-1], Counts(0, 1, 0, 0, 1, {"not JSON": 1})
        )

    def test_a_file_continues_if_the_next_cannot_be_created(self) -> None:
        self.receive(metadata(), audio())
        fill_disk(self.stream)
        with self.assertRaises(JournalUnwritable):
            self.stream.rotate()
        fill_disk(self.stream, full=False)
        self.receive(audio(at=1))
        self.assertEqual(pcm_in(self.folder), {ALICE: PACKET * 2})


class Closing(StreamTestCase):
    def test_counts_and_close_code_are_the_last_records(self) -> None:
        self.receive(metadata(), audio())
        close(self.stream, 1001)
        *_, counts, closed = self.records()
        self.assertEqual(counts, Counts(0, 1, 0, 0, 0, {}))
        assert isinstance(closed, Closed)
        self.assertEqual((closed.code, closed.reason), (1001, ""))
        self.assertEqual([path.suffix for path in self.folder.iterdir()], [".journal"])

    def test_our_reason_is_recorded(self) -> None:
        os.close(self.stream.close(4422, "no media in the first messages"))
        closed = self.records()[-1]
        assert isinstance(closed, Closed)
        self.assertEqual((closed.code, closed.reason), (4422, "no media in the first messages"))

    def test_a_message_after_the_end_is_written_to_no_file(self) -> None:
        self.receive(metadata(), audio())
        number = self.stream.journal.descriptor
        close(self.stream)
        other = self.folder / "some other file"
        with other.open("wb") as file:
            self.assertEqual(file.fileno(), number, "files get the lowest number that is free")
            self.receive(audio(at=1))
        self.assertEqual(other.read_bytes(), b"")
        self.assertEqual(self.stream.tally.unwritten, 1)

    def test_closing_twice_is_an_assertion_error(self) -> None:
        close(self.stream)
        with self.assertRaises(AssertionError):
            self.stream.close(1000)
