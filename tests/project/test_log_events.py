"""Log events and their table in docs/operations.md: neither has an event that the other lacks."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("acsmedia", "streams", "calls")
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
}


def calls_in(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yields each call of a method of `log` or `self._log`, with the level that it logs at."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="log") | ast.Attribute(attr="_log"), attr=method
                )
            ) if method in LEVELS:
                yield LEVELS[method], node


def constants_of_classes(trees: Iterable[ast.AST]) -> dict[str, set[str]]:
    """Returns the texts that classes assign to each attribute: a base class logs `self.<name>`."""
    texts = defaultdict(set)
    for tree in trees:
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            for statement in node.body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(str(text))):
                        texts[name].add(text)
    return texts


def logged() -> dict[str, set[str]]:
    """Returns the levels of every event in the source. Events are literals, to be searchable."""
    paths = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    constants = constants_of_classes(trees.values())
    events = defaultdict(set)
    for path, tree in trees.items():
        for level, call in calls_in(tree):
            match call.args:
                case [ast.Constant(value=str(event)), *_]:
                    events[event].add(level)
                case [ast.Attribute(value=ast.Name(id="self"), attr=name), *_] if constants[name]:
                    for event in constants[name]:
                        events[event].add(level)
                case _:
                    raise AssertionError(f"{path}:{call.lineno}: the event is not a literal")
    return dict(events)


def documented() -> dict[str, set[str]]:
    """Returns the levels of every event in the table."""
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
