"""What waits for one browser: a bounded queue of calls, and one place for the newest levels of each
process. PURE.

A browser that reads slowly gets the newest, and costs the same memory whether it is late by a
second or by an hour.
"""

from __future__ import annotations

from collections.abc import Iterable

from calls.live.view import Message

CALL_MESSAGES = 256
"""Most messages about calls that wait for one browser. One more, and it gets a snapshot instead of
all of them.
"""

LEVEL_PROCESSES = 64
"""Most processes whose newest levels wait."""

Levels = dict[str, list[float]]
"""Participant id -> [rms dBFS, peak dBFS]."""


class Outbox:
    """One for each socket, filled by the news and emptied by the sender."""

    def __init__(self) -> None:
        self._snapshot_due = False
        self._messages: list[Message] = []
        self._levels: dict[str, Levels] = {}
        self._totals: Message | None = None
        self._minutes: dict[str, str] = {}

    def demand_snapshot(self) -> None:
        """The next thing sent is a snapshot; it holds all that waits."""
        self._snapshot_due = True
        self._messages.clear()

    def put(self, messages: Iterable[Message]) -> None:
        if self._snapshot_due:
            return  # made when it is sent, the snapshot will hold them
        self._messages.extend(messages)
        if len(self._messages) > CALL_MESSAGES:
            self.demand_snapshot()

    def put_levels(self, process: str, levels: Levels) -> None:
        """Replaces the levels of this process that were not sent yet: they are old."""
        if not levels:
            return
        if process not in self._levels and len(self._levels) >= LEVEL_PROCESSES:
            self._levels.pop(next(iter(self._levels)))
        self._levels[process] = levels

    def put_totals(self, totals: Message) -> None:
        """Replaces those that wait: they are old."""
        self._totals = totals

    def put_minutes(self, minutes: dict[str, str]) -> None:
        """The last minute of voices, once for each browser; there are no more of them than
        voices.
        """
        self._minutes |= minutes

    def take_news(self) -> list[Message]:
        """What is no fact about calls and may follow it: totals and minutes."""
        news = [] if self._totals is None else [self._totals]
        if self._minutes:
            news.append({"type": "minutes", "minutes": self._minutes})
        self._totals, self._minutes = None, {}
        return news

    def take(self) -> tuple[bool, list[Message], Levels]:
        """Whether a snapshot is due, the messages after it, and the newest levels; then the mailbox
        is empty.
        """
        taken = self._snapshot_due, self._messages, _loudest(self._levels.values())
        self._snapshot_due, self._messages, self._levels = False, [], {}
        return taken


def _loudest(of_processes: Iterable[Levels]) -> Levels:
    """One level for each participant. After a reconnect two processes may know it: the old one is
    silent.
    """
    united: Levels = {}
    for levels in of_processes:
        for participant, level in levels.items():
            if participant not in united or level > united[participant]:
                united[participant] = level
    return united
