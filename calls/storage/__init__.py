"""Audio stores behind Django's storage API; `settings.AUDIO_STORE` chooses one, `audio_store()`
returns it.

Files and database are in `calls.storage.local`, `s3` and `azure` in `calls.storage.object_storage`.
All keep three promises that Django's own do not give: when `save` returns, the bytes are on disk,
committed or acknowledged; saving under a name that exists replaces it, because names are derived
and a retry writes the same bytes again; and what goes wrong is one of these, whatever lies behind
it (or `django.db.Error`, where the store is the database):

OSError
 ├── FileNotFoundError   there is no such object
 └── StoreUnreachable    the store refuses, does not answer in time, or cannot be reached
      └── NotStored      the store took an object, and holds another

`write_object` believes no store: it compares what the store holds with what it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import cast

from django.core.files.base import File
from django.core.files.storage import Storage, storages


class StoreUnreachable(OSError):
    """The store refuses, does not answer in time, or cannot be reached."""


class NotStored(StoreUnreachable):
    """The store said that it took an object, and holds something else."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the store lists it."""

    name: str
    size_bytes: int
    modified_at: datetime


class AudioStorage(Storage):
    """What every audio store can do besides Django's `save`, `open`, `delete`, `exists`, `size`."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself: it is derived, and the same name means the same audio."""
        return name

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Bytes [start, end) of an object and no others, as a slice is taken: fewer where the
        object ends.

        Raises `FileNotFoundError`.
        """
        raise NotImplementedError

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        """All objects whose names begin with `prefix`, in order of their names, the ones after
        `after`.

        Memory stays flat however many there are. `after`, where given, begins with `prefix` as
        well.
        """
        raise NotImplementedError

    def holds(self, name: str, content: bytes) -> bool:
        """Whether the object is these bytes, as far as the store can be asked. Raises
        `FileNotFoundError`.
        """
        with self.open(name, "rb") as file:
            return bool(file.read() == content)


def audio_store() -> AudioStorage:
    """The store that holds sealed segments."""
    return cast("AudioStorage", storages["audio"])


def read_object(name: str) -> bytes:
    """The whole object; segments are small (at most SEGMENT_SECONDS of audio)."""
    with audio_store().open(name, "rb") as file:
        content: bytes = file.read()
    return content


def write_object(name: str, content: bytes) -> None:
    """Stores the object; when this returns it is durable, and the store holds these bytes.

    Raises `StoreUnreachable` (`NotStored` where the store holds others), `OSError`,
    `django.db.Error`.
    """
    store = audio_store()
    store.save(name, File(BytesIO(content), name=name))
    try:
        whole = store.holds(name, content)
    except FileNotFoundError as error:
        raise NotStored(f"{name} is not there after it was stored") from error
    if not whole:
        raise NotStored(f"{name} is not what was stored")
