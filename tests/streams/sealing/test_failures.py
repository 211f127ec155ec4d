"""Sealing failures and process status as rows, and retries on request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from calls.live.messages import NO_RECORDERS, AlarmNews, Refusals
from calls.models import FailedJournal, RaisedAlarm, RecorderProcess, Segment
from streams.journal import spool
from streams.sealing import steps
from streams.sealing.failures import CHECK_SECONDS, FailureLog, ProcessStatus, forget_process
from streams.sealing.sealer import FAILURES_SECONDS, LONGEST_BACKOFF_SECONDS
from streams.stats import Backlog
from tests.calls.rows import make_alarm
from tests.streams.journals import Socket
from tests.streams.packets import speech
from tests.streams.spools import SpoolTest, database_away
from tests.streams.test_alarm_lines import some_alarms


class ProcessRow(SpoolTest):
    def test_a_process_publishes_its_figures_and_its_failures(self) -> None:
        Socket(self.process.folder).say(speech(100)).close()
        self.store.away = True
        with self.expected():
            self.process.round()
        row = RecorderProcess.objects.get()
        self.assertEqual(str(row.id), self.process.folder.name)
        self.assertEqual((row.open_streams, row.segments_sealed), (0, 0))
        self.store.away = False
        self.process.round(after_seconds=FAILURES_SECONDS)
        self.process.round(after_seconds=FAILURES_SECONDS)
        row.refresh_from_db()
        self.assertEqual(row.segments_sealed, Segment.objects.count())
        self.assertEqual((row.failures["store"], row.last_error), (1, "the store is unreachable"))

    def test_a_process_publishes_its_refused_handshakes(self) -> None:
        refused = Refusals(from_acs={"expired": 2}, others={"no_header": 9})
        self.process.sealer.refusals = lambda: refused
        self.process.round()
        self.assertEqual(RecorderProcess.objects.get().refusals, refused)

    def test_a_process_that_is_stopped_leaves_no_row(self) -> None:
        self.process.round()
        another = self.new_process()
        another.round()
        forget_process(self.process.folder)
        self.assertEqual(str(RecorderProcess.objects.get().id), another.folder.name)
        with database_away(), self.assertLogs("streams.sealing.failures", "INFO"):
            forget_process(another.folder)

    def test_a_process_without_a_heartbeat_for_an_hour_is_deleted(self) -> None:
        self.process.round()
        RecorderProcess.objects.update(seen_at=timezone.now() - timedelta(minutes=61))
        another = self.new_process()
        another.round()
        self.assertEqual(
            [str(row.id) for row in RecorderProcess.objects.all()], [another.folder.name]
        )

    def test_a_failure_to_publish_is_no_outage(self) -> None:
        Socket(self.process.folder).say(speech(100)).close()
        with patch.object(FailureLog, "sync", side_effect=ValueError), self.expected():
            self.assertTrue(self.process.round())
        self.assertGreater(Segment.objects.count(), 0)

    def test_folders_of_the_file_system_are_ignored(self) -> None:
        (self.spool / "lost+found").mkdir()
        self.process.round()
        self.assertEqual(RecorderProcess.objects.count(), 1)

    def test_the_status_is_written_when_the_database_is_reachable_again(self) -> None:
        with database_away(), self.expected():
            self.process.round()
        self.process.round(after_seconds=FAILURES_SECONDS)
        self.assertEqual(RecorderProcess.objects.count(), 1)


class Failing:
    """A step of sealing that fails until `is_mended` is set."""

    def __init__(self) -> None:
        self.is_mended = False
        self.tries = 0
        self._store = steps.store_audio

    def __call__(self, file: Any) -> None:
        self.tries += 1
        if not self.is_mended:
            raise ValueError("it is at fault itself")
        self._store(file)


class FailedJournalRow(SpoolTest):
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
        self.process.round(after_seconds=FAILURES_SECONDS)
        row: FailedJournal = FailedJournal.objects.get()
        return row

    def test_a_failed_journal_is_a_row_with_its_error_and_tries(self) -> None:
        row = self.fail(times=2)
        self.assertEqual((row.error, row.tries, row.is_set_aside), ("ValueError", 2, False))
        self.assertEqual(str(row.process), self.process.folder.name)

    def test_its_row_is_deleted_once_it_is_sealed(self) -> None:
        self.fail()
        self.failing.is_mended = True
        self.process.round(after_seconds=LONGEST_BACKOFF_SECONDS)
        self.process.round(after_seconds=FAILURES_SECONDS)
        self.assertEqual(FailedJournal.objects.count(), 0)
        self.assertGreater(Segment.objects.count(), 0)

    def test_it_is_retried_at_once_on_request(self) -> None:
        self.fail()
        tries = self.failing.tries
        self.process.round(after_seconds=FAILURES_SECONDS)
        self.assertEqual(self.failing.tries, tries)  # it waits fifteen seconds
        self.failing.is_mended = True
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        sealer = self.process.sealer
        sealer._retry_at = dict.fromkeys(sealer._retry_at, self.clock.now + 3600)
        self.process.round(after_seconds=FAILURES_SECONDS)
        self.process.round()
        self.assertGreater(Segment.objects.count(), 0)

    def test_another_process_leaves_the_request_to_the_process_that_failed(self) -> None:
        self.fail()
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        another = self.new_process()
        another.round()
        self.assertIsNotNone(FailedJournal.objects.get().retry_asked_at)

    def test_a_successor_deletes_the_rows_of_files_it_has_sealed_for_another(self) -> None:
        self.fail()
        self.failing.is_mended = True
        self.process.die()
        successor = self.new_process()
        successor.round()
        successor.round(after_seconds=FAILURES_SECONDS)
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
        """Returns the journal with its handshake destroyed and the rest intact."""
        return b"\0" * 400 + self.content[400:]

    def rounds(self, *processes: Any) -> None:
        for process in processes or (self.process,):
            process.round(after_seconds=FAILURES_SECONDS)
            process.round(after_seconds=FAILURES_SECONDS)

    def rows(self) -> Sequence[FailedJournal]:
        return list(FailedJournal.objects.filter(process=self.process.folder.name))

    def test_it_is_a_row_and_stays_on_disk(self) -> None:
        with self.expected():
            self.rounds()
        [row] = self.rows()
        self.assertEqual((row.is_set_aside, row.error, row.tries), (True, "UnreadableJournal", 1))
        self.assertTrue(self.path.with_suffix(spool.SET_ASIDE).exists())

    def test_a_later_process_publishes_files_that_it_finds(self) -> None:
        with self.expected():
            self.rounds()
        FailedJournal.objects.all().delete()
        self.process.die()
        self.rounds(self.new_process())
        [row] = self.rows()
        self.assertTrue(row.is_set_aside)

    def test_a_file_that_another_process_sets_aside_is_found_within_half_a_minute(self) -> None:
        watcher, began = self.new_process(), timezone.now()
        failure_log = FailureLog(self.spool, watcher.folder, began)
        status = ProcessStatus(0, 0, {}, Backlog(), "", NO_RECORDERS["refused"])
        failure_log.sync(status, began)
        self.path.rename(self.path.with_suffix(spool.SET_ASIDE))
        failure_log.sync(status, began + CHECK_SECONDS / 2)
        self.assertEqual(self.rows(), [])
        failure_log.sync(status, began + CHECK_SECONDS)
        [row] = self.rows()
        self.assertTrue(row.is_set_aside)

    def test_it_is_retried_on_request_and_counted(self) -> None:
        with self.expected():
            self.rounds()
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        with self.expected():
            self.rounds()
        [row] = self.rows()
        self.assertEqual((row.is_set_aside, row.tries, row.retry_asked_at), (True, 2, None))

    def test_once_mended_it_is_sealed_and_its_row_is_deleted(self) -> None:
        with self.expected():
            self.rounds()
        self.path.with_suffix(spool.SET_ASIDE).write_bytes(self.content)
        FailedJournal.objects.update(retry_asked_at=timezone.now())
        self.rounds()
        self.assertEqual(self.rows(), [])
        self.assertGreater(Segment.objects.count(), 0)


class ActiveAlarms(SpoolTest):
    def setUp(self) -> None:
        super().setUp()
        self.began = timezone.now()
        self.failure_log = FailureLog(self.spool, self.new_process().folder, self.began)

    def active(self) -> set[str]:
        return set(RaisedAlarm.objects.filter(cleared_at=None).values_list("origin", flat=True))

    def report(self, seconds: float, alarms: list[AlarmNews] | None) -> None:
        self.failure_log.report_alarms(alarms, self.began + timedelta(seconds=seconds))

    def test_are_written_once_they_are_known(self) -> None:
        self.report(0, None)
        self.assertEqual(self.active(), set())
        self.report(5, some_alarms(2))
        (origin,) = self.active()
        self.report(10, None)
        self.assertEqual(self.active(), {origin}, "a new sealer does not know them yet")
        self.report(15, [])
        self.assertEqual(self.active(), set())

    def test_that_acs_is_refused_names_the_reasons_and_leads_to_the_list(self) -> None:
        refused = Refusals(from_acs={"expired": 2, "wrong_audience": 7}, others={"no_header": 9})
        self.failure_log.sync(ProcessStatus(0, 0, {}, Backlog(), "", refused), self.began)
        [alarm] = some_alarms(1)
        self.report(5, [{**alarm, "alarm": "acs_refused"}])
        detail = RaisedAlarm.objects.get().detail
        self.assertEqual(detail["reasons"], {"wrong_audience": 7, "expired": 2})
        self.assertTrue(detail["text"].startswith("token for another resource: check ACS_RESOURCE"))
        self.assertTrue(detail["list"].endswith("/admin/calls/refusedhandshake/?from_acs__exact=1"))
        self.client.force_login(User.objects.create_superuser("boss"))
        self.assertEqual(self.client.get(detail["list"]).status_code, 200)

    def test_of_a_process_that_died_are_cleared_and_say_so(self) -> None:
        lost, job = str(uuid4()), "coverage"
        for origin in (lost, job):
            seen = self.began - timedelta(hours=1)
            make_alarm(origin=origin, raised_at=seen, seen_at=seen)
        for seconds in range(0, 116, 5):
            self.report(seconds, [])
        self.assertEqual(self.active(), {lost, job}, "it may have been the database")
        self.report(120, [])
        self.assertEqual(self.active(), {job})
        self.assertEqual(RaisedAlarm.objects.get(origin=lost).detail, {"ended": "process_lost"})

    def test_of_others_are_kept_after_an_outage_of_the_database(self) -> None:
        for seconds in range(0, 301, 5):
            self.report(seconds, [])
        other = str(uuid4())
        make_alarm(origin=other, seen_at=self.began - timedelta(seconds=600))
        for seconds in range(900, 1016, 5):  # ten minutes later the database is back
            self.report(seconds, [])
        self.assertEqual(self.active(), {other})
        self.report(1020, [])
        self.assertEqual(self.active(), set())
