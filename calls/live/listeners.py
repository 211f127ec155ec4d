"""How many listen in on which call, as all processes say it, made into one picture. PURE.

A process says all of its calls at once and repeats it (`calls.live.channel`). Two that hold one
call, as after a reconnect, know of the same listeners: the higher number stands. What a process has
said is believed for as long as of a call.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from calls.live.messages import HELD_FOR

Message = dict[str, Any]


class LiveListeners:
    """The picture of one dashboard socket. `now` is always the present moment, aware."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[datetime, dict[str, int]]] = {}
        self.shown: dict[str, int] = {}

    def update(self, process: str, listeners: dict[str, int], now: datetime) -> list[Message]:
        """All calls of this process that somebody listens to."""
        self._told[process] = now, listeners
        return self._redraw()

    def expire(self, now: datetime) -> list[Message]:
        """Takes the marks of processes that are gone."""
        if not self._told:
            return []
        self._told = {
            process: told for process, told in self._told.items() if now - told[0] <= HELD_FOR
        }
        return self._redraw()

    def _redraw(self) -> list[Message]:
        """The picture as a whole, where it has changed: the newest replaces what a browser knew."""
        before, self.shown = self.shown, {}
        for _at, listeners in self._told.values():
            for call, count in listeners.items():
                self.shown[call] = max(count, self.shown.get(call, 0))
        return [] if self.shown == before else [{"type": "listening", "calls": self.shown}]
