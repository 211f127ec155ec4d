"""Plain English: names and phrases that must not come back, and nouns instead of clauses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

from django.test import tag

from tests.project.test_layers import name_of, product_modules
from tests.servers import ROOT

METAPHORS = frozenset(
    {
        *("lamp", "lamps", "lookout", "lately", "ears", "wish", "wishes", "turns", "gathering"),
        *("door", "crowded", "fruitless", "foreseen", "foresee", "mailbox", "seats", "seams"),
        *("seated", "settling", "breath", "stretch", "stretches", "heard_of", "hear_out", "said"),
        *("insist", "bury", "mine", "lacking", "suit", "promptrequests", "first_look"),
    }
)
"""Words of names that the field does not use; docs/architecture.md has the glossary."""

PHRASES = (
    *("for want of", "of no account", "in the place of", "dearer", "none of ours", "whoever"),
    *("somebody else's matter", "makes it good", "so long as", "as many as there are"),
    *("is looked at", "are looked at", "looked after", "what is wrong with", "by and by"),
)
"""Archaic or German turns of phrase, in any text of the project."""

CLAUSE = re.compile(
    r"\b(what|who|whoever|whatever|whose|whom|those (?:that|who|which|of))\b", re.IGNORECASE
)
MAX_CLAUSES_PER_1000_WORDS = 4.0
"""Clauses in the place of nouns, in docstrings; admired code bases have 0.2 to 3.6."""


def docstrings() -> Iterator[tuple[str, str]]:
    """Returns the docstrings of the product, those of constants too, each with its place."""
    for path in product_modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for text in _texts_of(node):
                yield f"{name_of(path)}:{getattr(node, 'lineno', 1)}", text


def _texts_of(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for statement in node.body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


def defined_names(path: Path) -> Iterator[str]:
    """Returns the names of modules, classes, functions and constants that a module defines."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def words_of(name: str) -> set[str]:
    """Returns the words of a name in snake case or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@tag("once")
class Names(TestCase):
    def test_are_words_of_the_field(self) -> None:
        found = {
            f"{name_of(path)}: {name}"
            for path in product_modules()
            for name in defined_names(path)
            if words_of(name) & METAPHORS
        }
        self.assertEqual(found, set())

    def test_are_taken_apart_into_words(self) -> None:
        self.assertEqual(words_of("_hear_wishes"), {"hear", "wishes"})
        self.assertEqual(words_of("MAX_LOOKOUTS"), {"max", "lookouts"})
        self.assertEqual(words_of("SealJob"), {"seal", "job"})


@tag("once")
class Sentences(TestCase):
    def test_docstrings_use_nouns_instead_of_clauses(self) -> None:
        texts = list(docstrings())
        words = sum(len(text.split()) for _, text in texts)
        self.assertGreater(words, 10_000)
        clauses = [place for place, text in texts for _ in CLAUSE.findall(text)]
        self.assertLessEqual(1000 * len(clauses) / words, MAX_CLAUSES_PER_1000_WORDS, clauses)

    def test_docstrings_do_not_begin_with_a_clause(self) -> None:
        opening = re.compile(r"\s*(What|Who|Whoever|Whose|That which|Of|Those)\b")
        found = [f"{place}: {text[:60]}" for place, text in docstrings() if opening.match(text)]
        self.assertEqual(found, [])

    def test_texts_avoid_the_phrases_that_have_to_be_read_twice(self) -> None:
        texts = [
            *product_modules(),
            *sorted((ROOT / "docs").glob("*.md")),
            *sorted(ROOT.glob("*.md")),
            *sorted((ROOT / "templates").rglob("*.html")),
            *sorted((ROOT / "calls").rglob("*.html")),
            *sorted((ROOT / "calls").rglob("*.js")),
        ]
        self.assertGreater(len(texts), 200)
        found = []
        for path in texts:
            if path.name == "CHANGELOG.md":
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                hits = [phrase for phrase in PHRASES if phrase in line.lower()]
                found += [f"{name_of(path)}:{number}: {phrase}" for phrase in hits]
        self.assertEqual(found, [])
