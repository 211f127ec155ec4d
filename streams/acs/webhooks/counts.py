"""Counters of the webhooks for /metrics, from the start of the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from threading import Lock

from calls.coverage.acs_events import TYPES
from calls.models import CallEvent
from streams.acs.refusals import Reason, WebhookReason

SOURCES = tuple(CallEvent.Source.values)
OTHER = "other"
"""Label of types that are not known: a sender chooses them, so they cannot be labels."""

OF_SOCKETS = {
    *(Reason.NO_STREAM_TOKEN, Reason.WRONG_STREAM_TOKEN, Reason.WRONG_CANARY_TOKEN),
    *(Reason.OVERLOADED, Reason.WRONG_PROCESS, Reason.WRONG_PATH, Reason.NOT_UPGRADED),
}
"""Reasons of media sockets alone."""

REASONS = tuple(
    reason.name.lower() for reason in (*Reason, *WebhookReason) if reason not in OF_SOCKETS
)


class EventCounts:
    """One per process; event loops and threads may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._received: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()

    def note_received(self, source: str, types: Iterable[str]) -> None:
        """Counts stored events, repetitions included."""
        with self._lock:
            self._received.update((source, name if name in TYPES else OTHER) for name in types)

    def note_refused(self, reason: Reason | WebhookReason) -> None:
        with self._lock:
            self._refused[reason.name.lower()] += 1

    @property
    def received(self) -> dict[tuple[str, str], int]:
        """Events by source and type. Unknown types are there from the start, as 0."""
        with self._lock:
            return {**{(source, OTHER): 0 for source in SOURCES}, **self._received}

    @property
    def refused(self) -> dict[str, int]:
        with self._lock:
            return {**dict.fromkeys(REASONS, 0), **self._refused}


counts = EventCounts()
