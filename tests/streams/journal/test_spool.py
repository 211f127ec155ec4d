"""The spool: every folder has one owner, and exactly one process takes over an abandoned folder."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase
from unittest.mock import patch

from django.test import tag

from streams.journal import spool
from streams.journal.spool import AXES, LOCK, SEALER_LOCK, Folder

OWNER = """
import sys
from pathlib import Path
from streams.journal import spool
folder = spool.claim(Path(sys.argv[1]))
(folder.path / "stream.000000.open").write_bytes(b"audio")
print(folder.path, flush=True)
sys.stdin.read()
"""

TAKEOVER = """
import sys
from pathlib import Path
from streams.journal import spool
sys.stdin.readline()
held = list(spool.abandoned(Path(sys.argv[1])))
print(len(held), flush=True)
sys.stdin.read()
"""


class Process:
    """A Python process that runs `program` on the spool, prints one line, and lives until it is
    killed.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """Sends SIGKILL, so that nothing in it can clean up."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@tag("once")
class SpoolTest(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="acsmedia-spool-")
        self.addCleanup(folder.cleanup)
        self.spool = Path(folder.name) / "spool"

    def claim(self) -> Folder:
        folder = spool.claim(self.spool)
        self.addCleanup(lambda: os.close(folder._locks[0]) if folder.path.exists() else None)
        return folder

    def process(self, program: str) -> Process:
        process = Process(program, self.spool)
        self.addCleanup(process.kill)
        return process

    def killed_owner(self) -> Path:
        """Returns the folder of a process that has claimed it, written a journal, and
        been killed.
        """
        process = Process(OWNER, self.spool)
        path = Path(process.line())
        process.kill()
        return path


class Owning(SpoolTest):
    def test_concurrent_claims_get_different_folders(self) -> None:
        with ThreadPoolExecutor(max_workers=8) as threads:
            folders = list(threads.map(lambda _: spool.claim(self.spool), range(16)))
        self.assertEqual(len({folder.path for folder in folders}), 16)
        self.assertEqual(list(spool.abandoned(self.spool)), [])
        for folder in folders:
            folder.release(remove_empty=True)

    def test_a_folder_never_has_its_name_without_a_held_lock(self) -> None:
        """Looks for abandoned folders at the moment of the rename, the earliest at which one could
        be seen.
        """
        seen: list[Path] = []
        rename = Path.rename

        def rename_and_scan(path: Path, target: Path) -> Path:
            named = rename(path, target)
            for taken in spool.abandoned(self.spool):
                seen.append(taken.path)
                taken.release()
            return named

        with patch.object(Path, "rename", rename_and_scan):
            folder = spool.claim(self.spool)
        self.assertEqual(seen, [])
        folder.release()

    def test_a_folder_of_a_living_process_is_not_abandoned(self) -> None:
        self.claim()
        process = self.process(OWNER)
        process.line()
        self.assertEqual(list(spool.abandoned(self.spool)), [])

    def test_a_missing_spool_has_no_abandoned_folders(self) -> None:
        self.assertEqual(list(spool.abandoned(self.spool)), [])

    def test_axes_files_and_folders_being_claimed_are_not_abandoned(self) -> None:
        (self.spool / AXES).mkdir(parents=True)
        (self.spool / AXES / LOCK).touch()
        (self.spool / ".claimed").mkdir()
        (self.spool / ".claimed" / LOCK).touch()
        (self.spool / "note").touch()
        (self.spool / "without-lock").mkdir()
        self.assertEqual(list(spool.abandoned(self.spool)), [])


class TakingOver(SpoolTest):
    def test_the_folder_of_a_killed_process_is_taken_over_with_its_journals(self) -> None:
        path = self.killed_owner()
        (folder,) = spool.abandoned(self.spool)
        self.assertEqual(folder.path, path)
        self.assertEqual((path / "stream.000000.open").read_bytes(), b"audio")
        folder.release()

    def test_exactly_one_of_two_processes_takes_over_a_folder(self) -> None:
        for _ in range(3):
            self.killed_owner()
        processes = [self.process(TAKEOVER), self.process(TAKEOVER)]
        for process in processes:
            process.go()
        self.assertEqual(sum(int(process.line()) for process in processes), 3)

    def test_a_folder_can_be_taken_over_again_after_another_kill(self) -> None:
        self.killed_owner()
        process = Process(TAKEOVER, self.spool)
        process.go()
        self.assertEqual(process.line(), "1")
        self.assertEqual(list(spool.abandoned(self.spool)), [])
        process.kill()
        (folder,) = spool.abandoned(self.spool)
        folder.release()

    def test_a_lock_in_a_folder_just_removed_is_not_taken_over(self) -> None:
        """The other process has opened the lock while we hold it, and acquires it when the folder
        is gone.
        """
        folder = spool.claim(self.spool)
        flock = fcntl.flock

        def release_first(lock: int, operation: int) -> None:
            folder.release(remove_empty=True)
            flock(lock, operation)

        with patch.object(fcntl, "flock", release_first):
            self.assertEqual(list(spool.abandoned(self.spool)), [])
        self.assertFalse(folder.path.exists())

    def test_a_folder_that_cannot_be_locked_does_not_affect_others(self) -> None:
        for _ in range(2):
            spool.claim(self.spool).release()
        first, second = sorted(self.spool.iterdir())
        open_file = os.open

        def fail(path: Path, *arguments: int) -> int:
            if path == first / SEALER_LOCK:
                raise OSError(errno.EMFILE, "Too many open files")
            return open_file(path, *arguments)

        with (
            patch("os.open", side_effect=fail),
            self.assertLogs("streams.journal.spool", "WARNING"),
        ):
            found = list(spool.abandoned(self.spool))
        self.assertEqual([folder.path for folder in found], [second])
        found[0].release()
        again = list(spool.abandoned(self.spool))
        self.assertEqual([folder.path for folder in again], [first, second])
        for folder in again:
            folder.release()


class Sealing(SpoolTest):
    def test_a_removed_folder_is_not_created_again(self) -> None:
        folder = spool.claim(self.spool)
        folder.release(remove_empty=True)
        self.assertFalse(spool.lock_for_sealing(folder.path))
        self.assertFalse(folder.path.exists())

    def test_a_folder_being_removed_does_not_stay_behind(self) -> None:
        folder = spool.claim(self.spool)
        locked = spool._locked

        def meanwhile(path: Path, *, create: bool = True) -> int | None:
            lock = locked(path, create=create)
            (path.parent / LOCK).unlink()
            return lock

        with patch("streams.journal.spool._locked", side_effect=meanwhile):
            self.assertFalse(spool.lock_for_sealing(folder.path))
        self.assertFalse(folder.path.exists())
        folder.release()


class Releasing(SpoolTest):
    def test_an_empty_folder_is_removed(self) -> None:
        folder = self.claim()
        folder.release(remove_empty=True)
        self.assertFalse(folder.path.exists())

    def test_a_folder_with_journals_stays_and_is_abandoned(self) -> None:
        folder = spool.claim(self.spool)
        (folder.path / "stream.000000.journal").touch()
        folder.release(remove_empty=True)
        (taken,) = spool.abandoned(self.spool)
        self.assertEqual(taken.path, folder.path)
        taken.release()

    def test_an_empty_folder_stays_by_default(self) -> None:
        folder = spool.claim(self.spool)
        folder.release()
        self.assertTrue((folder.path / LOCK).exists())

    def test_a_folder_that_cannot_be_removed_is_released(self) -> None:
        folder = spool.claim(self.spool)
        with (
            patch.object(Path, "rmdir", side_effect=OSError(errno.EACCES, "Permission denied")),
            self.assertRaises(OSError),
        ):
            folder.release(remove_empty=True)
        with self.assertRaises(OSError):
            os.fstat(folder._locks[0])


class AtomicReplacement(SpoolTest):
    def setUp(self) -> None:
        super().setUp()
        self.spool.mkdir()

    def test_replaces_the_file_and_leaves_nothing_else(self) -> None:
        path = self.spool / "state"
        spool.replace_files({path: b"old"})
        spool.replace_files({path: b"new"})
        self.assertEqual(
            [(one.name, one.read_bytes()) for one in self.spool.iterdir()], [("state", b"new")]
        )

    def test_syncs_content_before_the_rename_and_the_folder_after_it(self) -> None:
        steps: list[str] = []
        fsync, rename = os.fsync, Path.rename

        def note_fsync(descriptor: int) -> None:
            steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "content")  # noqa: PTH112
            fsync(descriptor)

        def note_rename(path: Path, target: Path) -> Path:
            steps.append("name")
            return rename(path, target)

        with patch("os.fsync", note_fsync), patch.object(Path, "rename", note_rename):
            spool.replace_files(
                {self.spool / "state": b"content", self.spool / "another": b"content"}
            )
        self.assertEqual(
            steps, ["content", "name", "content", "name", "folder"], "one folder sync for all"
        )

    def test_keeps_the_old_content_and_leaves_nothing_on_failure(self) -> None:
        path = self.spool / "state"
        spool.replace_files({path: b"old"})
        with (
            patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")),
            self.assertRaises(OSError),
        ):
            spool.replace_files({path: b"new"})
        self.assertEqual(
            [(one.name, one.read_bytes()) for one in self.spool.iterdir()], [("state", b"old")]
        )
