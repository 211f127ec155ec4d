"""Removal of deleted audio in a thread of its own: a slow store or a million objects delay nobody.

Each sweep is short (`SWEEP_SECONDS`), and between two of them other processes may sweep. While
objects are left, sweeps follow one another after a pause; then the next one is a minute later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from calls.storage import cause_of, deletion

log = structlog.get_logger(__name__)

EVERY_SECONDS = 60.0
PAUSE_SECONDS = 1.0
"""Between two sweeps of many objects: half of the time belongs to others."""


class Sweeper:
    """`start_if_due` it as often as you like."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._due = clock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start_if_due(self) -> None:
        """Starts the thread that sweeps, once every `EVERY_SECONDS`, unless it is still running."""
        now = self._clock()
        if now < self._due or (self._thread and self._thread.is_alive()):
            return
        self._due = now + EVERY_SECONDS
        self._thread = threading.Thread(target=self._sweep_all, name="sweeper", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits until the current sweep has ended."""
        if self._thread:
            self._thread.join()

    def stop(self) -> None:
        """Lets the current batch finish, without waiting for it: it is repeated if it does not."""
        self._stopping.set()

    def _sweep_all(self) -> None:
        try:
            while deletion.sweep(deletion.SWEEP_SECONDS, self._stopping) and deletion.is_left():
                if self._stopping.wait(PAUSE_SECONDS):
                    return
        except (OSError, DatabaseError) as error:
            # The store or the database is away: the objects stay recorded.
            log.warning("sweep delayed", error=cause_of(error))
        finally:
            connections.close_all()
