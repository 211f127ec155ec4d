"""Counters of answered calls for /metrics, from the start of the process."""

from __future__ import annotations

from collections import Counter
from threading import Lock

from calls.wording import ANSWER_FAILURES

ANSWERED = "answered"
OUTCOMES = (ANSWERED, *ANSWER_FAILURES)


class AnswerCounts:
    """One per process; threads may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._outcomes: Counter[str] = Counter()

    def note(self, outcome: str) -> None:
        """Counts an answered call, or one that was not by its reason."""
        with self._lock:
            self._outcomes[outcome] += 1

    @property
    def outcomes(self) -> dict[str, int]:
        with self._lock:
            return {**dict.fromkeys(OUTCOMES, 0), **self._outcomes}


answer_counts = AnswerCounts()
