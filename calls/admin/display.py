"""Values as HTML. Times are marked as UTC; untrusted text is escaped and bidi-isolated."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from calls.models import Participant
from calls.wording import CALL_STATES

NOTHING = "-"


def moment(when: datetime | None, *, milliseconds: bool = False) -> str:
    if when is None:
        return NOTHING
    at = when.astimezone(UTC)
    precision = "milliseconds" if milliseconds else "seconds"
    text = at.isoformat(sep=" ", timespec=precision).removesuffix("+00:00")
    return format_html('<time class="calls-fact" datetime="{}">{} UTC</time>', at.isoformat(), text)


def clock(seconds: float | None) -> str:
    """Formats minutes and seconds; tenths below a minute, because gaps and segments are short."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def level(dbfs: float) -> str:
    return f"{dbfs:.1f}\N{NO-BREAK SPACE}dBFS"


def size(count: int) -> str:
    """Formats bytes in a suitable unit."""
    return filesizeformat(count)


def gaps(count: int, seconds: float) -> str:
    if not count:
        return "none"
    return format_html('<span class="calls-gaps">{} ({})</span>', count, clock(seconds))


def state(name: str, *, is_canary: bool = False) -> str:
    shown = format_html(
        '<span class="calls-state calls-state-{}">{}</span>', name, CALL_STATES[name]
    )
    return format_html("{} (canary)", shown) if is_canary else shown


def identifier(text: str) -> str:
    """Shows an identifier or other untrusted text in full."""
    return format_html('<bdi class="calls-identifier">{}</bdi>', text) if text else NOTHING


def sentence(text: str, *values: object) -> str:
    """Puts values, which may be HTML of this module, into a text."""
    return format_html(text, *values)


def json_text(content: object) -> str:
    """Shows untrusted JSON: escaped, isolated, and with a line for each member."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    return format_html('<pre class="calls-identifier"><bdi>{}</bdi></pre>', text)


def lines(rows: Iterable[tuple[object, object]]) -> str:
    """Shows one line per row: a time and a text."""
    return format_html_join("", "<div>{} {}</div>", rows) or NOTHING


def isolated(text: object) -> SafeString:
    """Isolates untrusted text, so that direction overrides of Unicode end with it."""
    return format_html('<bdi class="calls-name">{}</bdi>', text)


def names(participants: Iterable[Participant], shown: int = 3) -> str:
    """Shows the first few by name, and the number of the others."""
    listed = list(participants)
    if not listed:
        return NOTHING
    first = format_html_join(", ", "{}", ((isolated(each.label),) for each in listed[:shown]))
    more = len(listed) - shown
    return format_html("{} and {} more", first, more) if more > 0 else first


def call(row: Any) -> SafeString:
    """Describes a call by its people and its start, so that users recognise it; its id is the
    title.
    """
    people = names(row.participants.all())
    return format_html(
        '<span title="{}">{} · {}</span>',
        row,
        "No participants" if people == NOTHING else people,
        moment(row.started_at),
    )


def link(address: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, text)
