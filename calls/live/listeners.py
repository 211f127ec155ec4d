"""The number of listeners of each call, merged from all processes for one dashboard. PURE.

A process publishes the listeners of all its calls at once and repeats them
(`calls.live.messages.News`). Two processes with sockets of one call, as after a reconnect, know the
same listeners, so the higher number counts. A report expires after `HELD_FOR`, like that of a call.
"""

from __future__ import annotations

from datetime import datetime

from calls.live.messages import HELD_FOR, BrowserMessage


class LiveListeners:
    """The listeners of one dashboard socket. `now`: the current time, aware."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[datetime, dict[str, int]]] = {}
        self.shown: dict[str, int] = {}

    def update(
        self, process: str, listeners: dict[str, int], now: datetime
    ) -> list[BrowserMessage]:
        """Replaces the listeners of a process: all of its calls that have any."""
        self._reports[process] = now, listeners
        return self._refresh()

    def expire(self, now: datetime) -> list[BrowserMessage]:
        """Removes the listeners of processes that are gone."""
        if not self._reports:
            return []
        self._reports = {
            process: report
            for process, report in self._reports.items()
            if now - report[0] <= HELD_FOR
        }
        return self._refresh()

    def _refresh(self) -> list[BrowserMessage]:
        """Returns one message with all calls if any number has changed: browsers replace theirs."""
        before, self.shown = self.shown, {}
        for _at, listeners in self._reports.values():
            for call, count in listeners.items():
                self.shown[call] = max(count, self.shown.get(call, 0))
        return [] if self.shown == before else [{"type": "listening", "calls": self.shown}]
