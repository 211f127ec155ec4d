"""Durations counted in tenths of a millisecond: constant memory for any run. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BUCKET_US = 100
BUCKETS = 50_001
"""Up to 5 s; longer durations count as 5 s."""


class Histogram:
    """`add` microseconds; `quantile_ms` is exact to a tenth of a millisecond, rounded up."""

    def __init__(self, counts: Sequence[int] = ()) -> None:
        self.counts = [*counts, *[0] * (BUCKETS - len(counts))]

    def add(self, microseconds: int) -> None:
        """Adds a duration; negative ones (clocks that differ by a tick) count as zero."""
        self.counts[max(0, min(microseconds // BUCKET_US, BUCKETS - 1))] += 1

    def add_all(self, microseconds: Iterable[int]) -> None:
        for one in microseconds:
            self.add(one)

    @property
    def total(self) -> int:
        return sum(self.counts)

    def quantile_ms(self, share: float) -> float | None:
        """Returns the duration not exceeded by `share` of all; None if there are none."""
        left = share * self.total
        if not self.total:
            return None
        for bucket, count in enumerate(self.counts):
            left -= count
            if count and left <= 0:
                return (bucket + 1) * BUCKET_US / 1000
        return BUCKETS * BUCKET_US / 1000

    def trimmed(self) -> list[int]:
        """Returns the counts without trailing zeros, for transmission."""
        last = max((bucket for bucket, count in enumerate(self.counts) if count), default=-1)
        return self.counts[: last + 1]
