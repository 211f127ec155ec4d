"""Template filters for the first paint of calls; calls/static/calls/js has the same for updates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template

from calls import identity
from calls.times import length_text as length_of

register = template.Library()


@register.filter
def label(participant: dict[str, Any]) -> str:
    """Returns the display name if there is one, otherwise the label derived from the raw id."""
    return participant["display_name"] or identity.label_of(participant["raw_id"])


@register.filter
def kind_note(participant: dict[str, Any]) -> str:
    """Returns the text for the participant's kind, or "" if the label already includes it."""
    is_in_label = not participant["display_name"] and participant["kind"] not in (
        "phone",
        "unknown",
    )
    return "" if is_in_label else identity.KINDS.get(participant["kind"], identity.KINDS["unknown"])


@register.filter
def call_title(call: dict[str, Any]) -> str:
    """The participants of a call, or its short id before the first; as `callTitle` in
    calls/static/calls/js/identity.js.
    """
    names = [label(participant) for participant in call["participants"]]
    if not names:
        return f"Call {short_id(call['call_connection_id'] or str(call['id']))}"
    if len(names) > 2:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return " ↔ ".join(names)


@register.filter
def short_id(text: str) -> str:
    """Returns the last characters of an id, enough to distinguish two calls by eye."""
    return f"…{text[-8:]}" if len(text) > 8 else text


@register.filter
def clock_since(now: str, started_at: str) -> str:
    """Formats the time between two ISO 8601 times as a running clock: 0:07, 4:05, 1:02:09."""
    elapsed = datetime.fromisoformat(now) - datetime.fromisoformat(started_at)
    return _clock_text(max(0, int(elapsed.total_seconds())))


@register.filter
def clock(seconds: float | None) -> str:
    """Formats seconds as on a player: 0.40 s, 0:07, 4:05, 1:02:09; "" for None."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds:.2f} s"
    return _clock_text(int(seconds))


@register.filter
def length_text(seconds: float | None) -> str:
    """Formats seconds in words: 0.40 s, 5 s, 4 min 12 s, 3 h 05 min; "" for None."""
    return "" if seconds is None else length_of(seconds)


def _clock_text(seconds: int) -> str:
    minutes, hours = seconds // 60 % 60, seconds // 3600
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"
