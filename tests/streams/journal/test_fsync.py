"""The syncer: everything added is synced, every descriptor is closed once, and no error ends it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase
from unittest.mock import patch

from streams.journal.fsync import Syncer
from tests.streams.journals import Socket
from tests.streams.packets import speech

PATIENCE_SECONDS = 20.0


def open_descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists()}


class Disk:
    """A fake `os.fdatasync` that keeps its calls, notifies waiters, and fails for `broken`
    descriptors.
    """

    def __init__(self) -> None:
        self.synced: list[int] = []
        self.broken: set[int] = set()
        self.called = threading.Condition()

    def __call__(self, descriptor: int) -> None:
        with self.called:
            self.synced.append(descriptor)
            self.called.notify_all()
        if descriptor in self.broken:
            raise OSError(errno.EIO, "Input/output error")

    def wait_for(self, condition: Callable[[list[int]], bool]) -> bool:
        with self.called:
            return self.called.wait_for(lambda: condition(self.synced), PATIENCE_SECONDS)


class SyncerTest(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="acsmedia-syncer-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.disk = Disk()
        fdatasync = patch("os.fdatasync", self.disk)
        fdatasync.start()
        self.addCleanup(fdatasync.stop)
        self.descriptors_before = open_descriptors()

    def syncer(self, interval_seconds: float = 3600.0) -> Syncer:
        return Syncer(self.folder, interval_seconds)

    def open(self, name: str = "one") -> int:
        return os.open(self.folder / name, os.O_WRONLY | os.O_CREAT)

    def test_open_journals_are_synced_every_round(self) -> None:
        syncer, descriptor = self.syncer(), self.open()
        syncer.add(descriptor)
        for _ in range(3):
            syncer.sync()
        self.assertEqual(self.disk.synced.count(descriptor), 3)
        syncer.retire(descriptor)
        syncer.sync()
        syncer.sync()
        self.assertEqual(self.disk.synced.count(descriptor), 4)

    def test_a_finished_journal_is_synced_once_more_and_closed(self) -> None:
        syncer, descriptor = self.syncer(), self.open()
        syncer.add(descriptor)
        syncer.retire(descriptor)
        self.assertIn(str(descriptor), open_descriptors())
        syncer.sync()
        self.assertEqual(self.disk.synced.count(descriptor), 1)
        self.assertNotIn(str(descriptor), open_descriptors())

    def test_the_folder_is_synced_after_a_new_file(self) -> None:
        syncer, descriptor = self.syncer(), self.open()
        syncer.add(descriptor)
        syncer.sync()
        self.assertEqual(len(self.disk.synced), 2)
        syncer.sync()
        self.assertEqual(len(self.disk.synced), 3)
        os.close(descriptor)

    def test_a_thousand_journals_leak_no_descriptor(self) -> None:
        syncer = self.syncer()
        for number in range(1000):
            socket = Socket(self.folder)
            syncer.add(socket.journal.descriptor)
            if number % 3 == 0:
                finished = socket.journal.rotate()
                syncer.retire(finished)
                syncer.add(socket.journal.descriptor)
            syncer.retire(socket.journal.finish())
            if number % 10 == 0:
                syncer.sync()
        syncer.stop()
        self.assertEqual(open_descriptors(), self.descriptors_before)

    def test_a_failed_sync_is_counted_and_does_not_affect_others(
        self,
    ) -> None:
        syncer, first, second = self.syncer(), self.open("one"), self.open("two")
        self.disk.broken = {first}
        for descriptor in (first, second):
            syncer.add(descriptor)
            syncer.retire(descriptor)
        with self.assertLogs("streams.journal.fsync", "ERROR"):
            syncer.sync()
        self.assertEqual(syncer.failures, 1)
        self.assertIn(second, self.disk.synced)
        self.assertEqual(open_descriptors(), self.descriptors_before)

    def test_a_failed_close_is_counted_and_does_not_affect_others(
        self,
    ) -> None:
        syncer, gone, other = self.syncer(), self.open("one"), self.open("two")
        os.close(gone)
        syncer.retire(gone)
        syncer.retire(other)
        with self.assertLogs("streams.journal.fsync", "ERROR"):
            syncer.sync()
        self.assertEqual(syncer.failures, 1)
        self.assertEqual(open_descriptors(), self.descriptors_before)

    def test_a_missing_folder_is_counted(self) -> None:
        syncer, descriptor = Syncer(self.folder / "gone", 3600.0), self.open()
        syncer.add(descriptor)
        syncer.retire(descriptor)
        with self.assertLogs("streams.journal.fsync", "ERROR"):
            syncer.sync()
        self.assertEqual(syncer.failures, 1)

    def test_the_thread_continues_after_an_error(self) -> None:
        syncer, descriptor = self.syncer(0.001), self.open()
        self.disk.broken = {descriptor}
        syncer.add(descriptor)
        with self.assertLogs("streams.journal.fsync", "ERROR"):
            syncer.start()
            self.assertTrue(self.disk.wait_for(lambda synced: synced.count(descriptor) >= 3))
            syncer.retire(descriptor)
            syncer.stop()
        self.assertGreaterEqual(syncer.failures, 3)

    def test_stop_returns_after_everything_is_synced_and_closed(self) -> None:
        syncer = self.syncer()
        syncer.start()
        socket = Socket(self.folder).say(speech(1))
        syncer.add(socket.journal.descriptor)
        syncer.retire(socket.journal.finish())
        syncer.stop()
        self.assertIn(socket.journal.descriptor, self.disk.synced)
        self.assertEqual(open_descriptors(), self.descriptors_before)

    def test_a_syncer_can_be_stopped_without_a_start(self) -> None:
        syncer, descriptor = self.syncer(), self.open()
        syncer.retire(descriptor)
        syncer.stop()
        self.assertEqual(open_descriptors(), self.descriptors_before)
