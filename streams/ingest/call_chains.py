"""Which call a socket belongs to: a call that has ended is never changed by a later socket. PURE.

All sockets of a call have the same connection id. But a socket that opens after the grace time
begins a new call, which continues the ended one. A process knows from its own sockets, by the
steady clock of the call, whether a call of its own has ended. The database knows the sockets of
other processes (`calls.models.continuations`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from calls.identity import CallLink

MAX_KEPT = 10_000
"""Calls that are remembered after their last socket; about three a second."""

FORGOTTEN_AT_ONCE = 2
"""Calls that are forgotten when a socket opens, so that this takes no longer after a quiet hour."""

MAX_SOCKETS = 100
"""Closed sockets remembered per call. The end of older ones is a row for long."""


class FoundCall(NamedTuple):
    """The latest call of a connection id in the database; `link` is None if it has none.
    `has_ended`: by the sockets of all processes.
    """

    link: CallLink | None
    has_ended: bool = False
    is_answer: bool = True


NO_CALL = FoundCall(None)
UNANSWERED = FoundCall(None, is_answer=False)
"""The database does not answer in time."""


class Decision(NamedTuple):
    """The call of a new socket. `is_guess`: neither this process nor the database knew it, so it is
    the first call of the connection id, and the sealer decides again.
    """

    link: CallLink
    is_guess: bool = False


@dataclass(slots=True)
class KnownCall:
    """The latest call of a connection id that had a socket in this process. `now_us`: its clock."""

    decision: Decision
    now_us: Callable[[], int]
    open_ids: set[str] = field(default_factory=set)
    closed_ids: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_SOCKETS))
    closed_us: int = 0

    @property
    def link(self) -> CallLink:
        return self.decision.link

    def has_ended(self, grace_us: int) -> bool:
        """Whether all sockets of this process have been closed for the grace time."""
        return not self.open_ids and self.now_us() - self.closed_us >= grace_us


class CallChains:
    """The latest calls of the connection ids that this process has recorded, by the id of their
    first call.
    """

    def __init__(self, grace_seconds: float, kept_seconds: float) -> None:
        self._grace_us = int(grace_seconds * 1_000_000)
        self._kept_us = int(max(grace_seconds, kept_seconds) * 1_000_000)
        self._links: dict[str, CallLink] = {}  # of open sockets
        self._known: dict[UUID, KnownCall] = {}
        self._closed: dict[UUID, None] = {}  # without an open socket, the latest used last

    def is_decided(self, first_id: UUID) -> bool:
        """Whether a socket belongs to a call that goes on in this process: the database need not
        be asked.
        """
        known = self._known.get(first_id)
        return (
            known is not None
            and not known.decision.is_guess
            and not known.has_ended(self._grace_us)
        )

    def closed_sockets(self, first_id: UUID) -> list[str]:
        """Returns the sockets of the latest call that this process has closed. They do not keep
        the call open, whatever the database says.
        """
        known = self._known.get(first_id)
        return [*known.closed_ids] if known else []

    def decide(self, first_id: UUID, found: FoundCall) -> Decision:
        """Returns the call of a socket that opens now."""
        link, has_ended = found.link, found.has_ended
        known = self._known.get(first_id)
        if known and (link is None or known.link.number >= link.number):
            # Sockets of other processes are in the database only.
            is_over_elsewhere = has_ended or link != known.link
            link, has_ended = known.link, known.has_ended(self._grace_us) and is_over_elsewhere
        if link is None:
            return Decision(CallLink(first_id), is_guess=not found.is_answer)
        if has_ended:
            return Decision(link.following)
        guess = Decision(link, is_guess=True)  # further sockets of its call are decided with it
        return guess if known and known.decision == guess else Decision(link)

    def open(self, decision: Decision, stream_id: str, now_us: Callable[[], int]) -> None:
        """Notes a socket of the call. `now_us` is the clock of the call."""
        first_id = decision.link.first_id
        known = self._known.get(first_id)
        if known is None or known.link != decision.link:
            known = self._known[first_id] = KnownCall(decision, now_us)
        known.open_ids.add(stream_id)
        self._links[stream_id] = known.link
        self._closed.pop(first_id, None)
        self._forget()

    def close(self, stream_id: str, closed_us: int) -> None:
        """Notes the end of a socket, by the clock of the call."""
        link = self._links.pop(stream_id)
        known = self._known.get(link.first_id)
        if known is None or known.link != link:  # another process has continued the call
            return
        known.open_ids.discard(stream_id)
        known.closed_ids.append(stream_id)
        known.closed_us = max(known.closed_us, closed_us)
        if not known.open_ids:
            self._closed[link.first_id] = None

    def _forget(self) -> None:
        """Removes calls that have not had a socket for long, from the longest unused on."""
        for first_id in [*islice(self._closed, FORGOTTEN_AT_ONCE)]:
            is_kept = not self._known[first_id].has_ended(self._kept_us)
            if is_kept and len(self._closed) <= MAX_KEPT:
                break
            del self._known[first_id], self._closed[first_id]
