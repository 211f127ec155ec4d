"""Search for the largest number of calls that holds: increases until one fails, then
bisects. PURE.
"""

from __future__ import annotations

FACTOR = 1.25


class Search:
    """Try `calls` calls and `note` whether they held, until `calls` is None."""

    def __init__(self, first: int, step: int, most: int) -> None:
        """`step` is the precision of the result, `most` the upper limit."""
        self._step = step
        self._most = most
        self.held = 0
        self._failed: int | None = None
        self.calls: int | None = min(first, most)

    @property
    def is_bound(self) -> bool:
        """Whether nothing failed: the server could take more than the limit."""
        return self._failed is None

    def note(self, *, held: bool) -> None:
        assert self.calls is not None, "there was a number to try"
        if held:
            self.held = max(self.held, self.calls)
        else:
            self._failed = min(self._failed or self.calls, self.calls)
        self.calls = self._next()

    def _next(self) -> int | None:
        if self._failed is None:
            return (
                None
                if self.held >= self._most
                else min(self._most, max(self.held + 1, int(self.held * FACTOR)))
            )
        if self._failed <= 1:
            return None
        if self.held == 0:
            return max(1, int(self._failed / FACTOR))
        return None if self._failed - self.held <= self._step else (self.held + self._failed) // 2
