"""Documentation that tells the truth: links lead somewhere, tables list what the code reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest import TestCase

from calls.wording import ALARMS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PACKAGES = ("azure",)
"""Packages that an example imports and the project does not depend on."""
NOT_FOR_OPERATORS = {"STATIC_ROOT"}
"""Read from the environment by builders of images."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors_of(page: Path) -> set[str]:
    """Returns the anchors of a page: those that GitHub makes of headings, and explicit ones."""
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Returns the target and the anchor ("" without one) of each link within the project."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text_of(page)):
        yield (page.parent / target if target else page), anchor


class Links(TestCase):
    def test_every_link_within_the_project_leads_to_a_file_and_a_heading(self) -> None:
        self.assertGreater(sum(1 for page in PAGES for _ in links_of(page)), 80)
        for page in PAGES:
            for target, anchor in links_of(page):
                with self.subTest(page=page.name, target=target.name, anchor=anchor):
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors_of(target))

    def test_every_page_is_reached_from_another_page(self) -> None:
        for page in PAGES:
            if page.name not in {"README.md", "CHANGELOG.md"}:
                with self.subTest(page.name):
                    others = (text_of(other) for other in PAGES if other != page)
                    self.assertTrue(any(page.name in text for text in others))


class Architecture(TestCase):
    def test_every_module_and_package_is_in_the_tables(self) -> None:
        page = text_of(ROOT / "docs" / "architecture.md")
        for package in ("streams", "calls", "acsmedia"):
            table = re.search(rf"^### {package}/\n.*?(?=^##)", page, re.MULTILINE | re.DOTALL)
            assert table, f"there is a table of {package}/"
            modules = {path.name for path in (ROOT / package).glob("*.py")}
            packages = {f"{path.parent.name}/" for path in (ROOT / package).glob("*/__init__.py")}
            wanted = modules - {"__init__.py", "apps.py"} | packages - {"migrations/"}
            wanted -= {"templatetags/"} if package == "calls" else set()
            missing = {name for name in wanted if f"`{name}" not in table[0]}
            self.assertEqual(missing - {"management/"}, set(), package)

    def test_every_path_that_is_named_exists(self) -> None:
        """In backticks, `package/…/name.py` must be a file, and `name.py` the name of one."""
        packages = ("streams", "calls", "acsmedia", "templates", "tests", "bench")
        names = {path.name for package in packages for path in (ROOT / package).rglob("*.*")}
        for page in PAGES:
            if page.name == "CHANGELOG.md":
                continue
            for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|js|html|toml))`", text_of(page)):
                with self.subTest(page=page.name, name=name):
                    known = (ROOT / name).exists() or ("/" not in name and name in names)
                    self.assertTrue(known or name.startswith("manage."))


class Environment(TestCase):
    def test_every_variable_that_settings_read_is_in_the_readme(self) -> None:
        modules = ("settings.py", "reporting_settings.py")
        settings = "".join(text_of(ROOT / "acsmedia" / module) for module in modules)
        read = set(re.findall(r"env\.\w+\(\s*\"([A-Z][A-Z0-9_]+)\"", settings)) - NOT_FOR_OPERATORS
        self.assertGreater(len(read), 20)
        readme = text_of(ROOT / "README.md")
        self.assertEqual({name for name in read if f"`{name}`" not in readme}, set())


class Alarms(TestCase):
    def test_every_alarm_is_in_the_table(self) -> None:
        page = text_of(ROOT / "docs" / "dashboard.md")
        raised_for = "(?:call|participant|process|installation)"
        cells = re.findall(rf"^\|([^|]+)\| {raised_for} \|", page, re.MULTILINE)
        named = re.findall(r"`(\w+)`", "".join(cells))
        self.assertEqual(sorted(named), sorted(ALARMS))


class MakeTargets(TestCase):
    def test_every_make_target_that_is_named_exists(self) -> None:
        targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
        for page in PAGES:
            for target in re.findall(r"`make ([a-z-]+)", text_of(page)):
                with self.subTest(page=page.name, target=target):
                    self.assertIn(target, targets)


class Dependencies(TestCase):
    def test_every_package_that_is_required_is_listed_with_its_licence(self) -> None:
        page = text_of(ROOT / "docs" / "dependencies.md")
        listed = set(re.findall(r"^\| ([\w-]+) \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE))
        required = {
            name
            for file in ("requirements.txt", "requirements-dev.txt", "requirements-answer.txt")
            for name in re.findall(
                r"^([\w-]+)(?:\[[\w,-]+\])?==", text_of(ROOT / file), re.MULTILINE
            )
        }
        self.assertGreater(len(required), 30)
        self.assertEqual(listed - {"package", "---"}, required)


class Hooks(TestCase):
    def test_commits_are_judged_by_the_tools_of_make_lint(self) -> None:
        lint = re.search(r"^lint:.*?\n\n", text_of(ROOT / "Makefile"), re.MULTILINE | re.DOTALL)
        assert lint, "there is a target lint"
        hooks = re.findall(
            r"entry: (?:env \S+ )?\.venv/bin/(?:python )?(.+)",
            text_of(ROOT / ".pre-commit-config.yaml"),
        )
        self.assertEqual(len(hooks), 5)
        for command in hooks:
            with self.subTest(command):
                self.assertIn(command.removesuffix(" .").rstrip(), lint[0])


class Examples(TestCase):
    def test_every_import_of_a_python_example_works(self) -> None:
        for page in PAGES:
            for example in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
                for module, name in imports_of(example):
                    with self.subTest(page=page.name, module=module, name=name):
                        self.assertTrue(hasattr(import_module(module), name))


def imports_of(example: str) -> Iterator[tuple[str, str]]:
    """Returns module and name of the imports of an example, which may await at the top."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    for node in ast.walk(compile(example, "example", "exec", flags)):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if module and not module.startswith(OTHER_PACKAGES):
            assert isinstance(node, ast.ImportFrom), "only those have a module"
            yield from ((module, alias.name) for alias in node.names)
