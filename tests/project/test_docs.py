"""Documentation that tells the truth: links lead somewhere, tables name what the code reads."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import TestCase

from streams.live.alarm_rules import PROCESS_ALARMS, STREAM_ALARMS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_A_TEST = {"STATIC_ROOT"}
"""Read from the environment, but for builders of images and not for operators."""


class Links(TestCase):
    def test_every_link_within_the_project_leads_to_a_file(self) -> None:
        for page in PAGES:
            for target in re.findall(
                r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")
            ):
                with self.subTest(page=page.name, target=target):
                    self.assertTrue((page.parent / target).exists())

    def test_every_page_is_reached_from_the_readme_or_another_page(self) -> None:
        texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
        for page in PAGES[2:]:
            with self.subTest(page.name):
                self.assertTrue(
                    any(page.name in text for other, text in texts.items() if other != page)
                )


class Architecture(TestCase):
    def test_every_module_has_its_place_in_the_tables(self) -> None:
        page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
        for room in ("streams", "calls", "acsmedia"):
            table = re.search(rf"^\| {room}/ \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
            assert table, f"there is a table of {room}/"
            modules = {path.name for path in (ROOT / room).glob("*.py")} - {
                "__init__.py",
                "apps.py",
            }
            self.assertEqual({name for name in modules if f"`{name}`" not in table[0]}, set(), room)

    def test_every_module_that_is_named_exists(self) -> None:
        page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
        ours = [
            path
            for room in ("streams", "calls", "acsmedia")
            for path in (ROOT / room).rglob("*.py")
        ]
        for name in re.findall(r"`(?:\w+/)*(\w+\.py)`", page):
            with self.subTest(name):
                self.assertIn(name, {path.name for path in ours})


class Environment(TestCase):
    def test_every_variable_that_settings_read_is_in_the_readme(self) -> None:
        settings = (ROOT / "acsmedia" / "settings.py").read_text(encoding="utf-8")
        read = set(re.findall(r"env\.\w+\(\s*\"([A-Z][A-Z0-9_]+)\"", settings)) - OF_A_TEST
        self.assertGreater(len(read), 20)
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        self.assertEqual({name for name in read if f"`{name}`" not in readme}, set())


class Alarms(TestCase):
    def test_every_alarm_is_in_the_table(self) -> None:
        page = (ROOT / "docs" / "dashboard.md").read_text(encoding="utf-8")
        named = re.findall(
            r"`(\w+)`",
            "".join(
                re.findall(r"^\|([^|]+)\| (?:call|participant|process) \|", page, re.MULTILINE)
            ),
        )
        self.assertEqual(sorted(named), sorted((*STREAM_ALARMS, *PROCESS_ALARMS)))


class MakeTargets(TestCase):
    def test_every_make_target_that_is_named_exists(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
        for page in PAGES:
            for target in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")):
                with self.subTest(page=page.name, target=target):
                    self.assertIn(target, targets)
