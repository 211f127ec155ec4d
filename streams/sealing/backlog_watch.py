"""Measurements of the spool, limited in how often they are made and in their share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from streams.journal.backlog import backlog_of
from streams.stats import Backlog

CHECK_SECONDS = 1.0
"""Shortest interval between two measurements."""
CHECK_SHARE = 20
"""Reading the spool takes at most one part in this many of the time: after an hour without a store
it holds tens of thousands of files, and a sealer that lists them all the time seals none.
"""


class BacklogWatch:
    """Measures all journals in the spool when `backlog` is called, and only if that is due. `own`:
    the folder of the process; `held`: those that it has taken over.
    """

    def __init__(
        self,
        spool_folder: Path,
        own: Path,
        held: Sequence[Path] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool, self._own, self._held = spool_folder, own, held
        self._clock = clock
        self._backlog = Backlog()
        self._due_at = float("-inf")

    def backlog(self) -> Backlog:
        """Returns a measurement at most a second old, or twenty times as old as one takes."""
        began = self._clock()
        if began >= self._due_at:
            self._due_at = began + CHECK_SECONDS
            self._backlog = backlog_of(self._spool, time.time(), self._own, list(self._held))
            self._due_at = began + pause_after(self._clock() - began)
        return self._backlog


def pause_after(seconds: float) -> float:
    """Returns the seconds until the spool is read again, after reading it took `seconds`."""
    return max(CHECK_SECONDS, CHECK_SHARE * seconds)
