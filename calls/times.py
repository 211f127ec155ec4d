"""The epoch, and moments of the sample axis. PURE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(sample: int, sample_rate: int) -> datetime:
    """The moment of a place on the axis, to the microsecond below."""
    return EPOCH + timedelta(microseconds=sample * 1_000_000 // sample_rate)
