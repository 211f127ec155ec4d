"""What the recording processes say of themselves once a second, added up for one dashboard.
PURE.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from calls.live.messages import Totals

SAID_FOR = timedelta(seconds=5)
"""A process that has not spoken for so long drops out of the sums: it has no calls, or it is
gone.
"""


class LiveTotals:
    """`now` is always the present moment, aware."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[datetime, Totals]] = {}

    def update(self, process: str, totals: Totals, now: datetime) -> None:
        self._told[process] = now, totals

    def has_lost(self, now: datetime) -> bool:
        """Whether a process that `message` summed up last is to drop out."""
        return any(now - at > SAID_FOR for at, _totals in self._told.values())

    def message(self, now: datetime) -> dict[str, Any]:
        """Packets are summed; the lag is the longest, since processes of one spool may say the same
        one.
        """
        self._told = {
            process: told for process, told in self._told.items() if now - told[0] <= SAID_FOR
        }
        totals = [totals for _at, totals in self._told.values()]
        return {
            "type": "totals",
            "processes": len(totals),
            "packets_per_second": round(sum(each["packets_per_second"] for each in totals), 1),
            "seal_lag_seconds": max((each["seal_lag_seconds"] for each in totals), default=0.0),
        }
