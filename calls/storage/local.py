"""Audio stores of one host: durable files in a folder, or rows of the database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from heapq import nsmallest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr
from django.utils import timezone

from calls.storage import AudioStorage, StoredObject, StoreUnreachable

if TYPE_CHECKING:
    from calls.models import AudioBlob

PAGE = 1000
"""Names held in memory at a time while a store is listed."""


class DurableFileStorage(AudioStorage, FileSystemStorage):
    """Files in a folder, written to a temporary name, fsynced, renamed; then the folder is fsynced.

    Django's `FileSystemStorage` never fsyncs, so after a power cut a row could point to an empty
    file.
    """

    def check_access(self) -> None:
        folder = Path(self.location)
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not existing.is_dir():
            raise StoreUnreachable("NotADirectory")
        if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
            raise StoreUnreachable("AccessDenied")

    def read_range(self, name: str, start: int, end: int) -> bytes:
        with self.open(name, "rb") as file:
            file.seek(start)
            content: bytes = file.read(max(end - start, 0))
        return content

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        path = prefix[: prefix.rfind("/") + 1]  # lists one call without the others
        assert after.startswith(path) or not after, "`after` is one of the names asked for"
        for stored in _files_below(Path(self.location) / path, path, after.removeprefix(path)):
            if stored.name.startswith(prefix):
                yield stored

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        with self._folder_checked():
            # the stubs leave it out
            file: File[Any] = super()._open(name, mode)  # type: ignore[misc]
        return file

    def size(self, name: str) -> int:
        with self._folder_checked():
            size: int = super().size(name)
        return size

    @contextmanager
    def _folder_checked(self) -> Iterator[None]:
        """Raises `StoreUnreachable` if the folder is missing too: the volume is probably not
        mounted.
        """
        try:
            yield
        except FileNotFoundError:
            if not Path(self.location).is_dir():
                raise StoreUnreachable("the folder of the audio store does not exist") from None
            raise

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        _make_folders(target.parent)
        # A fixed temporary name: a retry overwrites the partial file that a crash left. Two
        # concurrent writers write the same bytes; if the second one fails to rename, it is retried.
        partial = target.with_name(f".{target.name}.partial")
        try:
            with open(partial, "wb", opener=_private) as file:
                file.writelines(content.chunks())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        fsync_folder(target.parent)
        return name

    def delete(self, name: str) -> None:
        """Removes the file and the folders that become empty."""
        super().delete(name)
        folder, root = Path(self.path(name)).parent, Path(self.location)
        with suppress(OSError):  # not empty, or already removed
            while folder != root:
                folder.rmdir()
                folder = folder.parent


class DatabaseStorage(AudioStorage):
    """Objects as rows of `AudioBlob`, for small installations: one backup contains everything."""

    def check_access(self) -> None:
        _blobs().exists()

    def read_range(self, name: str, start: int, end: int) -> bytes:
        part = Substr("content", start + 1, max(end - start, 0), output_field=BinaryField())
        try:
            return bytes(_blobs().values_list(part, flat=True).get(name=name))
        except ObjectDoesNotExist as error:
            raise FileNotFoundError(name) from error

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        # By key, a page at a time: a cursor over all rows would keep a transaction open for hours.
        blobs = _blobs().filter(name__startswith=prefix).order_by("name")
        rows = blobs.values_list("name", "size", "created_at")
        while page := list(rows.filter(name__gt=after)[:PAGE]):
            yield from (StoredObject(*row) for row in page)
            after = page[-1][0]

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        try:
            content = _blobs().values_list("content", flat=True).get(name=name)
        except ObjectDoesNotExist as error:
            raise FileNotFoundError(name) from error
        return ContentFile(bytes(content), name=name)

    def _save(self, name: str, content: IO[Any]) -> str:
        body = content.read()
        values = {"content": body, "size": len(body), "created_at": timezone.now()}
        _blobs().update_or_create(name=name, defaults=values)
        return name

    def delete(self, name: str) -> None:
        _blobs().filter(name=name).delete()

    def exists(self, name: str) -> bool:
        return _blobs().filter(name=name).exists()

    def size(self, name: str) -> int:
        try:
            return _blobs().values_list("size", flat=True).get(name=name)
        except ObjectDoesNotExist as error:
            raise FileNotFoundError(name) from error


def _blobs() -> QuerySet[AudioBlob]:
    from calls.models import AudioBlob  # not at the top: this module is also used without apps

    return AudioBlob.objects.all()


def _files_below(folder: Path, path: str, after: str) -> Iterator[StoredObject]:
    """Lists files in order of their name's parts. `path` is the folder's name in the store: "", or
    with a slash at its end.
    """
    first, _, rest = after.partition("/")
    for name in _names_in(folder, first):
        entry = folder / name
        if entry.is_dir():
            yield from _files_below(entry, f"{path}{name}/", rest if name == first else "")
        elif name != after:
            with suppress(FileNotFoundError):  # just renamed or removed
                status = entry.stat()
                yield StoredObject(
                    path + name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)
                )


def _names_in(folder: Path, first: str) -> Iterator[str]:
    """Lists the names in a folder from `first` on, in order, with one page in memory: there can be
    millions.
    """
    if first and (folder / first).exists():
        yield first
    after = first
    with suppress(FileNotFoundError):  # just emptied and removed
        while True:
            with os.scandir(folder) as entries:
                later = (entry.name for entry in entries if entry.name > after)
                page = nsmallest(PAGE, later)
            if not page:
                return
            yield from page
            after = page[-1]


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read, whatever the umask."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _make_folders(folder: Path) -> None:
    """Works like `mkdir -p`, and fsyncs the parent of each new folder."""
    if folder.exists():
        return
    _make_folders(folder.parent)
    folder.mkdir(0o700, exist_ok=True)
    fsync_folder(folder.parent)


def fsync_folder(folder: Path) -> None:
    """Makes earlier creations, renames and removals in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
