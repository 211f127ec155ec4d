"""The hash chain of the audit: canonical bytes of an entry, its hash, and faults of a chain. PURE.

Each entry has the SHA-256 of its canonical form, which contains the hash of the entry before. The
canonical form is JSON in UTF-8 with sorted keys and without spaces (docs/audit.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

GENESIS = "0" * 64
"""The hash before the first entry."""

MOST_REMEMBERED = 1_000
"""Altered entries whose right place is looked for; in a longer list each is only altered."""


@dataclass(frozen=True, slots=True)
class Link:
    """The columns of one entry, as they are in its row."""

    number: int
    at: datetime
    actor_kind: str
    actor_name: str
    actor_id: str
    address: str
    action: str
    call: UUID | None
    call_connection_id: str
    reason: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and its place: `kind` is altered, removed, inserted or swapped."""

    kind: str
    first: int
    last: int
    text: str


@dataclass(slots=True)
class Verdict:
    """The result of reading a chain: its length, its last entry, its faults."""

    count: int = 0
    number: int = 0
    hash: str = GENESIS
    faults: list[Fault] = field(default_factory=list)


def canonical(link: Link) -> bytes:
    """Returns the bytes that are hashed; all columns but the hash itself."""
    form = {
        "version": 1,
        "number": link.number,
        "at": link.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor_kind": link.actor_kind,
        "actor_name": link.actor_name,
        "actor_id": link.actor_id,
        "address": link.address,
        "action": link.action,
        "call": None if link.call is None else str(link.call),
        "call_connection_id": link.call_connection_id,
        "reason": link.reason,
        "detail": portable(link.detail),
        "previous_hash": link.previous_hash,
    }
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def hash_of(link: Link) -> str:
    """Returns the SHA-256 of the canonical form, in hexadecimal digits."""
    return hashlib.sha256(canonical(link)).hexdigest()


def portable(value: Any) -> Any:
    """Returns a JSON value that every database returns as it was stored.

    Postgres stores neither NUL nor lone surrogates, and returns 1e20 as an integer. Raises
    `TypeError` and `ValueError` for values that are not JSON.
    """
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, dict):
        return {text_of(str(key)): portable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [portable(one) for one in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else _finite(value)
    if value is None or isinstance(value, int):
        return value
    raise TypeError(f"{type(value).__name__} is not JSON")


def text_of(value: str) -> str:
    """Returns text without NUL and lone surrogates."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def verdict_of(links: Iterable[Link]) -> Verdict:
    """Reads a whole chain in order of its numbers, and returns its faults."""
    reading = _Reading()
    for link in links:
        reading.add(link)
    return reading.verdict()


def _finite(value: float) -> float:
    if value - value != 0:
        raise ValueError(f"{value} is not JSON")
    return value


class _Reading:
    """The chain so far. Entries in a wrong place are kept as runs: all those behind an inserted
    entry are one run.
    """

    def __init__(self) -> None:
        self._verdict = Verdict()
        self._runs: list[tuple[int, int, int]] = []
        self._altered: dict[int, Link] = {}
        self._is_sound = True

    def add(self, link: Link) -> None:
        found = self._verdict
        expected, is_next = found.number + 1, link.number == found.number + 1
        if link.number > expected:
            self._report("removed", expected, link.number - 1)
        elif link.number < expected:
            self._report("inserted", link.number)
        is_sound = self._is_in_place(link)
        if is_sound and self._is_sound and is_next and link.previous_hash != found.hash:
            # the entry before agrees with itself, so its hash was computed again
            self._report("altered", max(found.number, 1))
        self._is_sound = is_sound
        found.count += 1
        found.number, found.hash = max(found.number, link.number), link.hash

    def verdict(self) -> Verdict:
        self._find_swapped()
        for first, _, step in self._runs:
            # entries that belong one place earlier have an intruder in front of them
            if step < 0:
                self._report("inserted", first - 1)
            else:
                self._report("removed", first)
        for number in self._altered:
            self._report("altered", number)
        self._verdict.faults = sorted(
            _without_doubles(self._verdict.faults), key=lambda fault: (fault.first, fault.kind)
        )
        return self._verdict

    def _is_in_place(self, link: Link) -> bool:
        if hash_of(link) == link.hash:
            return True
        for step in (-1, 1):
            if hash_of(replace(link, number=link.number + step)) == link.hash:
                self._misplace(link.number, step)
                return False
        if len(self._altered) < MOST_REMEMBERED:
            self._altered[link.number] = link
        else:
            self._report("altered", link.number)
        return False

    def _misplace(self, number: int, step: int) -> None:
        if self._runs and self._runs[-1][2] == step:  # an altered entry may be in between
            self._runs[-1] = (self._runs[-1][0], number, step)
        else:
            self._runs.append((number, number, step))

    def _find_swapped(self) -> None:
        for one, other in zip(self._runs[:], self._runs[1:], strict=False):
            if one[0] == one[1] == other[0] - 1 and other[0] == other[1] and one[2] == -other[2]:
                self._runs = [run for run in self._runs if run not in {one, other}]
                self._report("swapped", one[0], other[0])
        for number, link in list(self._altered.items()):
            for place in list(self._altered):
                if place > number and hash_of(replace(link, number=place)) == link.hash:
                    self._altered.pop(number)
                    self._altered.pop(place)
                    self._report("swapped", number, place)
                    break

    def _report(self, kind: str, first: int, last: int | None = None) -> None:
        last = first if last is None else last
        self._verdict.faults.append(Fault(kind, first, last, _sentence(kind, first, last)))


def _without_doubles(faults: list[Fault]) -> list[Fault]:
    """Leaves out that an inserted entry is altered as well."""
    inserted = {fault.first for fault in faults if fault.kind == "inserted"}
    return [fault for fault in faults if fault.kind != "altered" or fault.first not in inserted]


def _sentence(kind: str, first: int, last: int) -> str:
    if kind == "swapped":
        return f"Entries {first} and {last} were swapped."
    if kind == "removed" and last > first:
        return f"Entries {first} to {last} were removed."
    place = f"Entry {first}"
    return {
        "altered": f"{place} was altered.",
        "removed": f"{place} was removed.",
        "inserted": f"{place} was inserted.",
    }[kind]
