"""What could not be sealed is told as rows, and tried again when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from calls.models import FailedJournal, RecorderProcess, Segment
from streams.journal import spool
from streams.sealing import steps
from streams.sealing.failures import CHECK_SECONDS, FailureLog, ProcessStatus
from streams.sealing.sealer import HEARTBEAT_SECONDS, LONGEST_BACKOFF_SECONDS
from streams.stats import Backlog
from tests.streams.journals import Socket
from tests.streams.packets import speech
from tests.streams.spools import SpoolTest, database_away


class TheProcess(SpoolTest):
    def test_it_says_what_it_does_and_what_went_wrong(self) -> None:
        Socket(self.process.folder).say(speech(100)).close()
        self.store.away = True
        with self.expected():
            self.process.round()
        row = RecorderProcess.objects.get()
        self.assertEqual(str(row.id), self.process.folder.name)
        self.assertEqual((row.open_streams, row.segments_sealed), (0, 0))
        self.store.away = False
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        row.refresh_from_db()
        self.assertEqual(row.segments_sealed, Segment.objects.count())
        self.assertEqual((row.failures["store"], row.last_error), (1, "StoreUnreachable"))

    def test_one_that_has_been_silent_for_an_hour_is_forgotten(self) -> None:
        self.process.round()
        RecorderProcess.objects.update(seen_at=timezone.now() - timedelta(minutes=61))
        another = self.new_process()
        another.round()
        self.assertEqual(
            [str(row.id) for row in RecorderProcess.objects.all()], [another.folder.name]
        )

    def test_what_is_wrong_with_telling_is_no_outage(self) -> None:
        Socket(self.process.folder).say(speech(100)).close()
        with patch.object(FailureLog, "sync", side_effect=ValueError), self.expected():
            self.assertTrue(self.process.round())
        self.assertGreater(Segment.objects.count(), 0)

    def test_folders_of_a_file_system_are_none_of_processes(self) -> None:
        (self.spool / "lost+found").mkdir()
        self.process.round()
        self.assertEqual(RecorderProcess.objects.count(), 1)

    def test_a_database_that_is_away_is_told_later(self) -> None:
        with database_away(), self.expected():
            self.process.round()
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.assertEqual(RecorderProcess.objects.count(), 1)


class Failing:
    """Stands in for a step of sealing that some file does not get through, until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self.tries = 0
        self._store = steps.store_audio

    def __call__(self, file: Any) -> None:
        self.tries += 1
        if not self.is_mended:
            raise ValueError("it is at fault itself")
        self._store(file)


class TheJournal(SpoolTest):
    def setUp(self) -> None:
        super().setUp()
        self.failing = Failing()
        self.enterContext(patch.object(steps, "store_audio", self.failing))
        self.socket = Socket(self.process.folder)
        self.socket.say(speech(100)).close()

    def fail(self, times: int = 1) -> FailedJournal:  # type: ignore[override]
        with self.expected():
            for _ in range(times):
                self.process.round(after_seconds=LONGEST_BACKOFF_SECONDS)
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        row: FailedJournal = FailedJournal.objects.get()
        return row

    def test_one_that_fails_is_told_with_its_error_and_tries(self) -> None:
        row = self.fail(times=2)
        self.assertEqual((row.error, row.tries, row.is_set_aside), ("ValueError", 2, False))
        self.assertEqual(str(row.process), self.process.folder.name)

    def test_its_row_goes_when_it_has_been_sealed(self) -> None:
        self.fail()
        self.failing.is_mended = True
        self.process.round(after_seconds=LONGEST_BACKOFF_SECONDS)
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.assertEqual(FailedJournal.objects.count(), 0)
        self.assertGreater(Segment.objects.count(), 0)

    def test_it_is_tried_at_once_when_somebody_asks(self) -> None:
        self.fail()
        tries = self.failing.tries
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.assertEqual(self.failing.tries, tries)  # it has to wait its fifteen seconds
        self.failing.is_mended = True
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        self.process.sealer._set_back = dict.fromkeys(
            self.process.sealer._set_back, self.clock.now + 3600
        )
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.process.round()
        self.assertGreater(Segment.objects.count(), 0)

    def test_another_process_leaves_the_wish_to_the_one_that_has_tried(self) -> None:
        self.fail()
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        another = self.new_process()
        another.round()
        self.assertIsNotNone(FailedJournal.objects.get().retry_asked_at)

    def test_a_successor_forgets_what_it_has_sealed_for_another(self) -> None:
        self.fail()
        self.failing.is_mended = True
        self.process.die()
        successor = self.new_process()
        successor.round()
        successor.round(after_seconds=HEARTBEAT_SECONDS)
        self.assertEqual(FailedJournal.objects.count(), 0)
        self.assertGreater(Segment.objects.count(), 0)


class SetAside(SpoolTest):
    """A journal without a handshake, and none before it."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.process.folder / "6f1c1f0e-5a4b-4d0e-9a3c-6b1f3f1a7c11.000000.journal"
        whole = Socket(self.new_process().folder)
        whole.say(speech(100)).rotate()
        [first] = sorted(whole.folder.glob("*.000000.journal"))
        self.content = first.read_bytes()
        self.path.write_bytes(self.without_handshake())

    def without_handshake(self) -> bytes:
        """What follows is whole, but whose it is was lost."""
        return b"\0" * 400 + self.content[400:]

    def rounds(self, *processes: Any) -> None:
        for process in processes or (self.process,):
            process.round(after_seconds=HEARTBEAT_SECONDS)
            process.round(after_seconds=HEARTBEAT_SECONDS)

    def rows(self) -> Sequence[FailedJournal]:
        return list(FailedJournal.objects.filter(process=self.process.folder.name))

    def test_it_is_told_and_stays(self) -> None:
        with self.expected():
            self.rounds()
        [row] = self.rows()
        self.assertEqual((row.is_set_aside, row.error, row.tries), (True, "UnreadableJournal", 1))
        self.assertTrue(self.path.with_suffix(spool.SET_ASIDE).exists())

    def test_a_later_process_tells_of_what_it_finds(self) -> None:
        with self.expected():
            self.rounds()
        FailedJournal.objects.all().delete()
        self.process.die()
        self.rounds(self.new_process())
        [row] = self.rows()
        self.assertTrue(row.is_set_aside)

    def test_what_another_sets_aside_later_is_found_half_a_minute_later(self) -> None:
        watcher, began = self.new_process(), timezone.now()
        work = FailureLog(self.spool, watcher.folder, began)
        said = ProcessStatus(0, 0, {}, Backlog(), "")
        work.sync(said, began)
        self.path.rename(self.path.with_suffix(spool.SET_ASIDE))
        work.sync(said, began + CHECK_SECONDS / 2)
        self.assertEqual(self.rows(), [])
        work.sync(said, began + CHECK_SECONDS)
        [row] = self.rows()
        self.assertTrue(row.is_set_aside)

    def test_it_is_tried_again_when_somebody_asks_and_counted(self) -> None:
        with self.expected():
            self.rounds()
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        with self.expected():
            self.rounds()
        [row] = self.rows()
        self.assertEqual((row.is_set_aside, row.tries, row.retry_asked_at), (True, 2, None))

    def test_once_mended_it_is_sealed_and_its_row_goes(self) -> None:
        with self.expected():
            self.rounds()
        self.path.with_suffix(spool.SET_ASIDE).write_bytes(self.content)
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        self.rounds()
        self.assertEqual(self.rows(), [])
        self.assertGreater(Segment.objects.count(), 0)
