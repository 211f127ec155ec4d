"""Events of a call as lines of its page: events that repeat are one line. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from calls.wording import repeated_text

LEAST_REPEATED = 3
"""Fewer equal events are not folded: they are short enough to be read one by one."""

LENGTHS_FOLDED = (1.0, 10.0, 60.0)
"""Upper bounds, in seconds, of events that are folded together. A longer event is always a line of
its own: it must not disappear among short ones.
"""

MAX_LISTED = 1_000
"""Most events that an expanded line lists."""

_NEVER_FOLDED = frozenset({"dtmf"})  # the order of the digits is their meaning

Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Event:
    """A ledger entry; `at` in seconds from the first sample, for a link to that moment.

    `seconds`: its length; None if it has none, or has not ended.
    """

    kind: str
    reason: str
    text: str
    at: float
    started_at: datetime
    seconds: float | None = None
    participant: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One event, or several that repeat, in order of time."""

    events: list[Event]

    @property
    def first(self) -> Event:
        return self.events[0]

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def is_folded(self) -> bool:
        return len(self.events) > 1

    @property
    def key(self) -> str:
        """The same for a line of a live call when more events have joined it."""
        return f"{self.first.kind} {self.first.at} {self.first.participant}"

    @property
    def text(self) -> str:
        if not self.is_folded:
            return self.first.text
        first, count = self.first, len(self.events)
        return repeated_text(first.kind, first.reason, first.text, count, self._lengths)

    @property
    def seconds(self) -> float | None:
        """The length of the event, or of all its repetitions together: they are of one track."""
        if not self.is_folded:
            return self.first.seconds
        return sum(self._lengths) if self._lengths else None

    @property
    def listed(self) -> list[Event]:
        return self.events[:MAX_LISTED]

    @property
    def unlisted(self) -> int:
        return max(0, len(self.events) - MAX_LISTED)

    @property
    def _lengths(self) -> list[float]:
        return [each.seconds for each in self.events if each.seconds is not None]


def folded(events: Iterable[Event]) -> list[Line]:
    """Returns events, given in order of time, as lines in order of their first event.

    Events repeat if kind, text, participant and order of magnitude of the length are equal. An
    event that does not repeat, such as a reconnect, ends all lines before it, so that the order in
    which things happened stays visible.
    """
    events = list(events)
    keys = [_key(event) for event in events]
    counts = Counter(keys)
    lines: list[Line] = []
    growing: dict[Key, Line] = {}
    for event, key in zip(events, keys, strict=True):
        if key is None or counts[key] < LEAST_REPEATED:
            growing.clear()
            lines.append(Line([event]))
        elif key in growing:
            growing[key].events.append(event)
        else:
            growing[key] = Line([event])
            lines.append(growing[key])
    return lines


def _key(event: Event) -> Key | None:
    """Returns what repeated events have in common; None for an event that is never folded."""
    if event.kind in _NEVER_FOLDED or (event.kind == "alarm" and event.seconds is None):
        return None
    seconds = event.seconds or 0.0
    if seconds >= LENGTHS_FOLDED[-1]:
        return None
    magnitude = sum(seconds >= bound for bound in LENGTHS_FOLDED)
    return event.kind, event.text, event.participant, magnitude
