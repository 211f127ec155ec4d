"""`make` in a fresh clone: messages about requirements, and installation only when needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from django.test import tag

from tests import machine
from tests.runner import ONCE
from tests.servers import ROOT


@tag("once")
class FreshCloneTests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory(prefix="acsmedia-make-")))
        for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.folder)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [machine.need("make"), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def program(self, content: str) -> str:
        file = self.folder / "a-python"
        file.write_text(f"#!/bin/sh\n{content}\n")
        file.chmod(0o700)
        return str(file)

    def pretend_it_is_installed(self) -> None:
        (self.folder / ".venv").mkdir()
        for stamp in ("python", "installed", "installed-dev"):
            (self.folder / ".venv" / stamp).touch()

    def test_make_alone_lists_the_targets(self) -> None:
        printed = self.make().stdout
        for target in ("make run", "make demo", "make test", "make lint"):
            self.assertIn(target, printed)

    def test_a_missing_or_old_python_is_reported_with_a_hint(self) -> None:
        for python in ("no-such-python", self.program("exit 1")):
            done = self.make("run", f"PYTHON={python}")
            self.assertNotEqual(0, done.returncode)
            self.assertIn("missing or older than 3.11", done.stderr)
            self.assertIn("make PYTHON=python3.12", done.stderr)

    def test_a_python_without_venv_is_reported_with_a_hint(self) -> None:
        modern_without_venv = self.program("test $1 = -c")
        done = self.make("run", f"PYTHON={modern_without_venv}")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("apt install python3-venv", done.stderr)

    def test_an_installation_is_not_repeated(self) -> None:
        self.pretend_it_is_installed()
        self.assertNotIn("pip install", self.make("-n", "run", "test", "lint").stdout)

    def test_changed_requirements_are_installed_by_the_targets_that_need_them(self) -> None:
        self.pretend_it_is_installed()
        later = (self.folder / ".venv" / "installed").stat().st_mtime + 10
        os.utime(self.folder / "requirements-dev.txt", (later, later))
        self.assertNotIn("pip install", self.make("-n", "run").stdout)
        self.assertIn("-r requirements-dev.txt", self.make("-n", "test").stdout)
        os.utime(self.folder / "requirements.txt", (later, later))
        self.assertIn("-r requirements.txt", self.make("-n", "run").stdout)

    def test_the_parts_of_the_suite_are_complete(self) -> None:
        self.pretend_it_is_installed()
        packages = sorted(file.parent.name for file in ROOT.glob("tests/*/__init__.py"))
        for package in packages:
            (self.folder / "tests" / package).mkdir(parents=True)
            (self.folder / "tests" / package / "__init__.py").touch()
        plan = self.make("-n", "test").stdout
        pages = "--exclude-tag browser --exclude-tag javascript"
        for part in (
            "--tag browser --tag javascript",
            f"--exclude-tag once {pages}",
            "--again",
        ):
            self.assertIn(f"manage.py test {part}\n", plan)
        once = re.findall(rf"manage.py test --tag once {pages} (.+)", plan)
        self.assertEqual(
            sorted(" ".join(once).split()), [f"tests.{package}" for package in packages]
        )
        self.assertEqual(ONCE, {"once", "browser", "javascript"})
