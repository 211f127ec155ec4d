"""How many a second, of a count that only grows. PURE."""

from __future__ import annotations

PACE_SECONDS = 1.0


class Pace:
    """Ask `of` about once a second, when it `is_due`. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._count = 0
        self._at: float | None = None

    def is_due(self, now: float) -> bool:
        return self._at is None or now - self._at >= PACE_SECONDS

    def of(self, count: int, now: float) -> float:
        """How many more a second since the last time; 0.0 at first."""
        before, since = self._count, self._at
        self._count, self._at = count, now
        return 0.0 if since is None or now <= since else (count - before) / (now - since)
