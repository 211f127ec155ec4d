"""Search terms of REST, pages and admin: states, raw ids, UUIDs and free text."""

from __future__ import annotations

import re
from typing import Any
from unicodedata import category, normalize
from uuid import UUID

STATES = [("live", "live"), ("ended", "ended"), ("interrupted", "interrupted")]
CANARIES = [("hidden", "Hidden"), ("shown", "Shown"), ("only", "Only")]
"""Whether a list has canary calls; the first is the default."""


def matching(calls: Any, text: str) -> Any:
    """Returns the calls of a `CallQuerySet` that contain `text` in an id, a number or a name, or
    the one call with that id.
    """
    call_id = uuid_in(text)
    if call_id and (own := calls.filter(pk=call_id)).exists():
        return own
    return calls.holding(text, *raw_id_parts(text))


def raw_id_parts(text: str) -> list[str]:
    """Returns the texts that a raw id may contain if `text` is searched for, each once."""
    return list(dict.fromkeys([as_raw_id(text), *number_parts(text)]))


_NUMBER = re.compile(r"\+?[\s()\[\]./0-9\u2010-\u2015\u2212-]+")
_LEAST_DIGITS, _MOST_DIGITS = 3, 15  # fewer are in nearly every number; more in none (E.164)


def number_parts(text: str) -> list[str]:
    """Returns what raw ids contain of a phone number as people write it, `(555) 123-4567`; [] if
    `text` is no number.

    Raw ids have the international form, `4:+15551234567`, or lack its `+`. `00` and `011` introduce
    that form, another leading 0 belongs to the national one. The dashboard has the same rule:
    calls/static/calls/js/phone-number.js; tests hold both to tests/js/numbers.json.
    """
    # Numbers that are copied from other programs have direction marks and spaces of any kind.
    plain = "".join(each for each in normalize("NFKC", text) if category(each) != "Cf").strip()
    plain = re.sub("^tel:", "", plain, flags=re.IGNORECASE)
    if not _NUMBER.fullmatch(plain):
        return []
    digits = re.sub("[^0-9]", "", plain.replace("(0)", ""))
    if plain.startswith("+"):
        return _international(digits)
    if digits.startswith("00"):
        return [*_international(digits[2:]), *_anywhere(digits)]
    if digits.startswith("011"):  # of North America, or the beginning of a national number
        return [*_international(digits[3:]), *_anywhere(digits[1:])]
    return _anywhere(digits.removeprefix("0"))


def _international(number: str) -> list[str]:
    return [f"+{number}", f"4:{number}"] if _anywhere(number) else []


def _anywhere(number: str) -> list[str]:
    return [number] if _LEAST_DIGITS <= len(number) <= _MOST_DIGITS else []


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
