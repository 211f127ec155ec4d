"""The time zone of the viewer, which the browser names in a cookie (`local-time.js`).

Filters by day, times, and names of files use it. Without the cookie, as in REST with a token, all
of them are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest

COOKIE = "zone"
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class ViewerZone:
    """A time zone; `is_known`: the browser has named one, if only one that this server lacks."""

    name: str
    info: tzinfo
    is_known: bool


def viewer_zone(request: HttpRequest) -> ViewerZone:
    """Returns the zone of the browser; UTC if it has named none, or one that is unknown here."""
    name = request.COOKIES.get(COOKIE, "")
    info = zone_named(name)
    return ViewerZone(name if info else "UTC", info or UTC, is_known=bool(name))


def for_templates(request: HttpRequest) -> dict[str, Any]:
    """Context of all pages: their zone is named at their end."""
    return {"zone": viewer_zone(request)}


def zone_named(name: str) -> ZoneInfo | None:
    """Returns the zone with the name, None if it is unknown here."""
    if not 0 < len(name) <= LONGEST_NAME:
        return None
    try:
        return ZoneInfo(name)
    # The name comes from outside: no zone, a path out of the database, a folder of it.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
