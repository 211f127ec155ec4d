"""Processes that share a spool share its figures: their sum is what lies there."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from streams.journal import spool
from streams.journal.backlog import backlog_of
from streams.stats import Backlog

NOW = 4_000_000_000.0


class SharesTests(TestCase):
    def setUp(self) -> None:
        self.spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
        folders = sorted((spool.claim(self.spool) for _ in range(3)), key=lambda one: one.path)
        self.first, self.second, self.dead = folders[0], folders[1], folders[2]
        for number, folder in enumerate(folders, start=1):
            for name in range(number):
                (folder.path / f"{name}.000000.journal").write_bytes(bytes(10**number))
        self.addCleanup(self.second.release)
        self.first_lives = True
        self.addCleanup(self.end_first)
        self.dead.release()

    def end_first(self) -> None:
        if self.first_lives:
            self.first.release()
        self.first_lives = False

    def measured(self, own: spool.Folder, held: tuple[Path, ...] = ()) -> Backlog:
        return backlog_of(self.spool, NOW, own.path, held)

    def test_the_first_process_counts_what_nobody_holds(self) -> None:
        first, second = self.measured(self.first), self.measured(self.second)
        self.assertEqual((first.own_files, second.own_files), (1 + 3, 2))
        self.assertEqual((first.own_bytes, second.own_bytes), (10 + 3000, 200))

    def test_both_know_all_of_it_for_the_quota(self) -> None:
        for process in (self.first, self.second):
            measured = self.measured(process)
            self.assertEqual((measured.files, measured.size_bytes), (6, 3210))

    def test_a_process_counts_what_it_has_taken_over(self) -> None:
        (taken,) = spool.abandoned(self.spool)
        self.addCleanup(taken.release)
        first = self.measured(self.first)
        second = self.measured(self.second, (taken.path,))
        self.assertEqual((first.own_files, second.own_files), (1, 2 + 3))

    def test_when_the_first_one_dies_the_next_one_counts(self) -> None:
        self.end_first()
        self.assertEqual(self.measured(self.second).own_files, 1 + 2 + 3)

    def test_asking_leaves_the_folder_to_be_taken_over(self) -> None:
        self.measured(self.first)
        self.assertFalse(spool.is_owned(self.dead.path))
        self.assertTrue(spool.is_owned(self.first.path))
        self.assertFalse(spool.is_owned(self.spool / "none"))
        (taken,) = spool.abandoned(self.spool)
        self.assertEqual(taken.path, self.dead.path)
        taken.release()

    def test_only_the_process_that_created_a_folder_writes_it(self) -> None:
        self.assertTrue(spool.is_written(self.first.path))
        self.assertFalse(spool.is_written(self.dead.path))
        self.assertFalse(spool.is_written(self.spool / "none"))
        (taken,) = spool.abandoned(self.spool)
        self.addCleanup(taken.release)
        self.assertTrue(spool.is_owned(self.dead.path))
        self.assertFalse(spool.is_written(self.dead.path))

    def test_a_process_that_is_just_starting_is_not_the_first(self) -> None:
        (self.spool / ".0").mkdir()
        self.assertEqual(self.measured(self.first).own_files, 1 + 3)
