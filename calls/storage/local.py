"""The audio stores of one host: durable files in a folder, or rows of the database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from heapq import nsmallest
from pathlib import Path
from typing import IO, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.db.models import BinaryField
from django.db.models.functions import Substr
from django.utils import timezone

from calls.storage import AudioStorage, StoredObject, StoreUnreachable

PAGE = 1000
"""Names that are held in memory at a time when a store is listed."""


class DurableFileStorage(AudioStorage, FileSystemStorage):
    """Files in a folder, written whole: to a temporary name, fsync, rename, fsync of the folder.

    Django's `FileSystemStorage` never fsyncs, so after a power cut a row could point at an empty
    file.
    """

    def read_range(self, name: str, start: int, end: int) -> bytes:
        with self.open(name, "rb") as file:
            file.seek(start)
            content: bytes = file.read(max(end - start, 0))
        return content

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        path = prefix[: prefix.rfind("/") + 1]  # one call is found without a look at all the others
        assert after.startswith(path) or not after, "`after` is one of the names asked for"
        for found in _files_below(Path(self.location) / path, path, after.removeprefix(path)):
            if found.name.startswith(prefix):
                yield found

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        try:
            file: File[Any] = super()._open(name, mode)  # type: ignore[misc] # the stubs leave it out
        except FileNotFoundError:
            if not Path(
                self.location
            ).is_dir():  # a volume that is not mounted is no proof that audio is missing
                raise StoreUnreachable("the folder of the audio store is not there") from None
            raise
        return file

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        _make_folders(target.parent)
        # One name for whoever writes this object: what a crash has left half written, the next try
        # writes over. Two that meet here write the same bytes, and whoever comes too late to rename
        # tries again.
        partial = target.with_name(f".{target.name}.partial")
        try:
            with partial.open("wb") as file:
                for piece in content.chunks():
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        fsync_folder(target.parent)
        return name

    def delete(self, name: str) -> None:
        """Removes the file, and the folders that it leaves empty."""
        super().delete(name)
        folder, root = Path(self.path(name)).parent, Path(self.location)
        with suppress(OSError):  # not empty, or gone already
            while folder != root:
                folder.rmdir()
                folder = folder.parent


class DatabaseStorage(AudioStorage):
    """Objects as rows of `AudioBlob`: one backup holds everything; for small installations."""

    def read_range(self, name: str, start: int, end: int) -> bytes:
        from calls.models import (
            AudioBlob,  # the app registry is not ready when settings name this class
        )

        part = Substr("content", start + 1, max(end - start, 0), output_field=BinaryField())
        try:
            return bytes(AudioBlob.objects.values_list(part, flat=True).get(name=name))
        except AudioBlob.DoesNotExist as error:
            raise FileNotFoundError(name) from error

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        from calls.models import AudioBlob

        # Read by key, a page at a time: a cursor over all of them would hold a transaction open for
        # hours.
        blobs = AudioBlob.objects.filter(name__startswith=prefix).order_by("name")
        rows = blobs.values_list("name", "size", "created_at")
        while page := list(rows.filter(name__gt=after)[:PAGE]):
            yield from (StoredObject(*row) for row in page)
            after = page[-1][0]

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        from calls.models import AudioBlob

        try:
            content = AudioBlob.objects.values_list("content", flat=True).get(name=name)
        except AudioBlob.DoesNotExist as error:
            raise FileNotFoundError(name) from error
        return ContentFile(bytes(content), name=name)

    def _save(self, name: str, content: IO[Any]) -> str:
        from calls.models import AudioBlob

        body = content.read()
        values = {"content": body, "size": len(body), "created_at": timezone.now()}
        AudioBlob.objects.update_or_create(name=name, defaults=values)
        return name

    def delete(self, name: str) -> None:
        from calls.models import AudioBlob

        AudioBlob.objects.filter(name=name).delete()

    def exists(self, name: str) -> bool:
        from calls.models import AudioBlob

        return AudioBlob.objects.filter(name=name).exists()

    def size(self, name: str) -> int:
        from calls.models import AudioBlob

        try:
            return AudioBlob.objects.values_list("size", flat=True).get(name=name)
        except AudioBlob.DoesNotExist as error:
            raise FileNotFoundError(name) from error


def _files_below(folder: Path, path: str, after: str) -> Iterator[StoredObject]:
    """Files in order of the parts of their names. `path` is the folder's own name, "" or with a
    slash at its end.
    """
    first, _, rest = after.partition("/")
    for name in _names_in(folder, first):
        entry = folder / name
        if entry.is_dir():
            yield from _files_below(entry, f"{path}{name}/", rest if name == first else "")
        elif name != after:
            with suppress(FileNotFoundError):  # renamed or removed this moment
                status = entry.stat()
                yield StoredObject(
                    path + name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)
                )


def _names_in(folder: Path, first: str) -> Iterator[str]:
    """Names in a folder from `first` on, in order, a page in memory at a time: it can hold
    millions.
    """
    if first and (folder / first).exists():
        yield first
    while page := _page_of(folder, first):
        yield from page
        first = page[-1]


def _page_of(folder: Path, after: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return nsmallest(PAGE, (entry.name for entry in entries if entry.name > after))
    except FileNotFoundError:  # emptied and removed this moment
        return []


def _make_folders(folder: Path) -> None:
    """`mkdir -p` that fsyncs each folder it makes an entry in."""
    if folder.exists():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def fsync_folder(folder: Path) -> None:
    """When it returns, the names in the folder are on disk: what was made, renamed or removed in it
    stays so.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
