"""Log events and their table in docs/operations.md: neither has an event that the other lacks."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
}


def calls_in(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call of a method of `log`, with the level that it logs at."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method)) if (
                method in LEVELS
            ):
                yield LEVELS[method], node


def logged() -> dict[str, set[str]]:
    """The levels of every event in the source. An event must be a literal, to be searchable."""
    events = defaultdict(set)
    for package in ("acsmedia", "streams", "calls"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for level, call in calls_in(ast.parse(path.read_text(encoding="utf-8"))):
                match call.args:
                    case [ast.Constant(value=str(event)), *_]:
                        events[event].add(level)
                    case _:
                        raise AssertionError(f"{path}:{call.lineno}: the event is not a literal")
    return dict(events)


def documented() -> dict[str, set[str]]:
    """The levels of every event in the table."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("| event | level | meaning | what to do |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \|", table, re.MULTILINE)
    assert len(rows) == len(table.splitlines()) - 1, "each row has an event and its levels"
    assert len(dict(rows)) == len(rows), "an event has one row"
    return {event: set(levels.split(", ")) for event, levels in rows}


class LogEvents(TestCase):
    maxDiff = None

    def test_every_event_is_in_the_table_with_its_levels_and_no_other(self) -> None:
        self.assertEqual(documented(), logged())

    def test_the_table_is_in_alphabetical_order(self) -> None:
        self.assertEqual(list(documented()), sorted(documented()))
