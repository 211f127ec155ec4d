"""Durations, counted by tenths of a millisecond: constant memory, however long a run is. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BUCKET_US = 100
BUCKETS = 50_001
"""Up to 5 s; what takes longer counts as 5 s."""


class Histogram:
    """`add` microseconds; `quantile_ms` is exact to a tenth of a millisecond, rounded up."""

    def __init__(self, counts: Sequence[int] = ()) -> None:
        self.counts = [*counts, *[0] * (BUCKETS - len(counts))]

    def add(self, microseconds: int) -> None:
        """Less than nothing (clocks that differ by a tick) counts as nothing."""
        self.counts[max(0, min(microseconds // BUCKET_US, BUCKETS - 1))] += 1

    def add_all(self, microseconds: Iterable[int]) -> None:
        for one in microseconds:
            self.add(one)

    @property
    def total(self) -> int:
        return sum(self.counts)

    def quantile_ms(self, share: float) -> float | None:
        """The duration that `share` of all do not exceed; None of nothing."""
        left = share * self.total
        if not self.total:
            return None
        for bucket, count in enumerate(self.counts):
            left -= count
            if count and left <= 0:
                return (bucket + 1) * BUCKET_US / 1000
        return BUCKETS * BUCKET_US / 1000

    def trimmed(self) -> list[int]:
        """The counts without the empty ones at the end, to be handed on."""
        last = max((bucket for bucket, count in enumerate(self.counts) if count), default=-1)
        return self.counts[: last + 1]
