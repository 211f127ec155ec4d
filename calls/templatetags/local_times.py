"""Times of the first paint in the viewer's zone; calls/static/calls/js/local-time.js has the same
format for updates.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from calls.http.zones import ViewerZone
from calls.times import iso_text

register = template.Library()

STYLES = {"datetime": "%Y-%m-%d %H:%M:%S", "time": "%H:%M:%S"}


@register.simple_tag
def local_time(
    when: datetime | str,
    zone: ViewerZone,
    style: str = "datetime",
    id: str = "",  # noqa: A002 - the name of the attribute
    *,
    is_focusable: bool = False,
) -> SafeString:
    """Returns a `<time>` in the viewer's zone, with UTC as its title; marked as UTC if the zone is
    unknown.

    `when`: aware, or ISO 8601. `is_focusable`: its title is reached by keyboard, too; times in rows
    show it with the focus of their row.
    """
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    try:
        shown, is_local = moment.astimezone(zone.info), zone.is_known
    except OverflowError:  # within a day of the first or last year
        shown, is_local = moment.astimezone(UTC), False
    return format_html(
        '<time class="local" data-style="{}" datetime="{}" title="{} UTC"{}{}>{}{}</time>',
        style,
        iso_text(moment),
        f"{moment.astimezone(UTC):{STYLES['datetime']}}",
        format_html(' id="{}"', id) if id else "",
        format_html(' tabindex="{}"', 0) if is_focusable else "",
        f"{shown:{STYLES[style]}}",
        "" if is_local else " UTC",
    )
