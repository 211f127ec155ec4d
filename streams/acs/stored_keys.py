"""The key set on disk, for a start while the key server is unreachable.

Without it a process that restarts during an outage of the key server, or of this host's way to it,
would refuse every call. The file holds public keys, but it decides who gets in: only its owner may
read or write it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

log = structlog.get_logger(__name__)

MAX_AGE_SECONDS = 7 * 86_400.0
"""Age up to which a stored key set is used. Microsoft changes its keys every few weeks, and a key
that was withdrawn must not be accepted for ever.
"""
NAME = "acs_keys.json"


class Stored(NamedTuple):
    document: bytes
    age_seconds: float


class StoredKeys:
    """The key set of `url` in a file of `folder`; several processes may share it."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        name: str = NAME,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = folder / name
        self._url = url
        self._wall_clock = wall_clock

    def read(self) -> Stored | None:
        """Returns the key set; None if there is none of this address that is young enough. Never
        raises.
        """
        try:
            saved = json.loads(self._path.read_bytes())
            url, fetched_at, document = saved["url"], float(saved["fetched_at"]), saved["document"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("stored key set unreadable", reason=type(error).__name__)
            return None
        age_seconds = self._wall_clock() - fetched_at
        # younger than now as well: a clock that was set back says nothing about the keys
        if url != self._url or not isinstance(document, str) or abs(age_seconds) > MAX_AGE_SECONDS:
            return None
        return Stored(document.encode(), age_seconds)

    def write(self, document: bytes) -> None:
        """Replaces the stored key set, readable by its owner only. Never raises: the keys in memory
        are what counts.
        """
        saved = {
            "url": self._url,
            "fetched_at": self._wall_clock(),
            "document": document.decode(errors="replace"),
        }
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        try:
            with open(partial, "w", opener=_private) as file:
                json.dump(saved, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            log.warning("key set not stored", reason=error.strerror or type(error).__name__)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
