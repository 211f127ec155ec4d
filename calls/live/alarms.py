"""The active alarms of all processes, merged for one dashboard. PURE.

A process publishes all its alarms at once and repeats them (`calls.live.messages.News`). If two
processes report the same alarm, it is shown once, since the earlier moment, until both have cleared
it. A report expires after `HELD_FOR`, like that of a call.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from calls.live.messages import HELD_FOR, AlarmNews, BrowserMessage

Key = tuple[str | None, str | None, str]
"""Call, participant, alarm."""


class Changes(NamedTuple):
    """Messages for the browser."""

    cleared: list[BrowserMessage]
    raised: list[BrowserMessage]


class LiveAlarms:
    """The alarms of one dashboard socket. `now`: the current time, aware."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[datetime, list[AlarmNews]]] = {}
        self._shown: dict[Key, AlarmNews] = {}

    def update(self, process: str, alarms: list[AlarmNews], now: datetime) -> Changes:
        """Replaces the active alarms of a process."""
        self._reports[process] = now, alarms
        return self._refresh()

    def expire(self, now: datetime) -> Changes:
        """Clears the alarms of processes that are gone."""
        self._reports = {
            process: report
            for process, report in self._reports.items()
            if now - report[0] <= HELD_FOR
        }
        return self._refresh()

    def as_list(self) -> list[AlarmNews]:
        """Returns the active alarms, oldest first."""
        return sorted(self._shown.values(), key=_since)

    def _refresh(self) -> Changes:
        reported = [alarm for _at, alarms in self._reports.values() for alarm in alarms]
        shown: dict[Key, AlarmNews] = {}
        for alarm in sorted(reported, key=_since):
            shown.setdefault((alarm["call"], alarm["participant"], alarm["alarm"]), alarm)
        before, self._shown = self._shown, shown
        cleared: list[BrowserMessage] = [
            {"type": "alarm.cleared", **alarm} for key, alarm in before.items() if key not in shown
        ]
        raised: list[BrowserMessage] = [
            {"type": "alarm", **alarm} for key, alarm in shown.items() if before.get(key) != alarm
        ]
        return Changes(cleared, raised)


def _since(alarm: AlarmNews) -> datetime:
    return datetime.fromisoformat(alarm["since"])
