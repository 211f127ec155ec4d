"""The spool: one folder of journals per process, owned by a file lock, until they are sealed.

    <spool>/<process>/owner.lock                    held as long as the process lives; one byte
                                                    long once another process has taken it over
    <spool>/<process>/sealer.lock                   held by its sealer, if that is a process
    <spool>/<process>/<stream>.<nnnnnn>.open        being written
    <spool>/<process>/<stream>.<nnnnnn>.journal     finished, waiting to be sealed
    <spool>/<process>/<stream>.<nnnnnn>.unreadable  set aside: its handshake is missing
    <spool>/<process>/<stream>.<nnnnnn>.state       timeline after that many files of the stream
    <spool>/axes/<call>                             timeline after a call's last socket, for
                                                    reconnects

The locks of a dead process are free at once, however it ended, so any process that finds a folder
with free locks takes it over, and two processes never take over the same one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
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
    """The folder of one process, held by its locks until `release`."""

    def __init__(self, path: Path, *locks: int) -> None:
        self.path = path
        self._locks = locks

    def release(self, *, remove_empty: bool = False) -> None:
        """Releases the locks; with `remove_empty` removes an empty folder first."""
        try:
            if remove_empty and not any(
                entry.name not in {LOCK, SEALER_LOCK} for entry in self.path.iterdir()
            ):
                _remove(self.path)
        finally:  # a lock left behind would block the folder as long as this process lives
            for lock in self._locks:
                os.close(lock)


def claim(spool: Path) -> Folder:
    """Creates a folder for this process. It appears under its name with its lock already held, so
    no other process can take it over.
    """
    if not spool.is_dir():
        spool.mkdir(0o700, parents=True, exist_ok=True)
        fsync_folder(spool.parent)
    name = str(uuid4())
    hidden = spool / f".{name}"
    hidden.mkdir(0o700)
    lock = os.open(hidden / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    hidden.rename(spool / name)
    fsync_folder(spool)
    return Folder(spool / name, lock)


def abandoned(spool: Path) -> Iterator[Folder]:
    """Yields the folders of dead processes, each locked by us; the caller releases it."""
    if not spool.is_dir():
        return
    for path in sorted(spool.iterdir()):
        if path.is_dir() and path.name != AXES and not path.name.startswith("."):
            try:
                folder = _take_over(path)
            except OSError as error:  # affects only this folder
                log.warning("folder takeover failed", folder=path.name, error=error.strerror)
                continue
            if folder is not None:
                yield folder


def is_owned(folder: Path) -> bool:
    """Whether a living process holds the folder: its own, or one that it has taken over.

    Asking takes the lock for some microseconds; a takeover that fails for that comes again.
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # just removed, or not the folder of a process
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def is_written(folder: Path) -> bool:
    """Whether the process that created the folder lives: only that one writes journals into it.

    One that has been taken over is owned too, but its open journals are only sealed.
    """
    try:
        is_taken_over = (folder / LOCK).stat().st_size > 0
    except OSError:  # just removed, or not the folder of a process
        return False
    return not is_taken_over and is_owned(folder)


def sync_files(paths: Iterable[Path]) -> None:
    """Syncs the files and their folders: on return, contents and names are on disk."""
    paths = list(paths)
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folders_of(paths)


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Replaces files atomically: readers find the old content or the new one, even after a power
    cut.

    On return all are on disk. If one fails, those before it may have been replaced.
    """
    for path, content in contents.items():
        _replace(path, content)
    _sync_folders_of(contents)


def remove_leftovers(folder: Path) -> None:
    """Removes files that a crash between two steps has left beside journals, once all of these are
    sealed: otherwise the folder would never become empty. Journals that were set aside stay.
    """
    left = list(folder.iterdir())
    if any(path.suffix in JOURNALS for path in left):
        return
    for path in left:
        if path.suffix == ".state" or path.name.startswith("."):
            path.unlink(missing_ok=True)


def axes_in(spool: Path) -> list[Path]:
    """Returns the axes of calls, files with the call's id as their name, and partial ones."""
    folder = spool / AXES
    return list(folder.iterdir()) if folder.is_dir() else []


def remove_old_axes(spool: Path, older_than_seconds: float) -> None:
    oldest = time.time() - older_than_seconds
    for path in axes_in(spool):
        with suppress(FileNotFoundError):  # another process was faster
            if path.stat().st_mtime < oldest:
                path.unlink()


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read: states hold numbers and audio."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{uuid4()}")
    try:
        with open(partial, "wb", opener=_private) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:  # frees space on a full disk, and lets the folder become empty
        partial.unlink(missing_ok=True)
        raise


def _sync_folders_of(paths: Iterable[Path]) -> None:
    for folder in dict.fromkeys(path.parent for path in paths):
        fsync_folder(folder)


def lock_for_sealing(folder: Path) -> bool:
    """Holds the second lock of a folder until this process ends; False if the folder is gone or
    taken over.
    """
    lock = _locked(folder / SEALER_LOCK) if (folder / LOCK).exists() else None
    if lock is not None and not (folder / LOCK).exists():
        _remove(folder)  # it is just being removed, which our new file would have prevented
        os.close(lock)
        return False
    return lock is not None


def _take_over(path: Path) -> Folder | None:
    owner = _locked(path / LOCK, create=False)
    if owner is None:
        return None
    with suppress(OSError):  # a full disk must not keep its journals from being sealed
        os.ftruncate(owner, 1)  # before any step that may wait: see `is_written`
    try:
        sealer = _locked(path / SEALER_LOCK)
    except OSError:
        os.close(owner)
        raise
    if sealer is None:  # the sealer of the dead process is still sealing a file
        os.close(owner)
        return None
    return Folder(path, owner, sealer)


def _remove(folder: Path) -> None:
    """Removes an empty folder, unless another process has just created a file in it."""
    for name in (SEALER_LOCK, LOCK):
        (folder / name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise


def _locked(path: Path, *, create: bool = True) -> int | None:
    """Returns the descriptor holding the lock; None if another process holds it or is removing the
    folder.
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
