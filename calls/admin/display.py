"""Facts as HTML. Times are UTC and say so; what came over the wire is escaped and kept from turning
the line around.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

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
    precise = at.isoformat(
        sep=" ", timespec="milliseconds" if milliseconds else "seconds"
    ).removesuffix("+00:00")
    return format_html(
        '<time class="calls-fact" datetime="{}">{} UTC</time>', at.isoformat(), precise
    )


def clock(seconds: float | None) -> str:
    """Minutes and seconds as on a player; tenths below a minute, because gaps and segments are
    short.
    """
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
    """Bytes, in the unit that reads best."""
    return filesizeformat(count)


def gaps(count: int, seconds: float) -> str:
    if not count:
        return "none"
    return format_html('<span class="calls-gaps">{} ({})</span>', count, clock(seconds))


def state(name: str) -> str:
    return format_html(
        '<span class="calls-state calls-state-{}">{}</span>', name, CALL_STATES[name]
    )


def identifier(text: str) -> str:
    """An identifier or other hostile text, whole."""
    return format_html('<bdi class="calls-identifier">{}</bdi>', text) if text else NOTHING


def isolated(text: object) -> SafeString:
    """Hostile text that may not turn around what follows it (Unicode's overrides of direction)."""
    return format_html('<bdi class="calls-name">{}</bdi>', text)


def names(participants: Iterable[Participant], shown: int = 3) -> str:
    """The first few by name, the others by number."""
    everyone = list(participants)
    if not everyone:
        return NOTHING
    listed = format_html_join(", ", "{}", ((isolated(each.label),) for each in everyone[:shown]))
    more = len(everyone) - shown
    return format_html("{} and {} more", listed, more) if more > 0 else listed


def link(address: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, text)
