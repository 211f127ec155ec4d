"""The totals that recording processes publish once a second, summed for one dashboard. PURE."""

from __future__ import annotations

from datetime import datetime, timedelta

from calls.live.messages import BrowserMessage, Totals

VALID_FOR = timedelta(seconds=5)
"""A process whose totals are older drops out of the sums: it has no calls, or it is gone."""


class LiveTotals:
    """The totals of one dashboard socket. `now`: the current time, aware."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[datetime, Totals]] = {}

    def update(self, process: str, totals: Totals, now: datetime) -> None:
        self._reports[process] = now, totals

    def has_expired(self, now: datetime) -> bool:
        """Returns whether the last `message` included a process that is to drop out."""
        return any(now - at > VALID_FOR for at, _totals in self._reports.values())

    def message(self, now: datetime) -> BrowserMessage:
        """Sums the packets; takes the longest lag, since processes may share a spool."""
        self._reports = {
            process: report
            for process, report in self._reports.items()
            if now - report[0] <= VALID_FOR
        }
        totals = [totals for _at, totals in self._reports.values()]
        return {
            "type": "totals",
            "processes": len(totals),
            "packets_per_second": round(sum(each["packets_per_second"] for each in totals), 1),
            "seal_lag_seconds": max((each["seal_lag_seconds"] for each in totals), default=0.0),
        }
