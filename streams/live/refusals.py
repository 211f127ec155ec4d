"""Refused handshakes by reason: in total, and in the last hour. PURE.

A scanner that finds the address of the media socket causes refusals too, perhaps thousands. So a
refusal counts as *from ACS* only if the handshake looks like one: it has a header with the id of
its call, or its token was signed by Microsoft. Only these are lost calls and raise an alarm. The
others are counted apart, so that they hide nothing.
"""

from __future__ import annotations

from collections import deque

from calls.live.messages import Refusals

MINUTE_SECONDS = 60.0
MINUTES = 60

Key = tuple[str, bool]
"""Reason, and whether the handshake was from ACS."""


class RefusalCounts:
    """Counts by reason. Memory is bounded: reasons are few, and there is one entry per minute.

    `last_hour` may be called in another thread: what it iterates over is copied first.
    """

    def __init__(self) -> None:
        self.totals: dict[Key, int] = {}
        self.from_acs = 0
        self._minutes: deque[tuple[float, dict[Key, int]]] = deque(maxlen=MINUTES + 1)

    def add(self, reason: str, *, from_acs: bool, now: float) -> None:
        """Counts one refusal. `now`: seconds of any monotonic clock."""
        minute = now // MINUTE_SECONDS
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, {}))
        for counts in (self.totals, self._minutes[-1][1]):
            counts[reason, from_acs] = counts.get((reason, from_acs), 0) + 1
        self.from_acs += from_acs

    def last_hour(self, now: float) -> Refusals:
        """Returns the refusals of the last 60 minutes, the present one included."""
        oldest = now // MINUTE_SECONDS - MINUTES
        found = Refusals(from_acs={}, others={})
        for minute, counts in list(self._minutes):
            if minute <= oldest:
                continue
            for (reason, from_acs), count in list(counts.items()):
                by_reason = found["from_acs" if from_acs else "others"]
                by_reason[reason] = by_reason.get(reason, 0) + count
        return found
