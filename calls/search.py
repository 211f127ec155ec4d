"""Search terms as REST, pages and admin read them: states, raw ids and UUIDs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from calls.lookups import SHORTEST

STATES = [("live", "live"), ("ended", "ended"), ("interrupted", "interrupted")]

TOO_SHORT = f"Use at least {SHORTEST} characters: shorter terms match nearly every number."


def matching(calls: Any, text: str) -> Any:
    """Returns the calls of a `CallQuerySet` that contain `text` in an id, a number or a name, or
    the one call that has it as its own id.
    """
    call_id = uuid_in(text)
    if call_id and (own := calls.filter(pk=call_id)).exists():
        return own
    return calls.holding(text, raw_id=as_raw_id(text))


def as_raw_id(text: str) -> str:
    """Turns spaces back into `+`: raw ids contain no space, and a `+` that was not written `%2B`
    in an address arrives as one.
    """
    return text.replace(" ", "+")


def uuid_in(text: str) -> Any:
    """Returns the UUID that the text is, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
