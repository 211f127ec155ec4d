"""Call detail records: one line as a call, by a mapping of its columns. PURE.

Values are text, or what JSON has. Several lines of one call are its legs: together they last from
the first start to the last end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from math import isfinite
from typing import Any, NamedTuple

from calls.coverage.limits import EARLIEST, LONGEST_CALL, MAX_ID, MAX_PARTICIPANTS

MAX_SECONDS = LONGEST_CALL.total_seconds()
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class WrongRecord(ValueError):
    """A line that cannot be used; the message names the column."""


class CallRecord(NamedTuple):
    """A call that took place, with at least one of the two ids."""

    call_connection_id: str
    correlation_id: str
    started_at: datetime
    ended_at: datetime | None
    participants: int | None


class Columns(NamedTuple):
    """Names of the columns; "" if there is none. A dot leads into an object: `call.id`."""

    connection_id: str = "call_connection_id"
    correlation_id: str = "correlation_id"
    start: str = "started_at"
    end: str = "ended_at"
    duration: str = ""
    participants: str = "participants"


class Times(NamedTuple):
    """How times are written: in `zone` unless they have an offset; `format` as in `strptime`, ""
    for ISO 8601 or seconds since 1970. Later ones than `latest` are wrong.
    """

    zone: tzinfo = UTC
    format: str = ""
    latest: datetime = LATEST


def record_of(row: Mapping[str, Any], columns: Columns, times: Times) -> CallRecord:
    """Returns the call of a line. Raises `WrongRecord`."""
    connection_id = _id(row, columns.connection_id)
    correlation_id = _id(row, columns.correlation_id)
    if not (connection_id or correlation_id):
        named = " or ".join(filter(None, (columns.connection_id, columns.correlation_id)))
        raise WrongRecord(f"{named or 'id'}: no id of the call")
    start = moment_of(_value(row, columns.start), columns.start, times)
    if start is None:
        raise WrongRecord(f"{columns.start}: no time")
    end = moment_of(_value(row, columns.end), columns.end, times)
    seconds = number_of(_value(row, columns.duration), columns.duration, MAX_SECONDS)
    if seconds is not None:
        end = start + timedelta(seconds=seconds)
    name = columns.end if seconds is None else columns.duration
    if end is not None and end < start:
        raise WrongRecord(f"{name}: before {columns.start}")
    if end is not None and end - start > LONGEST_CALL:
        raise WrongRecord(f"{name}: more than {LONGEST_CALL.days} days after {columns.start}")
    if end is not None and end > times.latest:
        raise WrongRecord(f"{name}: in the future")
    people = number_of(_value(row, columns.participants), columns.participants, MAX_PARTICIPANTS)
    count = None if people is None else int(people)
    return CallRecord(connection_id, correlation_id, start, end, count)


def merged(records: Iterable[CallRecord]) -> list[CallRecord]:
    """Returns one record per call, in the order of their first lines."""
    calls: dict[str, CallRecord] = {}
    for one in records:
        key = one.call_connection_id or f"correlation:{one.correlation_id}"
        before = calls.get(key)
        calls[key] = one if before is None else _together(before, one)
    return list(calls.values())


def _together(one: CallRecord, other: CallRecord) -> CallRecord:
    ends = [end for end in (one.ended_at, other.ended_at) if end is not None]
    people = [count for count in (one.participants, other.participants) if count is not None]
    return CallRecord(
        one.call_connection_id,
        one.correlation_id or other.correlation_id,
        min(one.started_at, other.started_at),
        max(ends, default=None),
        max(people, default=None),
    )


def moment_of(value: Any, name: str, times: Times) -> datetime | None:
    """Returns a time; None for an empty value. Raises `WrongRecord`."""
    if value in (None, ""):
        return None
    try:
        moment = _parsed(_text(value), times)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=times.zone)
        aware = aware.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):  # OSError: too many seconds
        raise WrongRecord(f"{name}: not a time") from None
    if not EARLIEST <= aware <= times.latest:
        raise WrongRecord(f"{name}: before 2000 or in the future")
    return aware


def _parsed(text: str, times: Times) -> datetime:
    if times.format:
        return datetime.strptime(text, times.format)  # noqa: DTZ007 - the zone is added after it
    if text.replace(".", "", 1).isdecimal() and len(text.partition(".")[0]) != len("20261130"):
        return datetime.fromtimestamp(float(text), UTC)
    whole, dot, fraction = text.partition(".")
    digits = len(fraction) - len(fraction.lstrip("0123456789"))
    # Azure writes seven digits, more than a datetime holds.
    return datetime.fromisoformat(f"{whole}{dot}{fraction[: min(digits, 6)]}{fraction[digits:]}")


def number_of(value: Any, name: str, most: float) -> float | None:
    """Returns a number from 0 to `most`; None for an empty value. Raises `WrongRecord`."""
    if value in (None, ""):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise WrongRecord(f"{name}: not a number") from None
    if not (isfinite(number) and 0 <= number <= most):
        raise WrongRecord(f"{name}: not between 0 and {most:g}")
    return number


def text_of(value: Any, name: str) -> str:
    """Returns text, or a number as text; "" for no value. Raises `WrongRecord`."""
    if value is None:
        return ""
    try:
        text = _text(value)
        text.encode()  # JSON may have halves of characters
    except (TypeError, ValueError):
        raise WrongRecord(f"{name}: not text") from None
    return text


def _text(value: Any) -> str:
    # Nested values may be deeper than Python can write.
    if not isinstance(value, str | int | float):
        raise TypeError("neither text nor a number")
    return str(value).strip()


def _id(row: Mapping[str, Any], name: str) -> str:
    text = text_of(_value(row, name), name)
    if len(text) > MAX_ID or "\0" in text:
        raise WrongRecord(f"{name}: longer than {MAX_ID} characters, or not text")
    return text


def _value(row: Mapping[str, Any], name: str) -> Any:
    """Returns the value of a column, None if there is none."""
    if not name:
        return None
    if name in row:
        return row[name]
    first, dot, rest = name.partition(".")
    inner = row.get(first)
    return _value(inner, rest) if dot and isinstance(inner, dict) else None
