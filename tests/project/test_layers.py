"""Rules of the layout that import-linter (`make lint`) cannot see."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

from django.test import tag

from tests.coverage_of_pure import pure_modules
from tests.servers import ROOT

PRODUCT = ("acsmedia", "streams", "calls")

CLOCKS_AND_FILES = {"open", "print", "input", "now", "utcnow", "today", "time", "monotonic"}
"""Names that PURE modules call neither as functions nor as methods."""

MAX_MODULES = 12
"""Modules in one package, besides `__init__.py`: more are not taken in at a glance."""

MAX_LINES = 400
MAX_FUNCTION_LINES = 30


def product_modules() -> Iterator[Path]:
    """Returns all modules of the product but migrations."""
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """Returns the full names of everything a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def belongs_to(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@tag("once")
class Packages(TestCase):
    def test_have_at_most_a_dozen_modules(self) -> None:
        modules = [path for path in product_modules() if path.name != "__init__.py"]
        sizes = Counter(name_of(path.parent) for path in modules)
        self.assertGreater(len(sizes), 20)
        crowded = {package: size for package, size in sizes.items() if size > MAX_MODULES}
        self.assertEqual(crowded, {})

    def test_say_what_they_are(self) -> None:
        silent = [
            name_of(path)
            for path in product_modules()
            if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            and "management" not in path.parts
        ]
        self.assertEqual(silent, [])

    def test_modules_and_functions_are_short(self) -> None:
        long = []
        for path in product_modules():
            text = path.read_text(encoding="utf-8")
            if text.count("\n") > MAX_LINES:
                long.append(name_of(path))
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno is not None, "parsed from text"
                    if node.end_lineno - node.lineno >= MAX_FUNCTION_LINES:
                        long.append(f"{name_of(path)}: {node.name}")
        self.assertEqual(long, [])


@tag("once")
class Imports(TestCase):
    def test_the_product_imports_nothing_of_its_tests(self) -> None:
        for path in product_modules():
            with self.subTest(name_of(path)):
                imported = imports_of(path)
                self.assertEqual([name for name in imported if belongs_to(name, "tests")], [])

    def test_only_the_channel_and_the_readiness_probe_use_the_channel_layer(self) -> None:
        users = [
            name_of(path)
            for path in product_modules()
            if any(belongs_to(name, "channels.layers") for name in imports_of(path))
        ]
        self.assertEqual(users, ["calls/live/channel.py"])


@tag("once")
class PureModules(TestCase):
    def test_are_all_held_by_the_contract(self) -> None:
        """The docstring's word PURE is the one list; the contract of import-linter repeats it."""
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        contracts = settings["tool"]["importlinter"]["contracts"]
        (pure,) = [contract for contract in contracts if contract["id"] == "pure"]
        marked = [module.removesuffix(".py").replace("/", ".") for module in pure_modules()]
        self.assertGreater(len(marked), 30)
        self.assertEqual(sorted(pure["source_modules"]), sorted(marked))

    def test_await_nothing_and_read_no_clock_and_no_file(self) -> None:
        for module in pure_modules():
            for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
                with self.subTest(f"{module}:{getattr(node, 'lineno', 0)}"):
                    self.assertNotIsInstance(node, ast.Await | ast.AsyncFunctionDef)
                    if isinstance(node, ast.Call):
                        called = node.func
                        name = getattr(called, "id", getattr(called, "attr", ""))
                        self.assertNotIn(name, CLOCKS_AND_FILES)
