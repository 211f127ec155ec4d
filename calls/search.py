"""Search terms that REST, pages and admin read alike: states, raw ids and UUIDs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

STATES = [("live", "live"), ("ended", "ended"), ("interrupted", "interrupted")]


def as_raw_id(text: str) -> str:
    """A `+` that was not written `%2B` arrives as a space; raw ids hold the one and never the
    other.
    """
    return text.replace(" ", "+")


def uuid_in(text: str) -> Any:
    try:
        return UUID(text)
    except ValueError:
        return None
