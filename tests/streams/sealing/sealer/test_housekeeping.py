"""Work of the sealer besides sealing: axes, deleted audio, alarms, private files, the backlog."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from calls import storage
from calls.models import Call, DiscardedAudio, LedgerEntry, Segment, Subscription
from calls.storage.sweeper import EVERY_SECONDS
from streams.journal import spool
from streams.journal.backlog import backlog_of, streams_in, waiting_calls
from streams.journal.records import Alarm
from streams.sealing.announcements import HEARTBEAT_SECONDS
from streams.sealing.backlog_watch import CHECK_SECONDS, CHECK_SHARE
from streams.sealing.sealer import (
    AXES_SECONDS,
    GATHER_SECONDS,
    Sealer,
)
from streams.sealing.steps import call_of
from streams.stats import Backlog
from tests.streams.journals import Socket
from tests.streams.packets import START_US, speech
from tests.streams.spools import SpoolTest
from tests.waiting import wait_until


class Housekeeping(SpoolTest):
    def test_old_axes_are_deleted_and_young_ones_are_kept(self) -> None:
        for name in ("old", "young"):
            Socket(self.process.folder, name).say(speech(5)).close()
        self.process.round()
        old, young = sorted((self.spool / spool.AXES).iterdir())
        os.utime(old, (time.time() - 3601, time.time() - 3601))
        self.process.round(after_seconds=AXES_SECONDS)
        self.assertEqual(list((self.spool / spool.AXES).iterdir()), [young])

    def test_the_axis_of_a_deleted_call_goes_with_it(self) -> None:
        kept, erased = (
            Socket(self.process.folder, name).say(speech(5)) for name in ("kept", "erased")
        )
        for socket in (kept, erased):
            socket.close()
        self.process.round()
        Call.objects.filter(call_connection_id="erased").delete()
        partial = self.spool / spool.AXES / ".partial"
        partial.touch()
        self.process.round(after_seconds=AXES_SECONDS)
        names = {path.name for path in (self.spool / spool.AXES).iterdir()}
        self.assertEqual(names, {str(kept.call_id), ".partial"})

    def test_only_the_owner_may_read_what_is_stored(self) -> None:
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        folder = self.new_process().folder
        socket = Socket(folder, "private").say(speech(5))
        socket.rotate()
        socket.say(speech(5))
        Socket(folder, "ended").say(speech(5)).close()
        self.process.round()
        for path in [folder, *folder.rglob("*"), *(self.spool / spool.AXES).rglob("*")]:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_a_spool_without_axes_has_none_to_delete(self) -> None:
        self.assertTrue(self.process.round(after_seconds=AXES_SECONDS))

    def test_audio_of_deleted_calls_is_removed_once_a_minute(self) -> None:
        Socket(self.process.folder).say(speech(5)).close()
        self.process.round()
        segment = Segment.objects.get()
        DiscardedAudio.objects.create(name=segment.audio_name, segment_id=segment.id)
        Segment.objects.all().delete()
        self.process.round(after_seconds=EVERY_SECONDS - 1)
        self.assertEqual(len(self.store.held), 1)
        self.process.round(after_seconds=1)
        self.assertEqual((self.store.held, DiscardedAudio.objects.count()), ({}, 0))

    def test_an_alarm_is_in_the_ledger_while_it_is_active(self) -> None:
        socket = Socket(self.process.folder).say(speech(5))
        socket.journal.append(Alarm("clipping", 0, START_US))
        socket.rotate()
        self.process.round()
        entry = LedgerEntry.objects.get(kind="alarm")
        self.assertIsNone(entry.ended_at)
        socket.journal.append(Alarm("clipping", 0, START_US, START_US + 1_000_000))
        socket.journal.append(Alarm("too_low", 0, START_US))
        socket.close()
        self.process.round()
        entry.refresh_from_db()
        self.assertEqual(entry.ended_at, entry.started_at + timedelta(seconds=1))
        self.assertFalse(LedgerEntry.objects.active_alarms().exists(), "they end with the socket")
        self.assertEqual(LedgerEntry.objects.filter(kind="alarm").count(), 2)

    def test_a_failed_removal_of_deleted_audio_delays_no_sealing(self) -> None:
        Socket(self.process.folder).say(speech(5)).close()
        failing = patch("calls.storage.deletion.sweep", side_effect=ConnectionError("unreachable"))
        with failing, capture_logs() as lines:
            self.assertTrue(self.process.round())
        self.assertEqual(Segment.objects.count(), 1)
        self.assertIn("sweep delayed", [line["event"] for line in lines])

    def test_a_sweep_that_takes_for_ever_delays_neither_sealing_nor_heartbeats(self) -> None:
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        with patch("calls.storage.deletion.sweep", side_effect=lambda *_: go_on.wait() and 0):
            self.process.sealer.round()  # not waiting for the sweep
            live = Socket(self.process.folder, "live")
            Socket(self.process.folder, "ended").say(speech(5)).close()
            self.clock.forward(HEARTBEAT_SECONDS)
            self.assertTrue(self.process.sealer.round())
            before = Subscription.objects.get(stream_id=live.stream_id).seen_at
            self.clock.forward(HEARTBEAT_SECONDS)
            self.process.sealer.round()
        self.assertEqual(Segment.objects.count(), 1)
        after = Subscription.objects.get(stream_id=live.stream_id).seen_at
        self.assertGreater(after, before)
        go_on.set()
        self.process.sealer.sweeper.wait()

    def test_a_sweep_is_stopped_with_the_sealer(self) -> None:
        with patch("calls.storage.deletion.sweep", return_value=0) as sweep:
            self.process.round()
            self.assertTrue(self.process.sealer.stop(10))
        _seconds, stopping = sweep.call_args.args
        self.assertTrue(stopping.is_set())

    def test_the_backlog_counts_the_journals_of_every_process(self) -> None:
        other = self.new_process()
        finished = Socket(other.folder, "a").say(speech(5)).close()
        open_file = Socket(self.process.folder, "b").path(".open")
        os.utime(finished, (5_000.0, 5_000.0))
        os.utime(open_file, (1_000.0, 1_000.0))
        size = finished.stat().st_size + open_file.stat().st_size
        self.assertEqual(backlog_of(self.spool, 5_060.0), Backlog(2, size, 60.0))
        self.assertEqual(backlog_of(self.spool, 4_000.0).lag_seconds, 0.0, "the clock was set back")

    def test_an_empty_spool_has_no_backlog(self) -> None:
        self.assertEqual(backlog_of(self.spool, 1.0), Backlog())
        (self.spool / "note").touch()
        self.assertEqual(backlog_of(self.spool, 1.0), Backlog())

    def test_a_file_that_is_sealed_during_the_count_is_no_error(self) -> None:
        path = Socket(self.process.folder).close()
        gone = path.with_name("gone.000000.journal")
        gone.symlink_to(path.with_name("deleted"))  # listed, but its status cannot be read
        self.assertRaises(FileNotFoundError, gone.stat)
        self.assertEqual(backlog_of(self.spool, 1.0).files, 1)

    def test_stop_finishes_the_current_file_and_leaves_the_rest(self) -> None:
        for number in range(5):
            Socket(self.process.folder, f"call-{number}").say(speech(5)).close()
        sealer, write_object = self.process.sealer, storage.write_object

        def stop_in_the_middle(*arguments: Any) -> None:
            sealer.stop(0)
            write_object(*arguments)

        with patch.object(storage, "write_object", stop_in_the_middle):
            sealer.round()
        self.assertEqual((Segment.objects.count(), len(self.files())), (1, 4))

    def test_the_thread_seals_when_it_is_woken(self) -> None:
        sealer: Sealer = self.process.sealer
        sealer.start()
        packets = speech(50)
        Socket(self.process.folder).say(packets).close()
        sealer.wake()
        wait_until(Segment.objects.exists, what=lambda: "the segment")
        sealer.stop(30)
        self.assertFalse(sealer._thread.is_alive())
        self.assert_recorded(packets)

    def test_the_thread_gathers_files_that_are_finished_soon_after(self) -> None:
        """Runs the thread in real time: the waits are shortened and recorded."""
        sealer, waits = self.process.sealer, list[float | None]()
        wait = sealer._stopping.wait

        def note(seconds: float | None = None) -> bool:
            waits.append(seconds)
            return wait(0.001)

        with patch.object(sealer._stopping, "wait", note):
            sealer.start()
            sealer.wake()
            wait_until(lambda: waits, what=lambda: "a pause")
            sealer.stop(30)
        self.assertEqual(waits[0], GATHER_SECONDS)

    def test_the_backlog_is_measured_once_a_second(self) -> None:
        """With thousands of open files that takes as long as the rest of a round."""
        self.process.round()
        Socket(self.process.folder)
        self.process.round(after_seconds=CHECK_SECONDS - 0.1)
        self.assertEqual(self.process.sealer.backlog.files, 0)
        self.process.round(after_seconds=0.1)
        self.assertEqual(self.process.sealer.backlog.files, 1)

    def test_a_slow_measurement_is_made_less_often(self) -> None:
        self.process.round()
        counted: list[float] = []

        def slowly(*_: object) -> Backlog:
            counted.append(self.clock.now)
            self.clock.forward(2.0)
            return Backlog()

        with patch("streams.sealing.backlog_watch.backlog_of", slowly):
            for _ in range(2 * CHECK_SHARE + 1):
                self.process.round(after_seconds=1.0)
        self.assertEqual(len(counted), 2)

    def test_sockets_are_sealed_in_the_order_in_which_they_ended(self) -> None:
        late = Socket(self.process.folder, "late").say(speech(1)).close()
        early = Socket(self.process.folder, "early").say(speech(1)).close()
        os.utime(early, (1.0, 1.0))
        calls = waiting_calls(streams_in(self.process.folder, dead=False), call_of)
        self.assertEqual([call.path for call in calls], [early, late])
