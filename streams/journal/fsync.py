"""Protection of journals against power cuts: one thread that fsyncs all open ones every second.

`fdatasync` takes about 0.8 ms and may take much longer: never on the event loop. Only this thread
closes descriptors of finished journals, so none is closed, or worse reused, while it is being
synced.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class Syncer:
    """Syncs journals: `add` a descriptor when a file is opened, `retire` it when it is finished."""

    def __init__(self, folder: Path, interval_seconds: float) -> None:
        self._folder = folder
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._finished: list[int] = []
        self._created = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-syncer", daemon=True)
        self.failures = 0

    def start(self) -> None:
        self._thread.start()

    def add(self, descriptor: int) -> None:
        with self._lock:
            self._open.add(descriptor)
            self._created = True

    def retire(self, descriptor: int) -> None:
        """Syncs the descriptor once more and closes it, within one interval."""
        with self._lock:
            self._open.discard(descriptor)
            self._finished.append(descriptor)

    def stop(self) -> None:
        """Returns when everything added is on disk and finished descriptors are closed."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.sync()

    def sync(self) -> None:
        """Runs one round; an error of one file does not affect the others."""
        with self._lock:
            finished, self._finished = self._finished, []
            descriptors = [*self._open, *finished]
            created, self._created = self._created, False
        if created:
            try:
                folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                self.failures += 1
                log.error("journal folder not synced", error=error.strerror)
            else:
                self._sync(folder)
                os.close(folder)
        for descriptor in descriptors:
            self._sync(descriptor)
        for descriptor in finished:
            try:
                os.close(descriptor)
            except OSError as error:  # some file systems report lost writes only here
                self.failures += 1
                log.error("journal not closed", error=error.strerror)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self.sync()

    def _sync(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self.failures += 1
            log.error("journal not synced", error=error.strerror)
