"""Journals read as scripts and replayed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import IsolatedAsyncioTestCase, TestCase
from uuid import UUID

from streams.journal import files, records
from streams.simulator.errors import UnusableCapture
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.scenario.capture import read_capture
from streams.simulator.scenario.schedule import (
    Announce,
    AudioFormat,
    Disconnect,
    Press,
    Reconnect,
    Say,
)
from tests.streams.fake_recorder import FakeRecorder, recording

CALLER, AGENT = "4:+15550100142", "8:acs:1_2"
START = 1_700_000_000_000_000
MS = 1000


class Captured(TestCase):
    """A folder for journals, and methods that write them."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def socket(self, number: int = 1, at_ms: int = 0, rate: int = 16000) -> files.Journal:
        """Opens a journal with metadata and two voices, whose order alternates between sockets."""
        connected_at_us = START + at_ms * MS
        shake = records.Handshake(
            str(UUID(int=number)),
            str(UUID(int=9)),
            "connection",
            "correlation",
            connected_at_us,
            10,
        )
        opened = files.Journal(self.folder, shake)
        opened.append(
            records.Metadata(0, connected_at_us, "subscription", "PCM", rate, 1, rate / 25)
        )
        for index, raw_id in enumerate((CALLER, AGENT) if number % 2 else (AGENT, CALLER)):
            opened.append(records.Voice(index, raw_id))
        return opened

    def finish(self, opened: files.Journal) -> list[Path]:
        os.close(opened.finish())
        return sorted(self.folder.glob("*.journal"))


def say(opened: files.Journal, at_ms: int, voice: int, pcm: bytes, *, silent: bool = False) -> None:
    opened.append_audio(
        [records.Audio(START + at_ms * MS - 70_000, START + at_ms * MS, voice, silent, pcm)]
    )


