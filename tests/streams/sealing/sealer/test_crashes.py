"""Crashes of the sealer between any two steps: every sample is kept exactly once, and no row lacks
its audio.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from calls import storage
from calls.models import LedgerEntry, Segment
from streams.journal import spool
from streams.sealing import participants, rows
from tests.streams.journals import Socket
from tests.streams.packets import RATE, START_US, Sent, speech
from tests.streams.spools import Process, SpoolTest

START = START_US * RATE // 1_000_000


class Crash(BaseException):
    """The process is gone at this very point: nothing catches this, as nothing catches SIGKILL."""


class Crashes(SpoolTest):
    """The process dies between two steps; another one takes the folder over and finishes the
    work.
    """

    def crash_at(self, where: Any, name: str, *, after: bool, call_number: int = 1) -> None:
        """Runs one round, which crashes before or after the `call_number`-th call of
        `where.name`.
        """
        original, calls = getattr(where, name), 0

        def crashing(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call_number and not after:
                raise Crash
            result = original(*arguments, **named)
            if calls == call_number:
                raise Crash
            return result

        with patch.object(where, name, crashing), suppress(Crash):
            self.process.round()
            self.fail(f"{name} was never called")

    def survivor(self) -> Process:
        self.process.die()
        survivor = self.new_process()
        survivor.round()
        return survivor

    POINTS: tuple[tuple[str, Any, str, bool, int], ...] = (
        ("before anything is stored", storage, "write_object", False, 1),
        ("after the first object", storage, "write_object", True, 1),
        ("before the last object", storage, "write_object", False, 2),
        ("before the rows", rows, "write", False, 1),
        ("in the middle of the rows", participants, "write", True, 1),
        ("after the rows", rows, "write", True, 1),
        ("before the axis, or the next file's state", spool, "replace_files", False, 1),
        ("after the axis, or the next file's state", spool, "replace_files", True, 1),
        ("before the journal is deleted", Path, "unlink", False, 1),
        ("after the journal is deleted", Path, "unlink", True, 1),
        ("before the old state is deleted", Path, "unlink", False, 2),
        ("after the old state is deleted", Path, "unlink", True, 2),
    )

    def test_a_socket_of_one_file_is_kept_once_at_every_crash_point(self) -> None:
        for point, where, name, after, number in self.POINTS:
            with self.subTest(point):
                connection_id = point
                packets = [*speech(120), *speech(120, participant="q")]
                socket = Socket(self.process.folder, connection_id).say(packets)
                socket.press("7", START_US)
                socket.close()
                self.crash_at(where, name, after=after, call_number=number)
                self.assert_no_row_without_audio()
                survivor = self.survivor()
                self.check(socket, packets)
                self.process = survivor

    def test_a_socket_of_three_files_is_kept_once_at_every_crash_point(self) -> None:
        for point, where, name, after, number in self.POINTS:
            for first_round in (False, True):
                with self.subTest(point, first_round=first_round):
                    packets = [*speech(160), *speech(160, participant="q")]
                    packets.sort(key=lambda packet: packet.spoken_us)
                    socket = Socket(self.process.folder, f"{point} {first_round}").say(
                        packets[:200]
                    )
                    socket.rotate()
                    if first_round:
                        self.process.round()
                    socket.say(packets[200:290])
                    socket.press("7", START_US)
                    socket.rotate()
                    socket.say(packets[290:]).close()
                    self.crash_at(where, name, after=after, call_number=number)
                    self.assert_no_row_without_audio()
                    survivor = self.survivor()
                    self.check(socket, packets)
                    self.process = survivor

    BATCH_POINTS: tuple[tuple[str, Any, str, bool, int], ...] = (
        ("when the journals are synced", spool, "sync_files", True, 1),
        ("after one file's objects", storage, "write_object", True, 2),
        ("before all rows", rows, "write", False, 1),
        ("in the middle of all rows", participants, "write", True, 1),
        ("after all rows", rows, "write", True, 1),
        ("after one file's state", spool, "_replace", True, 1),
        ("before the states' names are on disk", spool, "_sync_folders_of", False, 2),
        ("after all states", spool, "replace_files", True, 1),
        ("after one journal is deleted", Path, "unlink", True, 1),
        ("before the last journal is deleted", Path, "unlink", False, 3),
        ("before the first old state is deleted", Path, "unlink", False, 4),
        ("after two old states are deleted", Path, "unlink", True, 5),
        ("after the rows of the second files", rows, "write", True, 2),
        ("after one axis", spool, "_replace", True, 4),
        ("after one last journal is deleted", Path, "unlink", True, 7),
    )

    def test_files_that_are_sealed_together_are_kept_once_at_every_crash_point(self) -> None:
        """Three calls, each with two files: the first ones leave states, the last ones axes."""
        packets = [*speech(160), *speech(160, participant="q")]
        packets.sort(key=lambda packet: packet.spoken_us)
        for point, where, name, after, number in self.BATCH_POINTS:
            with self.subTest(point):
                sockets = [
                    Socket(self.process.folder, f"{point} {place}").say(packets[:290])
                    for place in range(3)
                ]
                for socket in sockets:
                    socket.rotate()
                    socket.press("7", START_US)
                    socket.say(packets[290:]).close()
                self.crash_at(where, name, after=after, call_number=number)
                self.assert_no_row_without_audio()
                survivor = self.survivor()
                for socket in sockets:
                    self.check(socket, packets)
                self.process = survivor

    def test_a_takeover_that_dies_is_taken_over(self) -> None:
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        socket.rotate()
        socket.say(packets[300:]).die()
        self.process.die()
        self.process = self.new_process()
        self.crash_at(rows, "write", after=True, call_number=2)
        self.survivor()
        self.assert_recorded(packets)
        self.assertEqual(self.ledger(), [("recovered", "recorder_stopped")])

    def test_duplicates_of_another_socket_are_counted_once_after_a_crash(self) -> None:
        packets = speech(100)
        Socket(self.process.folder).say(packets).close()
        self.process.round()
        self.forget_axes()
        socket = Socket(self.process.folder, connected_us=START_US - 1).say(
            [*packets, *speech(200)[150:]]
        )
        socket.close()
        self.crash_at(rows, "write", after=True)
        self.survivor()
        self.assertEqual(self.subscription(socket.stream_id).duplicate, 100)

    def forget_axes(self) -> None:
        for path in (self.spool / spool.AXES).iterdir():
            path.unlink()

    def assert_no_row_without_audio(self) -> None:
        missing = [
            name
            for name in Segment.objects.values_list("audio_name", flat=True)
            if not self.store.exists(name)
        ]
        self.assertEqual(missing, [])

    def check(self, socket: Socket, packets: list[Sent]) -> None:
        for raw_id in ("p", "q"):
            spoken = [packet for packet in packets if packet.participant == raw_id]
            self.assert_recorded(spoken, call_id=socket.call_id, raw_id=raw_id)
            self.assertEqual([start for start, _ in self.recorded(socket.call_id, raw_id)], [START])
        row = self.subscription(socket.stream_id)
        self.assertEqual(
            (row.audio, row.dtmf, row.duplicate, row.late, row.close_code),
            (len(packets), 1, 0, 0, 1000),
        )
        self.assertEqual(
            list(LedgerEntry.objects.filter(call_id=socket.call_id).values_list("kind", flat=True)),
            ["dtmf"],
        )
        self.assertEqual(self.files(), [])
        folders = [path for path in self.spool.iterdir() if path.name != spool.AXES]
        self.assertEqual(len(folders), 1, "the folder of the dead process is gone")
