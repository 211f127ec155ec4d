"""Members of the JSON of an event: one with another type than documented counts as absent. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def raw_id_in(value: Any) -> str:
    """Returns the raw id of an identifier, also of one inside `communicationIdentifier`."""
    one = mapping_in(value)
    return text_in(one.get("rawId")) or text_in(
        mapping_in(one.get("communicationIdentifier")).get("rawId")
    )


def mapping_in(value: Any) -> Mapping[str, Any]:
    """Returns an object of JSON, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def text_in(value: Any) -> str:
    """Returns a text, "" for anything else."""
    return value if isinstance(value, str) else ""


def is_true(value: Any) -> bool:
    """Whether it is true, also as text."""
    return value is True or text_in(value).casefold() == "true"
