"""Search terms of REST, pages and admin: states, raw ids, UUIDs and free text."""

from __future__ import annotations

from typing import Any
from uuid import UUID

STATES = [("live", "live"), ("ended", "ended"), ("interrupted", "interrupted")]


def matching(calls: Any, text: str) -> Any:
    """Returns the calls of a `CallQuerySet` that contain `text` in an id, a number or a name, or
    the one call with that id.
    """
    call_id = uuid_in(text)
    if call_id and (own := calls.filter(pk=call_id)).exists():
        return own
    return calls.holding(text, raw_id=as_raw_id(text))


def as_raw_id(text: str) -> str:
    """Restores each `+` that arrived as a space because it was not encoded as `%2B`.

    Raw ids contain no spaces.
    """
    return text.replace(" ", "+")


def uuid_in(text: str) -> UUID | None:
    """Returns the UUID that the whole `text` spells, if it does."""
    try:
        return UUID(text)
    except ValueError:
        return None
