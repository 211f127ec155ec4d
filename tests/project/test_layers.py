"""Who may know whom: `calls` never imports `streams`; pure modules know no Django, no event loop,
no clock, no file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

from django.test import tag

from tests.servers import ROOT

IMPURE = (
    *(
        "asyncio",
        "channels",
        "django",
        "logging",
        "os",
        "pathlib",
        "redis",
        "rest_framework",
        "shutil",
        "socket",
    ),
    *("sqlite3", "structlog", "subprocess", "tempfile", "threading", "time"),
)
CLOCKS_AND_FILES = {"open", "print", "input", "now", "utcnow", "today", "time", "monotonic"}
"""Names that are called neither as functions nor as methods."""


def modules(folder: str) -> Iterator[Path]:
    return (
        path for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts
    )


def imports_of(path: Path) -> set[str]:
    """Full names of all that a module imports, wherever in it, also for the types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def belongs_to(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def pure_modules() -> list[Path]:
    """Those whose docstring says so, in the word the project uses for it."""
    found = []
    for folder in ("streams", "calls"):
        for path in modules(folder):
            opening = ast.get_docstring(ast.parse(path.read_text())) or ""
            if re.search(r"\bPURE\.", opening):
                found.append(path)
    return found


@tag("once")
class Layers(TestCase):
    def test_calls_imports_nothing_of_streams(self) -> None:
        paths = [*modules("calls")]
        self.assertGreater(len(paths), 10)
        for path in paths:
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(
                    [name for name in imports_of(path) if belongs_to(name, "streams")], []
                )

    def test_the_product_imports_nothing_of_its_tests(self) -> None:
        for path in (*modules("calls"), *modules("streams"), *modules("acsmedia")):
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(
                    [name for name in imports_of(path) if belongs_to(name, "tests")], []
                )

    def test_only_one_module_knows_the_channel_layer(self) -> None:
        knowing = [
            path.relative_to(ROOT).as_posix()
            for path in (*modules("calls"), *modules("streams"))
            if any(belongs_to(name, "channels.layers") for name in imports_of(path))
        ]
        self.assertEqual(knowing, ["calls/live/channel.py"])


@tag("once")
class PureModules(TestCase):
    def test_are_those_of_the_design_and_more(self) -> None:
        names = {path.relative_to(ROOT).as_posix() for path in pure_modules()}
        for module in (
            *("acs/messages", "timeline/timeline", "timeline/track", "journal/records"),
            *("sealing/digest", "sealing/overlaps"),
        ):
            self.assertIn(f"streams/{module}.py", names)

    def test_import_nothing_that_touches_the_world(self) -> None:
        for path in pure_modules():
            with self.subTest(path.relative_to(ROOT)):
                touched = {
                    name
                    for name in imports_of(path)
                    if any(belongs_to(name, package) for package in IMPURE)
                }
                self.assertEqual(touched, set())

    def test_await_nothing_and_look_at_no_clock_and_no_file(self) -> None:
        for path in pure_modules():
            for node in ast.walk(ast.parse(path.read_text())):
                with self.subTest(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"):
                    self.assertNotIsInstance(node, ast.Await | ast.AsyncFunctionDef)
                    if isinstance(node, ast.Call):
                        called = node.func
                        name = (
                            called.id
                            if isinstance(called, ast.Name)
                            else getattr(called, "attr", "")
                        )
                        self.assertNotIn(name, CLOCKS_AND_FILES)
