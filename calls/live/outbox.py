"""The messages waiting for one browser: a bounded queue of call messages, and the newest levels of
each process. PURE.

A browser that reads slowly gets the newest state, and costs the same memory whether it is a second
or an hour behind.
"""

from __future__ import annotations

from collections.abc import Iterable

from calls.live.messages import BrowserMessage, Levels

MAX_CALL_MESSAGES = 256
"""Most call messages waiting for one browser. One more, and it gets a snapshot instead of all of
them.
"""

MAX_LEVEL_PROCESSES = 64
"""Most processes whose newest levels wait."""


class Outbox:
    """One per socket, filled by the news and emptied by the sender.

    Until the first snapshot is requested it takes nothing that a snapshot has: a page must not show
    one call of thirty for a moment, nor the end of a call that it does not know.
    """

    def __init__(self) -> None:
        self._has_begun = self._snapshot_due = False
        self._messages: list[BrowserMessage] = []
        self._levels: dict[str, Levels] = {}
        self._totals: BrowserMessage | None = None
        self._recorders: BrowserMessage | None = None
        self._minutes: dict[str, str] = {}

    def request_snapshot(self) -> None:
        """Makes a snapshot the next thing to send; it replaces all waiting call messages."""
        self._has_begun = self._snapshot_due = True
        self._messages.clear()

    def put(self, messages: Iterable[BrowserMessage]) -> None:
        """Appends call messages, unless a snapshot is due: made when it is sent, it has them."""
        if self._snapshot_due or not self._has_begun:
            return
        self._messages.extend(messages)
        if len(self._messages) > MAX_CALL_MESSAGES:
            self.request_snapshot()

    def put_levels(self, process: str, levels: Levels) -> None:
        """Replaces the waiting levels of this process, which are out of date."""
        if not (levels and self._has_begun):
            return
        if process not in self._levels and len(self._levels) >= MAX_LEVEL_PROCESSES:
            self._levels.pop(next(iter(self._levels)))
        self._levels[process] = levels

    def put_totals(self, totals: BrowserMessage) -> None:
        """Replaces the waiting totals, which are out of date."""
        self._totals = totals

    def put_recorders(self, recorders: BrowserMessage) -> None:
        """Replaces the waiting state of the recorders, which is out of date."""
        self._recorders = recorders

    def put_minutes(self, minutes: dict[str, str]) -> None:
        """Adds the last minute of participants. Each is put once, which bounds the number."""
        self._minutes |= minutes

    def take_totals_and_minutes(self) -> list[BrowserMessage]:
        """Removes and returns totals, recorders and minutes, which may be sent after the call
        messages.
        """
        if not self._has_begun:
            return []
        taken = [each for each in (self._totals, self._recorders) if each is not None]
        if self._minutes:
            taken.append({"type": "minutes", "minutes": self._minutes})
        self._totals, self._recorders, self._minutes = None, None, {}
        return taken

    def take(self) -> tuple[bool, list[BrowserMessage], Levels]:
        """Removes and returns the rest: whether a snapshot is due, the messages after it, and the
        newest levels, one per participant.
        """
        # After a reconnect two processes may have a level of a participant: the old one is silent.
        loudest: Levels = {}
        for levels in self._levels.values():
            for participant, level in levels.items():
                if participant not in loudest or level > loudest[participant]:
                    loudest[participant] = level
        taken = self._snapshot_due, self._messages, loudest
        self._snapshot_due, self._messages, self._levels = False, [], {}
        return taken
