"""Audio stores behind Django's storage API; `settings.AUDIO_STORE` chooses one, `audio_store()` returns it.

`s3` and `azure` come from django-storages. The two here differ from Django's own in one promise: when `save` returns,
the bytes are on disk, or committed. Saving under a name that exists replaces it, because names are derived and a retry
writes the same bytes again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone


def audio_store() -> Storage:
    """The store that holds sealed segments."""
    return storages["audio"]


class DurableFileStorage(FileSystemStorage):
    """Files in a folder, written whole: to a temporary name, fsync, rename, fsync of the folder.

    Django's `FileSystemStorage` never fsyncs, so after a power cut a row could point at an empty file.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself: it is derived, and the same name means the same audio."""
        return name

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        _make_folders(target.parent)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
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
        _fsync_folder(target.parent)
        return name

    def delete(self, name: str) -> None:
        """Removes the file, and the folders that it leaves empty."""
        super().delete(name)
        folder, root = Path(self.path(name)).parent, Path(self.location)
        with suppress(OSError):  # not empty, or gone already
            while folder != root:
                folder.rmdir()
                folder = folder.parent


class DatabaseStorage(Storage):
    """Objects as rows of `AudioBlob`: one backup holds everything; for small installations."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        from calls.models import AudioBlob  # the app registry is not ready when settings name this class

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

        return AudioBlob.objects.values_list("size", flat=True).get(name=name)

    def get_created_time(self, name: str) -> datetime:
        from calls.models import AudioBlob

        return AudioBlob.objects.values_list("created_at", flat=True).get(name=name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """All names below `path`; the store has no folders."""
        from calls.models import AudioBlob

        prefix = f"{path.rstrip('/')}/" if path else ""
        names = AudioBlob.objects.filter(name__startswith=prefix).values_list("name", flat=True)
        return [], [name.removeprefix(prefix) for name in names.order_by("name").iterator()]


def read_object(name: str) -> bytes:
    """The whole object; segments are small (at most SEGMENT_SECONDS of audio)."""
    with audio_store().open(name, "rb") as file:
        content: bytes = file.read()
    return content


def write_object(name: str, content: bytes) -> None:
    """Stores the object; when this returns it is durable. Raises what the store raises."""
    audio_store().save(name, File(BytesIO(content), name=name))


def _make_folders(folder: Path) -> None:
    """`mkdir -p` that fsyncs each folder it makes an entry in."""
    if folder.exists():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
