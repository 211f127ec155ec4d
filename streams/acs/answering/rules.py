"""The rules of ACS_ANSWER: which incoming calls acsmedia answers. PURE.

A rule is a number, a raw id, or a beginning of one with `*` at its end; `!` before it means: do not
answer. The first rule that matches decides; without one, the call is not answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def called_ids(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of the called side in the `data` of an IncomingCall: its raw id, such as
    `4:+15551234567` or `28:orgid:<resource account>`, and its phone number.
    """
    to = data.get("to")
    if not isinstance(to, Mapping):
        return ()
    raw_id, phone = to.get("rawId"), to.get("phoneNumber")
    number = phone.get("value") if isinstance(phone, Mapping) else None
    if isinstance(raw_id, str) and raw_id.startswith("4:"):
        number = number or raw_id.removeprefix("4:")
    return tuple(name for name in (raw_id, number) if isinstance(name, str) and name)


def is_wanted(rules: Iterable[str], called: Iterable[str]) -> bool:
    """Returns whether the rules want a call to one of these names answered."""
    names = [name.casefold() for name in called]
    for rule in rules:
        pattern = rule.removeprefix("!").casefold()
        if any(_matches(pattern, name) for name in names):
            return not rule.startswith("!")
    return False


def _matches(pattern: str, name: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern
