"""The spool: where journals lie until they are sealed. One folder per process, owned by a file
lock.

    <spool>/<process>/owner.lock               held for as long as the process lives
    <spool>/<process>/sealer.lock              held by its sealer, where that is a process of its
    own <spool>/<process>/<stream>.<nnnnnn>.open     being written
    <spool>/<process>/<stream>.<nnnnnn>.journal  finished, waiting to be sealed
    <spool>/<process>/<stream>.<nnnnnn>.unreadable  set aside: it does not say whose it is
    <spool>/<process>/<stream>.<nnnnnn>.state    the timeline after that many files of the stream
    <spool>/axes/<call>                         the timeline after a call's last socket, for a
    reconnect

A lock of a dead process is free at once, whatever killed it, so whoever finds a folder with free
locks takes it over, and two processes never take the same one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import structlog

from calls.storage.local import fsync_folder

log = structlog.get_logger(__name__)

LOCK = "owner.lock"
SEALER_LOCK = "sealer.lock"
AXES = "axes"
JOURNALS = (".journal", ".open")
SET_ASIDE = ".unreadable"


class Folder:
    """One process's folder, held by its locks until `release`."""

    def __init__(self, path: Path, *locks: int) -> None:
        self.path = path
        self._locks = locks

    def release(self, *, remove_empty: bool = False) -> None:
        """Gives the folder up; with `remove_empty` an emptied one is taken away first."""
        try:
            if remove_empty and not any(
                entry.name not in {LOCK, SEALER_LOCK} for entry in self.path.iterdir()
            ):
                _take_away(self.path)
        # a lock that stays behind would keep everyone away for as long as this process lives
        finally:
            for lock in self._locks:
                os.close(lock)


def claim(spool: Path) -> Folder:
    """A new folder of our own. It appears under its name with its lock already held, so nobody can
    take it over.
    """
    if not spool.is_dir():
        spool.mkdir(parents=True, exist_ok=True)
        fsync_folder(spool.parent)
    name = str(uuid4())
    hidden = spool / f".{name}"
    hidden.mkdir()
    lock = os.open(hidden / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    hidden.rename(spool / name)
    fsync_folder(spool)
    return Folder(spool / name, lock)


def abandoned(spool: Path) -> Iterator[Folder]:
    """Folders whose process is dead, each held by us while it is looked at; the caller releases
    it.
    """
    if not spool.is_dir():
        return
    for path in sorted(spool.iterdir()):
        if path.is_dir() and path.name != AXES and not path.name.startswith("."):
            try:
                folder = _take(path)
            except OSError as error:  # of one folder: the others have their turn
                log.warning("folder not taken over", folder=path.name, error=error.strerror)
                continue
            if folder is not None:
                yield folder


def sync_files(paths: Iterable[Path]) -> None:
    """When it returns, the files are on disk under their names, with all that was written to
    them.
    """
    paths = list(paths)
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folders_of(paths)


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Replaces files: whoever reads one, also after a power cut, finds the old content or the new
    one.

    When it returns all are on disk. Where one fails, those before it may have been replaced.
    """
    for path, content in contents.items():
        _replace(path, content)
    _sync_folders_of(contents)


def forget_leftovers(folder: Path) -> None:
    """Removes what a crash between two steps has left beside journals, once they are all sealed:
    without it the folder would never be empty. Journals that were set aside stay.
    """
    left = list(folder.iterdir())
    if any(path.suffix in JOURNALS for path in left):
        return
    for path in left:
        if path.suffix == ".state" or path.name.startswith("."):
            path.unlink(missing_ok=True)


def forget_old_axes(spool: Path, older_than_seconds: float) -> None:
    folder = spool / AXES
    oldest = time.time() - older_than_seconds
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:  # another process was faster
            continue


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{uuid4()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:  # a full disk gets its room back, and the folder can become empty
        partial.unlink(missing_ok=True)
        raise


def _sync_folders_of(paths: Iterable[Path]) -> None:
    for folder in dict.fromkeys(path.parent for path in paths):
        fsync_folder(folder)


def lock_for_sealing(folder: Path) -> bool:
    """Holds the second lock of a folder until this process ends; False where the folder is gone, or
    taken over.
    """
    lock = _locked(folder / SEALER_LOCK) if (folder / LOCK).exists() else None
    if (
        lock is not None and not (folder / LOCK).exists()
    ):  # taken away this moment, which our new file must not hinder
        _take_away(folder)
        os.close(lock)
        return False
    return lock is not None


def _take(path: Path) -> Folder | None:
    owner = _locked(path / LOCK, create=False)
    if owner is None:
        return None
    try:
        sealer = _locked(path / SEALER_LOCK)
    except OSError:
        os.close(owner)
        raise
    if sealer is None:  # of its last process the sealer still works on a file
        os.close(owner)
        return None
    return Folder(path, owner, sealer)


def _take_away(folder: Path) -> None:
    """Removes an emptied folder; one in which somebody has made a file this moment is theirs to
    remove.
    """
    for name in (SEALER_LOCK, LOCK):
        (folder / name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise


def _locked(path: Path, *, create: bool = True) -> int | None:
    """The descriptor that holds the lock; None where another process holds it, or the folder is
    being taken away.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    still_there = False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        still_there = path.stat().st_ino == os.fstat(lock).st_ino
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        if not still_there:
            os.close(lock)
    return lock if still_there else None
