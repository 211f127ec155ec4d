"""The journal: appended records are read back, despite full disks, killed processes and flipped
bits.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase
from unittest.mock import patch
from zlib import crc32

from django.test import tag
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from streams.journal import records as journal
from streams.journal.files import Journal, JournalUnwritable
from streams.journal.records import (
    MAGIC,
    MARKER,
    Alarm,
    Audio,
    Closed,
    Counts,
    Damage,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Unwritten,
    Voice,
)
from tests.streams.journals import (
    Socket,
    audio_of,
    damage_in,
    handshake_of,
    intact,
    metadata_of,
    names_in,
    read,
)
from tests.streams.packets import START_US, speech

texts = st.text(max_size=40)
microseconds = st.integers(-(2**62), 2**62)
counts = st.integers(0, 2**53)
indexes = st.integers(0, 2**16 - 1)
metadata = st.builds(
    Metadata,
    counts,
    microseconds,
    texts,
    texts,
    counts,
    counts,
    st.none() | st.floats(0, 1e6, allow_nan=False),
)
voices = st.builds(Voice, indexes, texts)
packets = st.builds(
    Audio,
    st.none() | microseconds,
    microseconds,
    st.integers(0, 2**16 - 1),
    st.booleans(),
    st.binary(max_size=1500),
)
reasons = st.dictionaries(texts, counts, max_size=3)
lost = st.dictionaries(indexes, counts, max_size=3)
stamps = st.dictionaries(indexes, st.tuples(microseconds, microseconds), max_size=3)
others = st.one_of(
    st.builds(Dtmf, microseconds, texts),
    st.builds(Counts, counts, counts, counts, counts, counts, reasons, counts, reasons),
    st.builds(Closed, microseconds, st.none() | counts, texts),
    st.builds(Unwritten, microseconds, microseconds, counts, lost, stamps),
    st.builds(Alarm, texts, st.none() | counts, microseconds, st.none() | microseconds),
)
records = st.lists(st.one_of(metadata, voices, packets, others), max_size=12)


def append(target: Journal, record: Record) -> None:
    if isinstance(record, Audio):
        target.append_audio([record])
    else:
        assert not isinstance(record, Handshake | Damage), (
            "the journal writes handshakes itself, and damage is never written"
        )
        target.append(record)


def encoded(kind: int, body: bytes) -> bytes:
    head = struct.pack("<2sBBI", MARKER, kind, 0, len(body))
    return head + body + struct.pack("<I", crc32(head + body))


def spans(content: bytes) -> list[tuple[int, int]]:
    """Returns the first byte of each record and the byte after its last."""
    place, found = len(MAGIC), []
    while place < len(content):
        end = place + 8 + struct.unpack_from("<I", content, place + 4)[0] + 4
        found.append((place, end))
        place = end
    return found


@tag("once")
class JournalTest(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="acsmedia-journal-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def written(self, records: list[Record]) -> tuple[Handshake, bytes]:
        """Returns the handshake and the content of a file with these records."""
        handshake = handshake_of()
        target = Journal(self.folder, handshake)
        for record in records:
            append(target, record)
        os.close(target.finish())
        (path,) = self.folder.glob(f"{handshake.stream_id}.*")
        content = path.read_bytes()
        path.unlink()
        return handshake, content


class RoundTrip(JournalTest):
    @given(records)
    def test_every_record_is_read_back_unchanged(self, records: list[Record]) -> None:
        handshake, content = self.written(records)
        self.assertEqual(list(journal.parse(content)), [handshake, *records])

    def test_an_open_file_can_be_read(self) -> None:
        socket = Socket(self.folder)
        self.addCleanup(socket.die)
        for packet in speech(3):
            socket.say([packet])
            self.assertEqual(read(socket.path(".open"))[-1], audio_of(packet))

    def test_size_and_bytes_written_match_the_disk(self) -> None:
        socket = Socket(self.folder).say(speech(5))
        first = socket.path(".open").stat().st_size
        self.assertEqual(socket.journal.size, first)
        socket.rotate()
        socket.say(speech(1))
        self.assertEqual(socket.journal.size, socket.path(".open").stat().st_size)
        socket.die()
        self.assertGreater(socket.journal.bytes_written, 6 * 640)


class UnwrittenPackets(TestCase):
    def test_are_counted_by_voice_with_their_timestamps(self) -> None:
        def packet(voice: int, number: int) -> Audio:
            return Audio(START_US + number, 0, voice, silent=False, pcm=b"")

        record = Unwritten.of(packet(0, 5))
        for one in (packet(1, 9), packet(0, 2), packet(0, 7)):
            record = record.with_packet(one)
        stamps = {0: (START_US + 2, START_US + 7), 1: (START_US + 9, START_US + 9)}
        expected = Unwritten(START_US + 2, START_US + 9, 4, {0: 3, 1: 1}, stamps)
        self.assertEqual(record, expected)

    def test_of_a_voice_have_no_timestamps_if_one_of_them_has_none(self) -> None:
        untimed = Audio(None, START_US + 3, 0, silent=False, pcm=b"")
        timed = Audio(START_US, 0, 0, silent=False, pcm=b"")
        for first, *later in ([untimed, timed], [timed, untimed, timed]):
            record = Unwritten.of(first)
            for one in later:
                record = record.with_packet(one)
            number = len(later) + 1
            self.assertEqual(record, Unwritten(START_US, START_US + 3, number, {0: number}))


class Files(JournalTest):
    def test_suffixes_are_open_and_journal(self) -> None:
        socket = Socket(self.folder).say(speech(1))
        self.assertEqual(names_in(self.folder), ["000000.open"])
        socket.rotate()
        self.assertEqual(names_in(self.folder), ["000000.journal", "000001.open"])
        socket.close()
        self.assertEqual(names_in(self.folder), ["000000.journal", "000001.journal"])

    def test_every_file_repeats_handshake_current_metadata_and_voices(self) -> None:
        socket = Socket(self.folder).say([*speech(1), *speech(1, participant="q")])
        socket.announce(metadata_of(1, 24_000))
        socket.rotate()
        socket.rotate()
        path = socket.die()
        preamble = [
            structs.replace(socket.handshake, sequence=2),
            metadata_of(1, 24_000),
            Voice(0, "p"),
            Voice(1, "q"),
        ]
        self.assertEqual(read(path), preamble)

    def test_a_file_with_nothing_but_its_preamble_has_no_audio(self) -> None:
        socket = Socket(self.folder).say(speech(1))
        self.assertTrue(socket.journal.has_audio)
        socket.rotate()
        self.assertFalse(socket.journal.has_audio)
        socket.say(speech(1))
        self.assertTrue(socket.journal.has_audio)
        socket.die()

    def test_a_journal_is_readable_by_its_owner_only(self) -> None:
        self.assertEqual(Socket(self.folder).die().stat().st_mode & 0o777, 0o600)

    def test_a_failed_rename_keeps_the_records_and_the_next_file_continues(self) -> None:
        socket = Socket(self.folder).say(speech(1))
        with patch.object(Path, "rename", side_effect=OSError("read-only")):
            os.close(socket.journal.rotate())
        socket.say(speech(2)[1:])
        socket.die()
        self.assertEqual(names_in(self.folder), ["000000.open", "000001.open"])
        found = [
            record
            for path in sorted(self.folder.iterdir())
            for record in read(path)
            if isinstance(record, Audio)
        ]
        self.assertEqual(found, [audio_of(packet) for packet in speech(2)])


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limits the size of files, like a full disk: a write beyond it is short, one
    behind it fails.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


class FullDisk(JournalTest):
    def test_a_short_write_is_cut_off_and_later_records_are_appended(self) -> None:
        sent = speech(6)
        socket = Socket(self.folder).say(sent[:2])
        size = socket.journal.size
        for room in (0, 1, 7, 25, 300, 669):
            with file_size_limit(size + room), self.assertRaises(JournalUnwritable):
                socket.say(sent[2:3])
            self.assertEqual(socket.path(".open").stat().st_size, size)
        with file_size_limit(size + 10), self.assertRaises(JournalUnwritable):
            socket.press("5", START_US)
        socket.say(sent[3:])
        records = read(socket.die())
        self.assertEqual(records[3:], [audio_of(packet) for packet in [*sent[:2], *sent[3:]]])
        self.assertEqual(socket.journal.size, size + 3 * 670)

    def test_a_torn_record_that_cannot_be_cut_off_costs_only_itself(self) -> None:
        sent = speech(3)
        socket = Socket(self.folder).say(sent[:1])
        with (
            file_size_limit(socket.journal.size + 100),
            patch("os.ftruncate", side_effect=OSError("input/output error")),
            self.assertRaises(JournalUnwritable),
        ):
            socket.say(sent[1:2])
        socket.say(sent[2:])
        records = read(socket.die())
        self.assertEqual(intact(records)[3:], [audio_of(sent[0]), audio_of(sent[2])])
        self.assertEqual(len(damage_in(records)), 1)

    def test_a_file_that_cannot_be_created_leaves_nothing_and_the_previous_continues(self) -> None:
        socket = Socket(self.folder).say(speech(1))
        for room in (0, 4, 100):
            with file_size_limit(room), self.assertRaises(JournalUnwritable):
                socket.rotate()
        self.assertEqual(names_in(self.folder), ["000000.open"])
        socket.say(speech(2)[1:])
        socket.rotate()
        self.assertEqual(
            len(
                [one for one in read(self.folder / socket.path(".open")) if isinstance(one, Audio)]
            ),
            0,
        )
        socket.die()
        self.assertEqual(names_in(self.folder), ["000000.journal", "000001.open"])

    def test_the_error_names_the_failed_operation(self) -> None:
        socket = Socket(self.folder)
        with (
            file_size_limit(socket.journal.size),
            self.assertRaisesRegex(JournalUnwritable, "cannot append"),
        ):
            socket.say(speech(1))
        socket.die()

    def test_a_missing_folder_makes_the_journal_unwritable(self) -> None:
        with self.assertRaisesRegex(JournalUnwritable, "No such file"):
            Journal(self.folder / "gone", handshake_of())

    def test_a_read_only_folder_makes_the_journal_unwritable(self) -> None:
        """Runs in a process of its own without root, which may write anywhere."""
        self.folder.chmod(0o555)
        program = (
            "import os, sys; from pathlib import Path\n"
            "from streams.journal.files import Journal, JournalUnwritable\n"
            "from streams.journal.records import Handshake\n"
            "os.geteuid() or os.setuid(65534)\n"
            "try: Journal(Path(sys.argv[1]), Handshake('s', 'c', '', '', 0, 10.0))\n"
            "except JournalUnwritable as error: print(error)"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program, str(self.folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(answer.stdout.strip(), "cannot create a journal: Permission denied")

    def test_an_existing_file_is_never_written_to(self) -> None:
        socket = Socket(self.folder)
        with self.assertRaises(JournalUnwritable):
            Journal(self.folder, socket.handshake)
        socket.die()


class Documentation(TestCase):
    """docs/journal.md is the specification for other readers of journals."""

    text = (Path(__file__).parents[3] / "docs/journal.md").read_text()

    def test_lists_every_kind_with_every_member(self) -> None:
        rows = dict(re.findall(r"^\| (\d+) \| (.*)$", self.text, re.MULTILINE))
        shapes = {kind: shape for shape, kind in journal._KIND_OF.items()}
        self.assertEqual(sorted(map(int, rows)), sorted([4, *shapes]))
        for kind, shape in shapes.items():
            self.assertTrue(rows[str(kind)].startswith(f"{shape.__name__.lower()} | JSON"))
            for member in shape.__struct_fields__:
                self.assertIn(f"`{member}`", rows[str(kind)])

    def test_contains_a_valid_example(self) -> None:
        (example,) = re.findall(r"```\n((?:[0-9a-f]{2}\s)+)```", self.text)
        self.assertEqual(
            list(journal.parse(MAGIC + bytes.fromhex(example))), [Voice(0, "4:+15551234567")]
        )