class ReadCaptureTests(Captured):
    def test_packets_are_replayed_at_their_times_with_their_timestamps(self) -> None:
        opened = self.socket()
        say(opened, 100, 0, b"ab")
        say(opened, 125, 1, b"cdef", silent=True)
        say(opened, 140, 0, b"gh")
        capture = read_capture(self.finish(opened))
        expected = [
            Say(0, START + 30 * MS, 0, 0, silent=False),
            Say(25 * MS, START + 55 * MS, 1, 0, silent=True),
            Say(40 * MS, START + 70 * MS, 0, 1, silent=False),
        ]
        self.assertEqual(list(capture.events(0)), expected)
        self.assertEqual([voice.raw_id for voice in capture.voices], [CALLER, AGENT])
        self.assertEqual(capture.voices[0].sound.packet(1), b"gh")
        self.assertEqual(capture.metadata, AudioFormat(16000, 640))

    def test_the_files_of_a_socket_are_one_script_in_any_order(self) -> None:
        opened = self.socket()
        say(opened, 0, 0, b"ab")
        os.close(opened.rotate())
        say(opened, 20, 0, b"cd")
        capture = read_capture(self.finish(opened)[::-1])
        self.assertEqual([event.at_us for event in capture.events(0)], [0, 20 * MS])
        self.assertEqual(
            [capture.voices[0].sound.packet(number) for number in (0, 1)], [b"ab", b"cd"]
        )

    def test_a_second_socket_of_the_call_is_a_reconnect(self) -> None:
        first = self.socket(1)
        say(first, 0, 0, b"ab")
        first.append(records.Closed(START + 50 * MS, 1006))
        self.finish(first)
        second = self.socket(2, at_ms=500)
        say(second, 520, 1, b"cd")
        capture = read_capture(self.finish(second))
        kinds = [(type(event), event.at_us) for event in capture.events(0)]
        self.assertEqual(
            kinds, [(Say, 0), (Disconnect, 50 * MS), (Reconnect, 500 * MS), (Say, 520 * MS)]
        )
        # Voice 1 of the second socket is the caller too.
        self.assertEqual(capture.voices[0].sound.packet(1), b"cd")

    def test_a_change_of_rate_in_mid_call_is_announced_again(self) -> None:
        opened = self.socket()
        say(opened, 0, 0, b"ab")
        opened.append(records.Metadata(1, START + 10 * MS, "another", "PCM", 24000, 1, 960))
        say(opened, 20, 0, b"cd")
        found = list(read_capture(self.finish(opened)).events(0))
        self.assertEqual(found[1], Announce(10 * MS, AudioFormat(24000, 960)))

    def test_metadata_that_the_next_file_repeats_is_not_announced_again(self) -> None:
        opened = self.socket()
        say(opened, 0, 0, b"ab")
        opened.append(records.Metadata(1, START + 10 * MS, "another", "PCM", 24000, 1, 960))
        os.close(opened.rotate())
        say(opened, 20, 0, b"cd")
        found = [type(event) for event in read_capture(self.finish(opened)).events(0)]
        self.assertEqual(found, [Say, Announce, Say])

    def test_packets_of_a_voice_whose_name_is_damaged_are_left_out_and_counted(self) -> None:
        first = self.socket(1)
        say(first, 0, 0, b"ab")
        self.finish(first)
        second = self.socket(3, at_ms=100)
        say(second, 120, 0, b"cd")
        say(second, 120, 1, b"ef")
        path = self.finish(second)[1]
        path.write_bytes(path.read_bytes().replace(CALLER.encode(), b"x" * len(CALLER)))
        capture = read_capture(sorted(self.folder.glob("*.journal")))
        said = {voice.raw_id: voice.sound.packet_count for voice in capture.voices}
        self.assertEqual(said, {CALLER: 1, AGENT: 1})
        (record,) = (record for record in files.read(path) if isinstance(record, records.Damage))
        self.assertEqual(capture.damaged_bytes, record.end - record.start + len(b"cd"))

    def test_tones_come_again(self) -> None:
        opened = self.socket()
        say(opened, 0, 0, b"ab")
        opened.append(records.Dtmf(START + 30 * MS, "5"))
        self.assertIn(Press(30 * MS, "5"), list(read_capture(self.finish(opened)).events(0)))

    def test_timestamps_can_be_moved_and_keep_their_distances(self) -> None:
        opened = self.socket()
        say(opened, 0, 0, b"ab")
        say(opened, 20, 0, b"cd")
        opened.append_audio([records.Audio(None, START + 40 * MS, 0, silent=False, pcm=b"ef")])
        events = read_capture(self.finish(opened), restamped_us=7_000_000).events(0)
        stamps = [event.timestamp_us for event in events if isinstance(event, Say)]
        self.assertEqual(stamps, [7_000_000, 7_020_000, None])

    def test_a_torn_tail_is_left_out_and_counted(self) -> None:
        opened = self.socket()
        say(opened, 0, 0, b"ab")
        say(opened, 20, 0, b"cd")
        (path,) = self.finish(opened)
        path.write_bytes(path.read_bytes()[:-1])
        capture = read_capture([path])
        self.assertEqual(len(list(capture.events(0))), 1)
        self.assertGreater(capture.damaged_bytes, 0)

    def test_a_file_that_is_missing_no_journal_or_without_audio_is_refused_by_name(self) -> None:
        text = self.folder / "text"
        text.write_text("no journal")
        (silent,) = self.finish(self.socket())
        for path in (self.folder / "missing", text, silent):
            with self.assertRaisesRegex(UnusableCapture, path.name):
                read_capture([path])


class ReplayTests(Captured, IsolatedAsyncioTestCase):
    async def test_a_replayed_call_sends_every_byte_that_was_captured(self) -> None:
        opened = self.socket(rate=24000)
        packets = [bytes([number]) * 960 for number in range(20)]
        for number, pcm in enumerate(packets):
            say(opened, number * 20, number % 2, pcm)
        capture = read_capture(self.finish(opened))
        async with recording(FakeRecorder()) as recorder:
            report = await play(Plan(recorder.url, (PlannedCall(capture),), speed=0))
        socket = recorder.sockets[0]
        self.assertTrue(report.complete)
        self.assertEqual(socket.messages[0]["audioMetadata"]["sampleRate"], 24000)
        self.assertEqual(socket.pcm(), b"".join(packets))
        self.assertEqual(socket.pcm(AGENT), b"".join(packets[1::2]))
