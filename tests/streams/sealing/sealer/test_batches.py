"""Files of several calls sealed together: the fault of one file delays no other, and calls take
turns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from calls import storage
from calls.models import Call, Segment
from calls.storage import StoreUnreachable
from streams.journal import spool
from streams.sealing import rows, steps
from streams.sealing.backlog_watch import CHECK_SECONDS
from streams.sealing.rows import Addition
from streams.sealing.sealer import (
    BATCH_FILES,
    BATCH_SECONDS,
)
from streams.sealing.steps import SealJob
from tests.streams.journals import Socket, flipped
from tests.streams.packets import START_US, speech
from tests.streams.spools import SpoolTest


class Batch(SpoolTest):
    packets = speech(60)

    def sockets(self, number: int = 5) -> list[Socket]:
        """Returns closed sockets, each of another call."""
        sockets = [
            Socket(self.process.folder, f"call-{place}").say(self.packets)
            for place in range(number)
        ]
        for socket in sockets:
            socket.close()
        return sockets

    def journal_of(self, socket: Socket) -> Path:
        return socket.path(".journal")

    def written(self) -> list[list[str]]:
        """Returns a list that is filled with the streams of each transaction of this test."""
        batches: list[list[str]] = []
        write = rows.write

        def note(additions: Sequence[Addition], *rest: Any) -> None:
            batches.append([one.handshake.stream_id for one in additions])
            write(additions, *rest)

        patcher = patch.object(rows, "write", note)
        patcher.start()
        self.addCleanup(patcher.stop)
        return batches


class SharedSteps(Batch):
    def test_files_of_several_calls_share_a_transaction(self) -> None:
        batches = self.written()
        sockets = self.sockets(BATCH_FILES + 3)
        self.process.round()
        self.assertEqual([len(batch) for batch in batches], [BATCH_FILES, 3])
        for socket in sockets:
            self.assert_recorded(self.packets, call_id=socket.call_id)
        self.assertEqual((self.files(), self.process.sealer.segments_sealed), ([], BATCH_FILES + 3))

    def test_a_batch_is_limited_in_bytes(self) -> None:
        batches = self.written()
        self.sockets(4)
        with patch("streams.sealing.sealer.BATCH_BYTES", 40_000):  # a file has more
            self.process.round()
        self.assertEqual([len(batch) for batch in batches], [1, 1, 1, 1])

    def test_a_batch_needs_fewer_queries_than_it_has_files(self) -> None:
        sockets = [
            Socket(self.process.folder, f"call-{place}").say(speech(300))
            for place in range(BATCH_FILES)
        ]
        for socket in sockets:
            socket.rotate()
        self.process.round()
        for socket in sockets:
            socket.say(speech(600)[300:]).rotate()
        with CaptureQueriesContext(connection) as queries:
            self.process.round()
        self.assertEqual(Segment.objects.filter(journal=1).count(), BATCH_FILES)
        self.assertLess(len(queries), BATCH_FILES)

    def test_the_folder_is_synced_once_for_all(self) -> None:
        """Once for the journals before they are read, once for the states, once for the axes; the
        order of the last two follows the ages of the files, which may be equal.
        """
        for socket in [
            Socket(self.process.folder, f"call-{place}").say(self.packets) for place in range(5)
        ]:
            socket.rotate()
        Socket(self.process.folder, "over").say(self.packets).close()
        with patch.object(spool, "fsync_folder") as synced:
            self.process.round()
        folder, axes = self.process.folder, self.spool / spool.AXES
        first, *left = [call.args[0] for call in synced.call_args_list]
        self.assertEqual(first, folder)
        self.assertCountEqual(left, [folder, axes])

    def test_states_are_on_disk_before_any_journal_is_deleted(self) -> None:
        for socket in [
            Socket(self.process.folder, f"call-{place}").say(self.packets) for place in range(5)
        ]:
            socket.rotate()
        order: list[str] = []
        unlink, replace_files = Path.unlink, spool.replace_files

        def note_unlink(path: Path, **named: Any) -> None:
            order.append(path.suffix)
            unlink(path, **named)

        def note_states(contents: dict[Path, bytes]) -> None:
            order.extend("new " + path.suffix for path in contents)
            replace_files(contents)

        with (
            patch.object(Path, "unlink", note_unlink),
            patch.object(spool, "replace_files", note_states),
        ):
            self.process.round()
        self.assertEqual(order, ["new .state"] * 5 + [".journal"] * 5 + [".state"] * 5)


class OneFaultyFile(Batch):
    """One file fails in one of the steps; the others are sealed in the same round."""

    def check(self, broken: Socket, sockets: list[Socket]) -> None:
        for socket in sockets:
            expected = [] if socket is broken else self.packets
            self.assert_recorded(expected, call_id=socket.call_id)
        self.assertEqual(self.files(), ["000000.journal"])
        self.assertEqual(self.process.sealer.failures["journal"], 1)
        self.process.round()
        self.assertEqual(self.process.sealer.failures["journal"], 1, "its retry is not due yet")
        self.process.round(after_seconds=20.0)
        self.assert_recorded(self.packets, call_id=broken.call_id)
        self.assertEqual(self.files(), [])

    def test_when_it_is_prepared(self) -> None:
        sockets = self.sockets()
        prepare = steps.prepare

        def fail(files: Sequence[SealJob], **named: Any) -> None:
            if any(file.stream_id == str(sockets[2].stream_id) for file in files):
                raise ValueError("no")
            prepare(files, **named)

        with self.expected(), patch.object(steps, "prepare", fail):
            self.assertTrue(self.process.round())
        self.check(sockets[2], sockets)

    def test_when_its_audio_is_stored(self) -> None:
        sockets = self.sockets()
        store = steps.store_audio

        def fail(file: SealJob) -> None:
            if file.stream_id == str(sockets[2].stream_id):
                raise ValueError("no")
            store(file)

        with self.expected(), patch.object(steps, "store_audio", fail):
            self.assertTrue(self.process.round())
        self.check(sockets[2], sockets)

    def test_when_its_rows_are_written(self) -> None:
        """The database itself rejects them."""
        sockets = self.sockets()
        segment_row = rows._segment_row

        def fail(handshake: Any, *rest: Any) -> Segment:
            row = segment_row(handshake, *rest)
            if handshake.stream_id == str(sockets[2].stream_id):
                row.subscription_id = uuid4()
            return row

        with self.expected(), patch.object(rows, "_segment_row", fail):
            self.assertTrue(self.process.round())
        self.check(sockets[2], sockets)

    def test_when_its_state_is_written(self) -> None:
        """Its rows exist; the retry finds them."""
        sockets = self.sockets()
        replace_files = spool.replace_files

        def fail(contents: dict[Path, bytes]) -> None:
            if any(path.name == str(sockets[2].call_id) for path in contents):
                raise OSError("no")
            replace_files(contents)

        with self.expected(), patch.object(spool, "replace_files", fail):
            self.assertTrue(self.process.round())
        for socket in sockets:
            self.assert_recorded(self.packets, call_id=socket.call_id)
        self.assertEqual(self.files(), ["000000.journal"])
        self.process.round(after_seconds=20.0)
        self.assert_recorded(self.packets, call_id=sockets[2].call_id)
        self.assertEqual((self.files(), Segment.objects.count()), ([], 5))

    def test_when_it_has_no_handshake(self) -> None:
        sockets = self.sockets()
        path = next(self.process.folder.glob(f"{sockets[2].stream_id}*"))
        path.write_bytes(flipped(path.read_bytes(), 30 * 8))
        with self.expected():
            self.assertTrue(self.process.round())
        self.assertEqual((self.files(), Call.objects.count()), (["000000.unreadable"], 4))

    def test_when_it_cannot_be_read_at_all(self) -> None:
        sockets = self.sockets()
        path = next(self.process.folder.glob(f"{sockets[2].stream_id}*"))
        path.unlink()
        path.mkdir()
        with self.expected():
            self.assertTrue(self.process.round())
        self.assertEqual(Call.objects.count(), 4)
        path.rmdir()


class Unreachable(Batch):
    def test_a_database_that_fails_is_tried_once_for_all(self) -> None:
        self.sockets()
        with (
            self.expected(),
            patch.object(rows, "write", side_effect=OperationalError("gone")) as write,
        ):
            self.assertFalse(self.process.round())
        self.assertEqual((write.call_count, self.process.sealer.failures["database"]), (1, 1))
        self.assertTrue(self.process.round())
        self.assertEqual((Segment.objects.count(), self.files()), (5, []))

    def test_audio_stored_before_the_store_failed_becomes_rows(self) -> None:
        self.sockets()
        self.store.fails_after = 2
        with self.expected():
            self.assertFalse(self.process.round())
        self.assertEqual((Segment.objects.count(), len(self.files())), (2, 3))

    def test_audio_in_a_slow_store_becomes_rows_before_more_is_stored(self) -> None:
        batches, write_object = self.written(), storage.write_object
        self.sockets()

        def slowly(*arguments: Any) -> None:
            self.clock.forward(BATCH_SECONDS * 0.6)
            write_object(*arguments)

        with patch.object(storage, "write_object", slowly):
            self.process.round()
        self.assertEqual([len(batch) for batch in batches], [2, 2, 1])
        self.assertEqual(self.files(), [])

    def test_a_store_that_rejects_one_object_delays_that_file(self) -> None:
        sockets = self.sockets()
        write_object = storage.write_object

        def refuse(name: str, content: bytes) -> None:
            if name.startswith(str(sockets[2].call_id)):
                raise StoreUnreachable("no")
            write_object(name, content)

        with self.expected(), patch.object(storage, "write_object", refuse):
            self.assertFalse(self.process.round())
        self.assertEqual((Segment.objects.count(), self.files()), (4, ["000000.journal"]))
        self.assertTrue(self.process.round())
        self.assert_recorded(self.packets, call_id=sockets[2].call_id)

    def test_single_failures_of_the_store_do_not_end_a_round_with_a_backlog(self) -> None:
        """The failed file waits for the next round; the files after it do not."""
        sockets = self.sockets(2 * BATCH_FILES)
        write_object = storage.write_object
        refused: list[str] = []

        def refuse(name: str, content: bytes) -> None:
            self.clock.forward(CHECK_SECONDS / 10)
            if name.startswith(str(sockets[0].call_id)):
                refused.append(name)
                raise StoreUnreachable("no")
            write_object(name, content)

        with self.expected(), patch.object(storage, "write_object", refuse):
            self.assertFalse(self.process.round())
        self.assertEqual((len(refused), Segment.objects.count()), (1, 2 * BATCH_FILES - 1))


class Turns(Batch):
    def flood(self, files: int) -> Socket:
        """Returns a socket with many files, all older than those of other sockets."""
        socket = Socket(self.process.folder, "flood")
        packets = speech(files * 10)
        for number in range(files):
            path = socket.say(packets[number * 10 : number * 10 + 10]).rotate()
            os.utime(path, (1000.0 + number, 1000.0 + number))
        return socket

    def test_the_backlog_of_one_call_delays_no_other(self) -> None:
        batches = self.written()
        flood = self.flood(30)
        others = self.sockets(3)
        self.process.round()
        waiting = {str(socket.stream_id) for socket in others}
        self.assertEqual(set(batches[0]), {str(flood.stream_id), *waiting})
        self.assertEqual(len(batches), 30)

    def test_a_file_that_is_finished_in_the_meantime_has_its_turn_soon(self) -> None:
        batches, write = self.written(), steps.write_rows
        self.flood(30)
        late: list[Socket] = []

        def slowly(files: Sequence[SealJob]) -> None:
            self.clock.forward(CHECK_SECONDS / 4)
            write(files)
            if len(batches) == 5:
                late.extend(self.sockets(1))

        with patch.object(steps, "write_rows", slowly):
            self.process.round()
        (place,) = [
            number for number, batch in enumerate(batches) if str(late[0].stream_id) in batch
        ]
        self.assertLess(place, 12)

    def test_more_files_than_are_listed_at_a_time_are_one_track(self) -> None:
        socket = Socket(self.process.folder)
        packets = speech(100)
        for place in range(0, 100, 10):
            socket.say(packets[place : place + 10]).rotate()
        socket.close()
        with patch("streams.journal.backlog.MAX_LISTED", 3):
            self.process.round()
        self.assert_recorded(packets)
        self.assertEqual((len(self.recorded()), self.files()), (1, []))
        self.assertEqual(self.ledger(), [])

    def test_the_sockets_of_one_call_are_sealed_one_after_the_other(self) -> None:
        """The positions of the second depend on the axis that the first has left."""
        packets = speech(100)
        first = Socket(self.process.folder).say(packets[:30])
        first.rotate()
        first.say(packets[30:40]).close()
        Socket(self.process.folder, connected_us=packets[40].spoken_us).say(packets[40:]).close()
        batches = self.written()
        self.sockets(2)
        self.process.round()
        self.assert_recorded(packets, call_id=first.call_id)
        self.assertEqual([len(batch) for batch in batches], [3, 1, 1])
        self.assertEqual(self.ledger("gap"), [])

    def test_a_faulty_socket_does_not_delay_the_next_one_of_its_call(self) -> None:
        first = Socket(self.process.folder).say(self.packets)
        first.close()
        second = Socket(self.process.folder, connected_us=START_US + 60_000_000)
        second.say(speech(50, start_us=START_US + 60_000_000)).close()
        store = steps.store_audio

        def fail(file: SealJob) -> None:
            if file.stream_id == str(first.stream_id):
                raise ValueError("no")
            store(file)

        with self.expected(), patch.object(steps, "store_audio", fail):
            self.process.round()
        self.assertEqual(
            Segment.objects.filter(subscription__stream_id=second.stream_id).count(), 1
        )
