"""The alarms of all processes, made into one picture, and what they are called. PURE.

A process says all its alarms at once and repeats them (`calls.live.channel`). Two that know a call
may both say the same of it: then it is shown once, since the earlier moment, until neither says it.
What a process has said is believed for as long as it would be of a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from calls.live.messages import HELD_FOR, AlarmNews

Message = dict[str, Any]
Key = tuple[str | None, str | None, str]
"""Call, participant, alarm."""


class Changes(NamedTuple):
    """Messages for the browser."""

    cleared: list[Message]
    raised: list[Message]


class LiveAlarms:
    """The picture of one dashboard socket. `now` is always the present moment, aware."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[datetime, list[AlarmNews]]] = {}
        self._shown: dict[Key, AlarmNews] = {}

    def update(self, process: str, alarms: list[AlarmNews], now: datetime) -> Changes:
        """All that are on in this process."""
        self._told[process] = now, alarms
        return self._redraw()

    def expire(self, now: datetime) -> Changes:
        """Ends the alarms of processes that are gone."""
        self._told = {
            process: told for process, told in self._told.items() if now - told[0] <= HELD_FOR
        }
        return self._redraw()

    def as_list(self) -> list[AlarmNews]:
        """Oldest first."""
        return sorted(self._shown.values(), key=_since)

    def _redraw(self) -> Changes:
        before, self._shown = (
            self._shown,
            _united(alarm for _, alarms in self._told.values() for alarm in alarms),
        )
        cleared = [
            _message("alarm.cleared", alarm)
            for key, alarm in before.items()
            if key not in self._shown
        ]
        raised = [
            _message("alarm", alarm)
            for key, alarm in self._shown.items()
            if before.get(key) != alarm
        ]
        return Changes(cleared, raised)


def _united(alarms: Iterable[AlarmNews]) -> dict[Key, AlarmNews]:
    united: dict[Key, AlarmNews] = {}
    for alarm in sorted(alarms, key=_since):
        united.setdefault((alarm["call"], alarm["participant"], alarm["alarm"]), alarm)
    return united


def _since(alarm: AlarmNews) -> datetime:
    return datetime.fromisoformat(alarm["since"])


def _message(kind: str, alarm: AlarmNews) -> Message:
    return {"type": kind, **alarm}
