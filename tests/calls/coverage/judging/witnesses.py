"""Witnesses of a call in seconds, as tests read them: a call of a minute by default."""

from __future__ import annotations

from typing import Any

from calls.coverage.judging.spans import Span
from calls.coverage.judging.witnesses import (
    Events,
    Gap,
    Interruption,
    Presence,
    Refusal,
    Socket,
    Statement,
    Track,
    Witnesses,
)

ALICE = "4:+15551234567"
BOB = "8:acs:resource_user"
SECOND = 1_000_000


def us(seconds: float) -> int:
    return round(seconds * SECOND)


def spans(*pairs: tuple[float, float]) -> tuple[Span, ...]:
    return tuple((us(start), us(end)) for start, end in pairs)


def events(start: float | None = 0, end: float | None = 60, **values: Any) -> Events:
    connected = None if start is None else us(start)
    ended = None if end is None else us(end)
    given = {"first_us": us(start or 0), "last_us": us(end or 60)} | values
    return Events(connected, ended, **given)


def present(
    raw_id: str, start: float = 0, end: float = 60, *quiet: tuple[float, float]
) -> Presence:
    return Presence(raw_id, spans((start, end)), spans(*quiet))


def interruption(start: float, end: float, reason: str) -> Interruption:
    return Interruption(us(start), us(end), reason)


def statement(
    start: float = 0, end: float | None = 60, participants: int | None = None
) -> Statement:
    return Statement("pbx", us(start), None if end is None else us(end), participants)


def refusal(first: float, last: float, reason: str = "expired") -> Refusal:
    return Refusal(us(first), us(last), reason)


def socket(start: float = 1, end: float = 60, *, is_over: bool = True) -> Socket:
    return Socket(us(start), us(end), is_over)


def track(
    raw_id: str = ALICE, start: float = 1, end: float = 60, *gaps: tuple[float, float, str]
) -> Track:
    return Track(raw_id, us(start), us(end), tuple(Gap(us(a), us(b), why) for a, b, why in gaps))


def call(**values: Any) -> Witnesses:
    """Returns the witnesses of a call; `tracks`, `sockets`, … may be single ones."""
    plural = ("statements", "refusals", "sockets", "tracks")
    given: dict[str, Any] = {
        name: (value,) if name in plural and hasattr(value, "_fields") else value
        for name, value in values.items()
    }
    return Witnesses(**given)
