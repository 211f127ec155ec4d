"""References in the documentation: files, headings and imports that exist."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PACKAGES = ("azure",)
"""Packages that an example imports and the project does not depend on."""


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of headings, and explicit ones."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


class References(TestCase):
    def test_every_file_that_is_named_with_its_folder_exists(self) -> None:
        for page in PAGES:
            text = page.read_text(encoding="utf-8")
            for name in re.findall(
                r"`((?:acsmedia|bench|calls|deploy|streams|tests)/[\w./-]+\.\w+)`", text
            ):
                with self.subTest(page=page.name, name=name):
                    self.assertTrue((ROOT / name).exists())

    def test_every_link_to_a_heading_leads_to_one(self) -> None:
        for page in PAGES:
            links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
            for target, anchor in links:
                with self.subTest(page=page.name, target=target, anchor=anchor):
                    linked = page.parent / target if target else page
                    self.assertIn(anchor, anchors_of(linked))

    def test_every_import_of_an_example_works(self) -> None:
        for page in PAGES:
            for example in re.findall(
                r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
            ):
                code = compile(
                    example, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
                )
                for node in ast.walk(code):
                    if not isinstance(node, ast.ImportFrom) or not node.module:
                        continue
                    if node.module.startswith(OTHER_PACKAGES):
                        continue
                    for imported in node.names:
                        with self.subTest(page=page.name, name=imported.name):
                            self.assertTrue(hasattr(import_module(node.module), imported.name))
