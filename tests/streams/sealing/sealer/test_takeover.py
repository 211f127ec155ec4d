"""A living process seals the journals of a dead one."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from django.utils import timezone

from calls.models import Call, LedgerEntry, Segment
from calls.times import EPOCH
from streams.journal import spool
from streams.sealing.sealer import TAKEOVER_SECONDS
from tests.streams.journals import Socket
from tests.streams.packets import speech
from tests.streams.spools import SpoolTest

PACKET_BYTES = 670


class Takeover(SpoolTest):
    def test_the_journals_of_a_dead_process_are_sealed_to_the_last_packet(self) -> None:
        packets = speech(500)
        socket = Socket(self.process.folder).say(packets[:300])
        socket.rotate()
        socket.say(packets[300:]).die()
        self.process.die()
        survivor = self.new_process()
        survivor.round()
        self.assert_recorded(packets)
        self.assertFalse(self.process.folder.exists())
        row = self.subscription(socket.stream_id)
        self.assertEqual(
            (row.close_code, row.disconnected_at),
            (None, EPOCH + timedelta(microseconds=packets[-1].spoken_us)),
        )
        self.assertEqual(Call.objects.with_state(timezone.now()).get().state, "interrupted")
        self.assertEqual(self.ledger(), [("recovered", "recorder_stopped")])

    def test_a_torn_tail_is_in_the_ledger_and_costs_one_packet(self) -> None:
        packets = speech(100)
        socket = Socket(self.process.folder).say(packets)
        path = socket.die()
        os.truncate(path, path.stat().st_size - 5)
        self.process.die()
        self.new_process().round()
        self.assert_recorded(packets[:-1])
        self.assertEqual(
            self.ledger(), [("damage", "torn_tail"), ("recovered", "recorder_stopped")]
        )
        self.assertEqual(
            LedgerEntry.objects.get(kind="damage").detail, {"journal": 0, "bytes": PACKET_BYTES - 5}
        )

    def test_a_crash_during_rotation_leaves_two_open_files_and_loses_nothing(self) -> None:
        packets = speech(300)
        socket = Socket(self.process.folder).say(packets)
        with patch.object(Path, "rename", side_effect=OSError):
            os.close(socket.journal.rotate())
        socket.die()
        self.assertEqual(self.files(), ["000000.open", "000001.open"])
        self.process.die()
        self.new_process().round()
        self.assert_recorded(packets)
        self.assertEqual(self.ledger(), [("recovered", "recorder_stopped")])

    def test_an_empty_file_is_removed(self) -> None:
        (self.process.folder / "4f6c0f0e-5a4b-4d0e-9a3c-6b1f3f1a7c11.000000.open").write_bytes(
            b"ACSJ"
        )
        self.process.die()
        self.new_process().round()
        self.assertEqual((self.files(), Call.objects.count()), ([], 0))
        self.assertFalse(self.process.folder.exists())

    def test_leftover_states_do_not_keep_the_folder(self) -> None:
        Socket(self.process.folder).say(speech(10)).close()
        (self.process.folder / ".stream.000001.state.4f6c0f0e").touch()
        (self.process.folder / "stream.000001.state").touch()
        self.process.die()
        self.new_process().round()
        self.assertFalse(self.process.folder.exists())

    def test_while_the_store_is_unreachable_the_folder_stays_for_the_next_round(self) -> None:
        packets = speech(50)
        Socket(self.process.folder).say(packets).die()
        self.process.die()
        survivor = self.new_process()
        self.store.away = True
        with self.expected():
            survivor.round()
        self.assertTrue(self.process.folder.exists())
        self.store.away = False
        survivor.round()
        self.assertEqual(Segment.objects.count(), 0, "the next search is not due yet")
        survivor.round(after_seconds=TAKEOVER_SECONDS)
        self.assert_recorded(packets)

    def test_a_folder_whose_takeover_fails_is_released(self) -> None:
        Socket(self.process.folder).say(speech(50)).die()
        self.process.die()
        survivor = self.new_process()
        with (
            self.expected(),
            patch("streams.sealing.sealer.streams_in", side_effect=PermissionError("no")),
        ):
            self.assertTrue(survivor.round())
        (folder,) = spool.abandoned(self.spool)
        self.assertEqual(folder.path, self.process.folder)
        folder.release()

    def test_the_journals_of_a_living_process_are_left_alone(self) -> None:
        Socket(self.process.folder).say(speech(50)).close()
        self.new_process().round()
        self.assertEqual(self.files(), ["000000.journal"])
