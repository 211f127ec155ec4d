"""The deployment without a container engine: compose file and content of the image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

import yaml
from django.test import tag

from tests import machine
from tests.servers import ROOT


@tag("once")
class ComposeTests(TestCase):
    required = re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text())

    def compose(self, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
        folder = Path(self.enterContext(TemporaryDirectory()))
        shutil.copy(ROOT / "docker-compose.yml", folder)
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return subprocess.run(
            [machine.docker_compose(), "config"],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_it_is_valid_once_every_required_variable_is_set(self) -> None:
        done = self.compose(dict.fromkeys(self.required, "/x"))
        self.assertEqual(0, done.returncode, done.stderr)
        services = yaml.safe_load(done.stdout)["services"]
        self.assertLessEqual(
            {"postgres", "redis", "objects", "migrate", "web", "ingest", "nginx"}, set(services)
        )

    def test_a_missing_required_variable_is_named(self) -> None:
        for name in self.required:
            with self.subTest(name):
                done = self.compose({other: "/x" for other in self.required if other != name})
                self.assertNotEqual(0, done.returncode)
                self.assertIn(name, done.stderr)

    def test_the_example_names_every_required_variable_and_no_secret(self) -> None:
        example = dict(
            line.split("=", 1)
            for line in (ROOT / ".env.example").read_text().splitlines()
            if re.match(r"\w+=", line)
        )
        self.assertLessEqual(set(self.required), set(example))
        self.assertEqual({"SITE": "tls"}, {name: value for name, value in example.items() if value})

    def test_the_settings_read_every_variable_that_compose_sets(self) -> None:
        given = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["x-acsmedia"][
            "environment"
        ]
        read = set(
            re.findall(r'env\.\w+\(\s*"(\w+)"', (ROOT / "acsmedia" / "settings.py").read_text())
        )
        self.assertLessEqual(set(given), read)


@tag("once")
class ImageTests(TestCase):
    def test_the_copied_files_are_enough_to_start(self) -> None:
        """Collects static files and checks the settings with only the files of the image."""
        app, data = (self.enterContext(TemporaryDirectory()) for _ in range(2))
        for name in re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(app) / name)
        environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": data,
            "SECRET_KEY": "k" * 50,
            "ACS_RESOURCE_ID": "resource",
        }
        for arguments in (["collectstatic", "--noinput", "--verbosity", "0"], ["check"]):
            done = subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=app,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(0, done.returncode, done.stderr)
        self.assertTrue((Path(app) / "staticfiles" / "staticfiles.json").exists())
