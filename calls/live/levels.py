"""Which levels are worth saying to a browser. PURE.

Sixty bytes for each voice ten times a second are most of what a dashboard costs, and in a call one
speaks and the others listen. Who is below the scale of the meters looks the same from one moment to
the next: it is said once, and again every second, so that a page can tell silence from nothing
coming.
"""

from __future__ import annotations

SCALE_DBFS = -60.0
"""Left end of the meters (calls/static/calls/js/dashboard/rows/ballistics.js): nothing below it is
seen.
"""
AGAIN_SECONDS = 1.0
MAX_KEPT = 1_000

Levels = dict[str, list[float]]
"""Participant id -> [rms dBFS, peak dBFS]."""


class SentLevels:
    """What one browser was told. `now`: seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._quiet: dict[str, float] = {}  # when it was last said of those below the scale

    def worth_sending(self, levels: Levels, now: float) -> Levels:
        """Takes for granted that what it answers is sent."""
        if len(self._quiet) > MAX_KEPT + len(levels):  # of calls that are over
            self._quiet = {
                voice: at for voice, at in self._quiet.items() if now - at < AGAIN_SECONDS
            }
        worth: Levels = {}
        for voice, level in levels.items():
            if level[1] >= SCALE_DBFS:
                self._quiet.pop(voice, None)
            elif now - self._quiet.get(voice, float("-inf")) < AGAIN_SECONDS:
                continue
            else:
                self._quiet[voice] = now
            worth[voice] = level
        return worth
