"""Journals that are damaged or cannot be sealed delay no other call, and no error ends the
thread.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.db import DataError, IntegrityError

from calls.models import Call, Segment
from streams.journal.backlog import streams_in
from streams.sealing import rows
from streams.sealing.digest import load_state
from streams.sealing.rows import Addition
from streams.sealing.sealer import LONGEST_BACKOFF_SECONDS, TAKEOVER_SECONDS
from streams.stats import Backlog
from tests.streams.journals import Socket, flipped
from tests.streams.packets import START_US, speech
from tests.streams.spools import SpoolTest
from tests.waiting import wait_until


class FaultyJournals(SpoolTest):
    def test_a_journal_without_a_handshake_is_set_aside_and_counted(self) -> None:
        socket = Socket(self.process.folder).say(speech(10))
        path = socket.close()
        path.write_bytes(flipped(path.read_bytes(), 30 * 8))
        with self.expected():
            self.assertTrue(self.process.round())
        self.assertEqual((self.files(), Call.objects.count()), (["000000.unreadable"], 0))
        self.assertEqual(self.process.sealer.failures["journal"], 1)
        self.assertTrue(self.process.round())

    def test_a_journal_that_was_set_aside_survives_a_takeover(self) -> None:
        path = Socket(self.process.folder).say(speech(10)).close()
        path.write_bytes(flipped(path.read_bytes(), 30 * 8))
        self.process.die()
        survivor = self.new_process()
        with self.expected():
            survivor.round()
        survivor.round(after_seconds=TAKEOVER_SECONDS)
        self.assertEqual(self.files(), ["000000.unreadable"])

    def test_the_files_after_one_that_was_set_aside_are_sealed(self) -> None:
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        path = socket.rotate()
        path.write_bytes(flipped(path.read_bytes(), 30 * 8))
        socket.say(packets[300:]).close()
        with self.expected():
            self.process.round()
            self.process.round()
        self.assert_recorded(packets[300:])
        self.assertEqual(self.files(), ["000000.unreadable"])

    def test_a_damaged_handshake_in_a_later_file_costs_nothing(self) -> None:
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        socket.press("1", START_US)
        socket.rotate()
        socket.say(packets[300:])
        socket.press("2", START_US + 1)
        path = socket.close()
        path.write_bytes(flipped(path.read_bytes(), 30 * 8))
        self.process.round()
        self.assert_recorded(packets)
        self.assertEqual(set(Segment.objects.values_list("journal", flat=True)), {0, 1})
        self.assertEqual(self.ledger("dtmf", "damage").count(("dtmf", "")), 2)
        self.assertIn(("damage", "damaged_record"), self.ledger())

    def test_an_unreadable_state_is_replaced_from_the_database(self) -> None:
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        socket.rotate()
        self.process.round()
        (state,) = self.process.folder.glob("*.state")
        waiting = (
            sum(len(one.pcm) for one in load_state(state.read_bytes()).timeline.tracks["p"].waiting)
            // 640
        )
        state.write_bytes(b"\xc1")
        socket.say(packets[300:]).close()
        with self.assertLogs("streams.sealing.steps", "ERROR"):
            self.process.round()
        self.assert_recorded(packets[: 300 - waiting] + packets[300:])
        self.assertEqual(self.ledger("gap"), [("gap", "not_received")])
        self.assertEqual(self.files(), [])

    def test_a_faulty_journal_delays_only_its_own_socket_and_is_retried(self) -> None:
        for error in (ValueError("no"), DataError("no"), IntegrityError("no"), PermissionError()):
            with self.subTest(error=type(error).__name__):
                self.process = self.new_process()
                name = type(error).__name__
                broken = Socket(self.process.folder, f"broken {name}").say(speech(50))
                broken.rotate()
                broken.say(speech(100)[50:]).close()
                well = Socket(self.process.folder, f"well {name}").say(speech(60))
                well.close()
                write, tries = rows.write, list[tuple[int, int]]()

                def fail(additions: list[Addition], *rest: Any) -> None:
                    for one in additions:
                        if one.handshake.stream_id == str(broken.stream_id):  # noqa: B023
                            tries.append((one.handshake.sequence, len(additions)))  # noqa: B023
                            raise error  # noqa: B023
                    write(additions, *rest)  # noqa: B023

                with self.expected(), patch.object(rows, "write", fail):
                    for _ in range(5):
                        self.assertTrue(self.process.round(), "store and database are reachable")
                self.assert_recorded(speech(60), call_id=well.call_id)
                self.assertEqual(tries, [(0, 2), (0, 1)], "with the other, then alone")
                self.process.round(after_seconds=LONGEST_BACKOFF_SECONDS)
                self.assert_recorded(speech(100), call_id=broken.call_id)

    def test_a_socket_whose_close_was_not_written_is_sealed_to_its_last_packet(self) -> None:
        packets = speech(300)
        socket = Socket(self.process.folder).say(packets)
        socket.end()
        self.process.round()
        self.assert_recorded(packets)
        self.assertIsNotNone(self.subscription(socket.stream_id).disconnected_at)
        self.assertEqual(self.files(), [])

    def test_a_socket_that_continues_in_another_file_is_not_over(self) -> None:
        """The folder was listed before the next file existed."""
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        finished = socket.rotate()
        with patch("os.listdir", return_value=[finished.name]):
            (stream,) = streams_in(self.process.folder, dead=False)
        self.assertFalse(stream.is_over)
        socket.say(packets[300:]).rotate()
        with patch("os.listdir", return_value=[finished.name]):
            (stream,) = streams_in(self.process.folder, dead=False)
        self.assertFalse(stream.is_over)

    def test_a_file_that_could_not_be_renamed_is_not_overtaken_by_the_next(self) -> None:
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        with patch.object(Path, "rename", side_effect=OSError):
            os.close(socket.journal.rotate())
        socket.say(packets[300:]).close()
        self.process.round()
        self.assertEqual(
            (self.files(), Segment.objects.count()), (["000000.open", "000001.journal"], 0)
        )
        self.process.die()
        self.new_process().round()
        self.assert_recorded(packets)

    def test_a_file_that_is_renamed_while_the_folder_is_listed_is_skipped(self) -> None:
        socket = Socket(self.process.folder).say(speech(50))
        gone = socket.path(".open")
        socket.close()
        with patch("os.listdir", return_value=[gone.name]):
            self.assertEqual(list(streams_in(self.process.folder, dead=False)), [])

    def test_an_unexpected_error_does_not_end_the_thread(self) -> None:
        sealer = self.process.sealer
        failing = threading.Event()

        def fail(*_: object) -> Backlog:
            failing.set()
            raise RuntimeError("unexpected")

        with self.expected(), patch("streams.sealing.backlog_watch.backlog_of", fail):
            sealer.start()
            self.assertTrue(failing.wait(30))
            Socket(self.process.folder).say(speech(50)).close()
            sealer.wake()
            wait_until(Segment.objects.exists, what=lambda: "the segment")
        sealer.stop(30)
