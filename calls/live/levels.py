"""A filter for the levels sent to one browser. PURE.

Sixty bytes per participant, ten times a second, are most of the cost of a dashboard, and in a call
one speaks and the others listen. A level below the scale of the meters looks the same from one
moment to the next: it is sent once, and again every second, so that a page can tell silence from a
missing stream.
"""

from __future__ import annotations

from calls.live.messages import Levels

SCALE_DBFS = -60.0
"""Left end of the meters (calls/static/calls/js/dashboard/rows/ballistics.js): nothing is drawn
below it.
"""
QUIET_REPEAT_SECONDS = 1.0
MAX_KEPT = 1_000


class SentLevels:
    """The levels sent to one browser. `now`: seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._quiet: dict[str, float] = {}  # participants below the scale: when it was last sent

    def worth_sending(self, levels: Levels, now: float) -> Levels:
        """Returns the levels to send; assumes that the caller sends them."""
        if len(self._quiet) > MAX_KEPT + len(levels):  # left over from ended calls
            self._quiet = {
                participant: at
                for participant, at in self._quiet.items()
                if now - at < QUIET_REPEAT_SECONDS
            }
        worth: Levels = {}
        for participant, level in levels.items():
            if level[1] >= SCALE_DBFS:
                self._quiet.pop(participant, None)
            elif now - self._quiet.get(participant, float("-inf")) < QUIET_REPEAT_SECONDS:
                continue
            else:
                self._quiet[participant] = now
            worth[participant] = level
        return worth
