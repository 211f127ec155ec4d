"""Limits log lines that a client, or an outage, could cause many times a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

INTERVAL_SECONDS = 10.0


class LogLimiter:
    """Allows one line per key and `INTERVAL_SECONDS`. There are few keys: nothing that a client
    chooses.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written_at: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def take(self, key: str) -> int | None:
        """Returns the number of lines left out since the last one; None if this one is left out."""
        now = self._clock()
        written_at = self._written_at.get(key)
        if written_at is not None and now - written_at < INTERVAL_SECONDS:
            self._left_out[key] += 1
            return None
        self._written_at[key] = now
        return self._left_out.pop(key, 0)
