"""Audio stores behind Django's storage API: `audio_store()` returns the one that
`settings.AUDIO_STORE` selects.

`calls.storage.local` keeps audio in files or in the database, `calls.storage.object_storage` in S3
or Azure. All make three promises that Django's own storages do not:

- When `save` returns, the bytes are on disk, committed or acknowledged.
- Saving under an existing name replaces the object: names are derived, and a retry writes the same
  bytes again.
- Errors are the following, or `django.db.Error` if the store is the database.

OSError
 ├── FileNotFoundError   there is no such object
 └── StoreUnreachable    the store refuses, does not answer in time, or cannot be reached; its text
      │                  is the cause, such as `NoSuchBucket`
      ├── NotStored      the store accepted an object, but holds something else
      └── WrongStore     the store answers, but has none of the audio that it should have

`write_object` trusts no store: it compares the stored object with the bytes it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import cast

from django.core.files.base import File
from django.core.files.storage import Storage, storages


class StoreUnreachable(OSError):
    """The store refuses, does not answer in time, or cannot be reached."""


class NotStored(StoreUnreachable):
    """The store accepted an object, but holds something else."""


class WrongStore(StoreUnreachable):
    """The store answers, but has none of the audio that it should have."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a listing of the store."""

    name: str
    size_bytes: int
    modified_at: datetime


class AudioStorage(Storage):
    """Base class of audio stores; adds to Django's `save`, `open`, `delete`, `exists`, `size`."""

    most_deleted_at_once = 100
    """Objects in one `delete_all`. One by one, a slow store takes some 20 ms for each."""

    def check_access(self) -> None:
        """Raises `StoreUnreachable`, with the cause, if there is no folder, bucket or container, or
        the store does not let us in.
        """
        raise NotImplementedError

    def delete_all(self, names: Sequence[str]) -> None:
        """Deletes these objects; missing ones are no error."""
        for name in names:
            self.delete(name)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Returns the name itself: names are derived, so the same name means the same audio."""
        return name

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Returns bytes [start, end) of an object and reads no others; like a slice, fewer at the
        end of the object.

        Raises `FileNotFoundError`.
        """
        raise NotImplementedError

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        """Lists the objects whose names begin with `prefix` and come after `after`, in order of
        their names.

        Memory stays flat for any number of objects. `after`, if given, begins with `prefix`.
        """
        raise NotImplementedError

    def holds(self, name: str, content: bytes) -> bool:
        """Whether the stored object is `content`, as far as the store can tell.

        Raises `FileNotFoundError`.
        """
        with self.open(name, "rb") as file:
            return bool(file.read() == content)


def cause_of(error: BaseException) -> str:
    """Returns a short cause without paths and addresses, for logs and pages: the code of the store,
    such as `NoSuchBucket`, or the type of the error.
    """
    while type(error) is StoreUnreachable and isinstance(error.__cause__, OSError):
        error = error.__cause__
    if type(error) is StoreUnreachable:
        return str(error)
    strerror = error.strerror if isinstance(error, OSError) else ""
    return strerror or type(error).__name__


def audio_store() -> AudioStorage:
    """Returns the store of sealed segments."""
    return cast("AudioStorage", storages["audio"])


def read_object(name: str) -> bytes:
    """Returns the whole object; it is small (at most SEGMENT_SECONDS of audio)."""
    with audio_store().open(name, "rb") as file:
        content: bytes = file.read()
    return content


def write_object(name: str, content: bytes) -> None:
    """Stores the object durably and verifies it.

    Raises `StoreUnreachable` (`NotStored` if the store holds other bytes), `OSError`,
    `django.db.Error`.
    """
    store = audio_store()
    store.save(name, File(BytesIO(content), name=name))
    try:
        is_stored = store.holds(name, content)
    except FileNotFoundError as error:
        raise NotStored(f"{name} is missing after it was stored") from error
    if not is_stored:
        raise NotStored(f"{name} differs from the bytes that were stored")
