"""Active alarms on their way from the recorder to its sealer, as lines of a pipe. PURE.

A pipe takes at most 4,096 bytes at once or nothing, and 64 KiB before it is read. So a report is
split into lines, and has at most `MAX_REPORTED` alarms, the oldest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from calls.live.messages import AlarmNews

AlarmSource = Callable[[], list[AlarmNews] | None]
"""Returns the active alarms, oldest first; None while they are not known. Called in a thread."""

MAX_REPORTED = 200
ALARMS_PER_LINE = 20
"""An alarm has at most 180 bytes: two ids, a name, a time."""


class AlarmLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a report; `part` is its number, from 0."""

    part: int
    parts: int
    alarms: list[AlarmNews]


MARK = b'{"part":'
"""The beginning of every line."""


def lines_of(alarms: Sequence[AlarmNews]) -> list[bytes]:
    """Returns the lines of a report; one without alarms has a line too."""
    reported = alarms[:MAX_REPORTED]
    starts = range(0, max(1, len(reported)), ALARMS_PER_LINE)
    groups = [list(reported[start : start + ALARMS_PER_LINE]) for start in starts]
    return [
        msgspec.json.encode(AlarmLine(part, len(groups), group)) + b"\n"
        for part, group in enumerate(groups)
    ]


class ReceivedAlarms:
    """`receive` lines; `alarms` is the last complete report, None before the first."""

    def __init__(self) -> None:
        self.alarms: list[AlarmNews] | None = None
        self._parts: list[AlarmLine] = []

    def receive(self, line: bytes) -> None:
        """Takes a line; raises `msgspec.DecodeError`. If not all lines of a report fit into
        the pipe, it is sent again from its first line.
        """
        part = msgspec.json.decode(line, type=AlarmLine)
        if part.part == 0:
            self._parts = []
        self._parts.append(part)
        if part.part == part.parts - 1 and len(self._parts) == part.parts:
            self.alarms = [alarm for each in self._parts for alarm in each.alarms]
