"""Search terms of REST, pages and admin: states, raw ids and UUIDs."""

from __future__ import annotations

from uuid import UUID

STATES = [("live", "live"), ("ended", "ended"), ("interrupted", "interrupted")]


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
