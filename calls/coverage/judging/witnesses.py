"""Statements of the witnesses of a call, as plain data. PURE.

Times are in µs since the epoch. Events, tracks and gaps are on ACS's clock, sockets and refusals on
that of a recorder, statements on that of another system (`reconciliation` compares them).
"""

from __future__ import annotations

from typing import NamedTuple

from calls.coverage.judging.spans import Span


class Presence(NamedTuple):
    """A participant by the events: in the call, and meanwhile muted or on hold."""

    raw_id: str
    present: tuple[Span, ...]
    quiet: tuple[Span, ...] = ()


class Interruption(NamedTuple):
    """A time in which ACS says that it did not stream."""

    start_us: int
    end_us: int
    reason: str


class Events(NamedTuple):
    """The history of the call by events of ACS.

    `connected_us`, `disconnected_us`: None if no event says it. `first_us`, `last_us`: the times of
    the first and the last event that prove the call. `failure`: why streaming failed last, "" if it
    did not. `earliest_us`: the shortest time from an event's own time until it was received;
    negative if the clock of this host is behind.
    """

    connected_us: int | None
    disconnected_us: int | None
    first_us: int
    last_us: int
    presences: tuple[Presence, ...] = ()
    interruptions: tuple[Interruption, ...] = ()
    failure: str = ""
    earliest_us: int = 0


class Statement(NamedTuple):
    """Another system says that the call took place; `end_us` None: it does not know the end."""

    source: str
    start_us: int
    end_us: int | None
    participants: int | None


class Refusal(NamedTuple):
    """Handshakes of the call that were refused for one reason."""

    first_us: int
    last_us: int
    reason: str


class Socket(NamedTuple):
    """A media socket of the call. `is_over`: its end is known, and its audio sealed; else `end_us`
    is when it was last known to be open.
    """

    start_us: int
    end_us: int
    is_over: bool = True


class Gap(NamedTuple):
    start_us: int
    end_us: int
    reason: str


class Track(NamedTuple):
    """The audio of one participant ("": the mixed audio of everyone), from its first to its last
    sealed moment; `gaps` are those of the ledger.
    """

    raw_id: str
    start_us: int
    end_us: int
    gaps: tuple[Gap, ...] = ()


class Witnesses(NamedTuple):
    """All that is known of a call. `has_neighbours`: other calls of about that time have witnesses
    besides our sockets, so one without them is odd.
    """

    events: Events | None = None
    statements: tuple[Statement, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    sockets: tuple[Socket, ...] = ()
    tracks: tuple[Track, ...] = ()
    has_neighbours: bool = False
