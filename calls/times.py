"""The epoch, conversions between it and datetimes, and times as REST writes them. PURE."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_microseconds(microseconds: int) -> datetime:
    """The time `microseconds` after the epoch. Raises `OverflowError` outside the calendar."""
    return EPOCH + timedelta(microseconds=microseconds)


def from_seconds(seconds: Fraction) -> datetime:
    """The time `seconds` after the epoch, rounded down to the microsecond."""
    return from_microseconds(int(seconds * 1_000_000))


def from_sample(sample: int, sample_rate: int) -> datetime:
    """The time of a sample counted from the epoch, rounded down to the microsecond."""
    return from_microseconds(sample * 1_000_000 // sample_rate)


def midnight(day: date) -> datetime:
    """The beginning of a day in UTC."""
    return datetime.combine(day, time.min, tzinfo=UTC)


def iso_text(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z`, as REST and the live socket write times."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso_from_microseconds(microseconds: int) -> str:
    """The time `microseconds` after the epoch, as `iso_text` writes it."""
    return iso_text(from_microseconds(microseconds))
