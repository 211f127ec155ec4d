"""What is planted: calls of twelve kinds, and what their coverage has to be."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kind of a planted call."""

    ORDINARY = "ordinary"
    MUTED = "muted"  # one voice sends nothing for a while: no loss
    HELD = "held"  # nobody sends anything for a while
    TRANSFERRED = "transferred"  # ended by a transfer
    HALF_WAY = "half-way"  # ACS loses the socket, and the call goes on
    RECONNECTED = "reconnected"  # the same, and another socket comes
    NEVER_STREAMED = "never streamed"  # 8581: no socket comes
    REFUSED = "refused"  # a socket with a token for another resource
    CDR_ONLY = "only in the CDR"
    LATE_EVENTS = "late events"  # they come after the verdict
    UNREPORTED = "unreported"  # no events at all
    CDR_AGREES = "CDR agrees"  # events, and a CDR of the same


WEIGHTS = {
    Kind.ORDINARY: 40,
    Kind.MUTED: 8,
    Kind.HELD: 6,
    Kind.TRANSFERRED: 8,
    Kind.HALF_WAY: 6,
    Kind.RECONNECTED: 6,
    Kind.NEVER_STREAMED: 5,
    Kind.REFUSED: 4,
    Kind.CDR_ONLY: 4,
    Kind.LATE_EVENTS: 6,
    Kind.UNREPORTED: 3,
    Kind.CDR_AGREES: 4,
}

VERDICTS = {
    Kind.HALF_WAY: "partial",
    Kind.RECONNECTED: "partial",
    Kind.NEVER_STREAMED: "missing",
    Kind.REFUSED: "missing",
    Kind.CDR_ONLY: "missing",
    Kind.UNREPORTED: "unexpected",
}
"""Of all others: complete."""

INTERRUPTED = "streamConnectionInterrupted"
NEVER = "initialWebSocketConnectionFailed"
NOT_STREAMED = {
    Kind.NEVER_STREAMED: NEVER,
    Kind.REFUSED: "refused_wrong_audience",
    Kind.CDR_ONLY: "never_streamed",
}
"""Kinds of which nothing is recorded -> reason."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call. `begin` and the marks are seconds; `away` is the time in which the fault of its
    kind lasts, in seconds from its beginning.
    """

    number: int
    kind: Kind
    connection_id: str
    begin: float
    seconds: float
    away: tuple[float, float]
    repeats: bool  # each event is sent twice
    shuffles: bool  # its events are sent in another order, after its end

    @property
    def verdict(self) -> str:
        return VERDICTS.get(self.kind, "complete")

    @property
    def streams(self) -> bool:
        return self.kind not in NOT_STREAMED


def planned(calls: int, seconds: float, seed: int) -> list[PlannedCall]:
    """Returns `calls` calls that begin within `seconds`; each kind occurs at least once."""
    rng = random.Random(seed)
    kinds = [*Kind][:calls]
    kinds += rng.choices([*WEIGHTS], [*WEIGHTS.values()], k=calls - len(kinds))
    rng.shuffle(kinds)
    found = []
    for number, kind in enumerate(kinds):
        length = round(rng.uniform(12.0, 17.0), 1)  # below 10 s a CDR proves no call
        begin = round(rng.uniform(0.0, seconds), 1)
        middle = round(length / 2 - 1, 1)
        away = (middle, length if kind is Kind.HALF_WAY else middle + 3.0)
        connection_id = f"day-{seed}-{number:04}"
        found.append(
            PlannedCall(
                number,
                kind,
                connection_id,
                begin,
                length,
                away,
                repeats=rng.random() < 0.2,
                shuffles=rng.random() < 0.2 and kind is not Kind.LATE_EVENTS,
            )
        )
    return found
