"""The deployment without a container engine: compose file and content of the image."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any
from unittest import TestCase

import yaml
from django.test import tag

from streams.management.commands.canary import Command
from tests import machine
from tests.servers import ROOT

COMPOSE = ROOT / "docker-compose.yml"
SERVED = ("web", "ingest", "migrate", "canary")
NOT_PASSED_ON = {
    "DATA_DIR": "the volume is mounted at /data",
    "HOST": "of the container",
    "PORT": "of the container: nginx expects it",
    "SERVER": "web and ingest differ",
    "ROLE": "web and ingest differ",
    "OPERATOR_PASSWORD": "of make run",
}
"""Variables of the README that compose decides itself, with the reason."""

SECRETS = ("SECRET_KEY", "ACS_STREAM_TOKEN", "S3_SECRET_ACCESS_KEY", "DATABASE_PASSWORD")


def variables_of_the_readme() -> set[str]:
    """Returns the names in the first column of the table."""
    readme = (ROOT / "README.md").read_text()
    table = readme.split("## Environment variables", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)
    return set(re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(cells)))


class UniqueKeys(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, as docker compose does; PyYAML takes the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys = [key.value for key, _value in node.value]
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise yaml.MarkedYAMLError(problem=f"twice: {repeated}", problem_mark=node.start_mark)
        return node


@tag("once")
class ComposeTests(TestCase):
    required = re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())

    def compose(self, values: dict[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
        folder = Path(self.enterContext(TemporaryDirectory()))
        (folder / "docker-compose.yml").write_text(text or COMPOSE.read_text())
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return subprocess.run(
            [machine.docker_compose(), "config"],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def services(self, text: str = "", **values: str) -> dict[str, Any]:
        """Returns the services of a valid file, with `values` in .env."""
        done = self.compose({**dict.fromkeys(self.required, "/x"), **values}, text)
        self.assertEqual(0, done.returncode, done.stderr)
        services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
        return services

    def environment_of(self, service: dict[str, Any]) -> dict[str, str]:
        """Returns the variables that its container gets: those with a value."""
        return {name: value for name, value in service["environment"].items() if value is not None}

    def test_it_is_valid_once_every_required_variable_is_set(self) -> None:
        services = self.services()
        self.assertLessEqual(
            {"postgres", "redis", "objects", "migrate", "web", "ingest", "nginx"}, set(services)
        )
        for role in ("web", "ingest"):
            self.assertEqual(services[role]["command"][:3], ["serve", "--role", role])

    def test_no_key_is_given_twice(self) -> None:
        """`docker compose` of today refuses such a file; docker-compose 1 does not."""
        with self.assertRaisesRegex(yaml.YAMLError, "twice: {'b'}"):
            yaml.load("a: {b: 1, c: {d: 2}, b: 3}", UniqueKeys)  # noqa: S506 - a safe loader
        for name in ("docker-compose.yml", ".pre-commit-config.yaml"):
            with self.subTest(name):
                parts = yaml.load((ROOT / name).read_text(), UniqueKeys)  # noqa: S506
                self.assertTrue(parts)

    def test_canary_calls_are_placed_only_if_their_profile_is_on(self) -> None:
        self.assertNotIn("COMPOSE_PROFILES=canary", self.lines_of_the_example())
        self.assertIn("# COMPOSE_PROFILES=canary", self.lines_of_the_example())
        values = {"DOMAIN": "calls.example.com", "SSL_CERT_FILE": "/run/secrets/authorities.pem"}
        services = self.services(COMPOSE_PROFILES="canary", ACS_STREAM_TOKEN="secret", **values)
        canary = services["canary"]
        self.assertEqual(canary["profiles"], ["canary"])
        for name in ("DOMAIN", "SSL_CERT_FILE", "ACS_STREAM_TOKEN", "DATABASE_URL"):
            given = self.environment_of(canary)[name]
            self.assertEqual(given, self.environment_of(services["ingest"])[name])
        self.assertEqual(canary["command"], ["canary", "--every", "5m"])
        parser = Command().create_parser("manage.py", "canary")
        options = parser.parse_args(canary["command"][1:])
        longest = options.seconds + options.wait
        stopped_after = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", canary["stop_grace_period"])
        assert stopped_after
        minutes, seconds = (int(one or 0) for one in stopped_after.groups())
        self.assertGreater(minutes * 60 + seconds, longest + 20, "a run is finished")

    def lines_of_the_example(self) -> list[str]:
        return (ROOT / ".env.example").read_text().splitlines()

    def test_it_is_valid_without_its_object_storage(self) -> None:
        parts = yaml.safe_load(COMPOSE.read_text())
        for name in ("objects", "bucket"):
            del parts["services"][name]
        self.assertNotIn("objects", self.services(yaml.safe_dump(parts)))
        services = self.services(MINIO="0")
        self.assertEqual([services[name]["scale"] for name in ("objects", "bucket")], [0, 0])

    def test_a_missing_required_variable_is_named(self) -> None:
        for name in self.required:
            with self.subTest(name):
                done = self.compose({other: "/x" for other in self.required if other != name})
                self.assertNotEqual(0, done.returncode)
                self.assertIn(name, done.stderr)

    def test_the_example_names_every_required_variable_and_no_secret(self) -> None:
        example = dict(
            line.split("=", 1) for line in self.lines_of_the_example() if re.match(r"\w+=", line)
        )
        self.assertLessEqual(set(self.required), set(example))
        self.assertEqual(
            {"SITE": "tls", "MINIO": "1", "S3_ACCESS_KEY_ID": "acsmedia"},
            {name: value for name, value in example.items() if value},
        )

    def test_every_variable_of_the_readme_reaches_the_containers(self) -> None:
        variables = variables_of_the_readme()
        self.assertGreater(len(variables), 40)
        self.assertLessEqual(set(NOT_PASSED_ON), variables)
        values = {name: f"value-of-{name}" for name in variables - set(NOT_PASSED_ON)}
        values["POSTGRES_PASSWORD"] = values["DATABASE_PASSWORD"]
        services = self.services(**values)
        for name in SERVED:
            given = self.environment_of(services[name])
            with self.subTest(name):
                missing = {one for one in values if given.get(one) != values[one]}
                self.assertEqual(missing - {"POSTGRES_PASSWORD"}, set())

    def test_an_unset_variable_has_the_default_of_the_settings(self) -> None:
        given = self.environment_of(self.services()["ingest"])
        self.assertEqual(
            {name for name, value in given.items() if value},
            {"DOMAIN", "TRUSTED_PROXIES", "DATABASE_URL", "REDIS_URL", "AUDIO_STORE"}
            | {"S3_BUCKET", "S3_ENDPOINT_URL", "S3_REGION"},
        )

    def test_secrets_may_be_files_instead(self) -> None:
        folder = Path(self.enterContext(TemporaryDirectory()))
        values = {"POSTGRES_PASSWORD_FILE": str(folder / "DATABASE_PASSWORD")}
        for name in SECRETS:
            (folder / name).write_text(f"{name} from a file: @/#%\n")
            values[f"{name}_FILE"] = str(folder / name)
        services = self.services(**values)
        shown = (
            "import json; from acsmedia import settings as s; print(json.dumps(["
            "s.SECRET_KEY, s.ACS_STREAM_TOKEN, s.STORAGES['audio']['OPTIONS']['secret_key'],"
            "s.DATABASES['default']['PASSWORD'], s.ALLOWED_HOSTS, s.CSRF_TRUSTED_ORIGINS]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", shown],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self.environment_of(services["ingest"])}
            | {"DOMAIN": "calls.example.com"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            json.loads(done.stdout),
            [
                *(f"{name} from a file: @/#%" for name in SECRETS),
                ["calls.example.com"],
                ["https://calls.example.com"],
            ],
        )
        for name in (*SERVED, "postgres", "redis", "bucket"):
            self.assertTrue(
                any(":/run/secrets:ro" in volume for volume in services[name]["volumes"]), name
            )

    def test_object_storage_without_a_password_is_refused_by_minio(self) -> None:
        """An empty one would be replaced by minioadmin. `.env` of older versions has none."""
        for values in ({}, {"MINIO_ROOT_PASSWORD": ""}):
            given = self.environment_of(self.services(**values)["objects"])["MINIO_ROOT_PASSWORD"]
            self.assertLess(0, len(given))
            self.assertLess(len(given), 8, "the shortest that MinIO takes")

    def test_the_application_does_not_have_the_administrator_of_the_storage(self) -> None:
        services = self.services(MINIO_ROOT_PASSWORD="of-the-administrator")
        for name, service in services.items():
            with self.subTest(name):
                has_it = "of-the-administrator" in str(service)
                self.assertEqual(has_it, name in {"objects", "bucket"})


@tag("once")
class ScriptTests(TestCase):
    """The scripts of services, with fake programs that record their arguments and input."""

    def run_script(
        self, script: str, *arguments: str, **values: str
    ) -> tuple[subprocess.CompletedProcess[str], str]:
        """Runs a script of deploy/; returns it and what it called."""
        folder = Path(self.enterContext(TemporaryDirectory()))
        for program, body in FAKES.items():
            fake = folder / program
            fake.write_text(f'#!/bin/sh\necho "{program} $*" >> "$CALLS"\n{body}\n')
            fake.chmod(0o755)
        calls = folder / "calls"
        done = subprocess.run(
            ["sh", str(ROOT / "deploy" / script), *arguments],
            env={"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), **values},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, calls.read_text() if calls.exists() else ""

    def test_the_bucket_gets_a_key_that_may_use_this_bucket_only(self) -> None:
        root = {"MINIO_ROOT_USER": "root", "MINIO_ROOT_PASSWORD": "secret-of-root"}
        key = {"S3_ACCESS_KEY_ID": "acsmedia", "S3_SECRET_ACCESS_KEY": "secret-of-acsmedia"}
        done, calls = self.run_script("minio/bucket.sh", S3_BUCKET="calls", **root, **key)
        self.assertEqual(done.returncode, 0, done.stderr)
        for call in (
            "mc alias set objects http://objects:9000 root secret-of-root",
            "mc mb --ignore-existing objects/calls",
            "mc admin user add objects acsmedia secret-of-acsmedia",
            "mc admin policy attach objects acsmedia --user acsmedia",
        ):
            self.assertIn(f"{call}\n", calls)
        policy = json.loads(done.stdout)
        allowed = {
            (action, resource)
            for statement in policy["Statement"]
            for action in statement["Action"]
            for resource in statement["Resource"]
        }
        objects = {("s3:" + name, "arn:aws:s3:::calls/*") for name in ("PutObject", "GetObject")}
        objects.add(("s3:DeleteObject", "arn:aws:s3:::calls/*"))
        self.assertEqual(allowed, objects | {("s3:ListBucket", "arn:aws:s3:::calls")})

    def test_the_bucket_needs_a_key(self) -> None:
        done, calls = self.run_script("minio/bucket.sh", S3_BUCKET="calls")
        self.assertEqual((done.returncode, calls), (1, ""))
        self.assertIn("S3_SECRET_ACCESS_KEY", done.stderr)

    def test_redis_gets_its_password_in_its_configuration(self) -> None:
        done, calls = self.run_script("redis/redis.sh", "serve", REDIS_PASSWORD='a"b\\c d')
        self.assertEqual((done.returncode, calls), (0, "redis-server -\n"), done.stderr)
        self.assertIn('requirepass "a\\"b\\\\c d"\n', done.stdout)
        done, calls = self.run_script("redis/redis.sh", "serve")
        self.assertEqual((done.returncode, calls), (1, ""))
        self.assertIn("REDIS_PASSWORD", done.stderr)

    def test_redis_is_healthy_if_it_answers_to_the_password(self) -> None:
        with NamedTemporaryFile("w") as file:
            file.write("right\n")
            file.flush()
            for name, code in ((file.name, 0), (os.devnull, 1)):
                done, _calls = self.run_script("redis/redis.sh", "ping", REDIS_PASSWORD_FILE=name)
                self.assertEqual(done.returncode, code)


FAKES = {
    # prints the policy that it is given
    "mc": 'case "$*" in *"policy create"*) cat "$6" ;; esac',
    "redis-server": "cat",
    "redis-cli": '[ "$REDISCLI_AUTH" = right ] && echo PONG || echo NOAUTH',
}


@tag("once")
class ImageTests(TestCase):
    def test_the_sdk_that_answers_calls_is_installed_if_it_is_asked_for(self) -> None:
        dockerfile = (ROOT / "Dockerfile").read_text()
        default = re.search(r"^ARG ANSWERING=(.*)$", dockerfile, re.MULTILINE)
        step = re.search(r"^RUN (.*ANSWERING.*)$", dockerfile, re.MULTILINE)
        assert default, dockerfile
        assert step, dockerfile
        for value, installs in ((default[1], False), ("true", True), ("", False)):
            done = subprocess.run(
                ["sh", "-ec", f"pip() {{ echo $*; }}; {step[1]}"],
                env={"PATH": os.environ["PATH"], "ANSWERING": value},
                capture_output=True,
                text=True,
                check=True,
            )
            expected = "install --requirement requirements-answer.txt\n" if installs else ""
            self.assertEqual(done.stdout, expected)
        self.assertIn("!requirements-answer.txt\n", (ROOT / ".dockerignore").read_text())
        build = yaml.safe_load(COMPOSE.read_text())["services"]["web"]["build"]
        self.assertEqual(build["args"], {"ANSWERING": "${ANSWERING:-false}"})

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
