"""Conversions between datetimes and counts since the epoch, and times as text. PURE."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from fractions import Fraction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_microseconds(microseconds: int) -> datetime:
    """Returns the time `microseconds` after the epoch.

    Raises `OverflowError` outside the calendar.
    """
    return EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(moment: datetime) -> int:
    """Returns the microseconds from the epoch to the moment."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_seconds(seconds: Fraction) -> datetime:
    """Returns the time `seconds` after the epoch, rounded down to the microsecond."""
    return from_microseconds(int(seconds * 1_000_000))


def from_sample(sample: int, sample_rate: int) -> datetime:
    """Returns the time of a sample counted from the epoch, rounded down to the microsecond."""
    return from_microseconds(sample * 1_000_000 // sample_rate)


def midnight(day: date, zone: tzinfo = UTC) -> datetime:
    """Returns the start of a day in a zone, as a time in UTC.

    A day of a zone may have 23 or 25 hours. Where clocks skip midnight, the day starts at the
    moment of the change.
    """
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def iso_text(moment: datetime, zone: tzinfo = UTC) -> str:
    """Returns ISO 8601 in a zone; UTC with `Z` is the format of REST and the live socket."""
    return moment.astimezone(zone).isoformat().replace("+00:00", "Z")


def stamp_text(moment: datetime, zone: tzinfo = UTC) -> str:
    """Returns a time in a zone for the name of a file: `20261123T183000+0900`, in UTC with `Z`."""
    return f"{moment.astimezone(zone):%Y%m%dT%H%M%S%z}".replace("+0000", "Z")


def length_text(seconds: float) -> str:
    """Returns seconds as 0.40 s, 5 s, 4 min 12 s, 3 h 05 min."""
    if 0 < seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def iso_from_microseconds(microseconds: int) -> str:
    """Returns the time `microseconds` after the epoch in the format of `iso_text`."""
    return iso_text(from_microseconds(microseconds))
