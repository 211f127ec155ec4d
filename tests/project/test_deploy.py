"""The deployment without a container engine: compose file, image content, and real nginx."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, OpenerDirector, Request, build_opener

import yaml
from django.test import tag
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests import machine
from tests.front_door import FrontDoor
from tests.servers import ROOT, STREAM_TOKEN, Server, answers, free_port

SEALED_SECONDS = 30.0
METADATA = {
    "kind": "AudioMetadata",
    "audioMetadata": {
        "subscriptionId": "s",
        "encoding": "PCM",
        "sampleRate": 16000,
        "channels": 1,
        "length": 640,
    },
}


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


@tag("once")
class NginxTests(TestCase):
    """Web on Daphne and ingest on uvicorn share a database; clients connect to nginx over TLS."""

    web: Server
    ingest: Server
    door: FrontDoor
    shared: dict[str, str]
    https: OpenerDirector

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        machine.nginx()
        folder = Path(cls.enterClassContext(TemporaryDirectory(prefix="acsmedia-deploy-")))
        shared = {
            "INSECURE_HTTP": "false",
            "DATABASE_URL": f"sqlite:///{folder / 'shared.sqlite3'}",
            "STATIC_ROOT": str(folder / "static"),
            "AUDIO_STORE": "database",
            "RECONNECT_GRACE_SECONDS": "0",
        }
        cls.web = Server("daphne", environment={**shared, "ROLE": "web"})
        cls.web.manage("migrate", "--verbosity", "0")
        cls.web.manage("collectstatic", "--noinput", "--verbosity", "0")
        cls.shared = shared = {**shared, "ROLE": "ingest"}
        cls.ingest = Server("uvicorn", environment=shared)
        cls.enterClassContext(cls.web)
        cls.enterClassContext(cls.ingest)
        cls.door = cls.enterClassContext(FrontDoor("tls", web=cls.web.port, ingest=cls.ingest.port))
        cls.https = build_opener(HTTPSHandler(context=cls.door.trust))

    def media_url(self, token: str) -> str:
        return f"wss://localhost:{self.door.https}/ws/acs/media?token={token}"

    def test_health_is_public_and_metrics_are_not(self) -> None:
        self.assertEqual(200, self.get("/healthz"))
        self.assertEqual(404, self.get("/metrics"))

    def test_plain_http_is_redirected_to_https(self) -> None:
        with self.assertRaises(HTTPError) as caught:
            build_opener(NoRedirect).open(f"http://localhost:{self.door.http}/calls/")
        with caught.exception as answer:
            self.assertEqual(
                (301, "https://localhost/calls/"), (answer.code, answer.headers["Location"])
            )

    def test_a_page_over_tls_leads_to_the_login_and_sends_hsts(self) -> None:
        with self.https.open(f"https://localhost:{self.door.https}/") as answer:
            self.assertIn("/login/", answer.url)
            self.assertTrue(answer.headers["Strict-Transport-Security"])
            page = answer.read().decode()
        static = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        self.assertTrue(static, page)
        for path in static:
            self.assertEqual(200, self.get(path), path)

    def test_a_call_is_recorded_and_found_by_rest(self) -> None:
        key = self.operator_key()
        asyncio.run(
            stream(
                self.media_url(STREAM_TOKEN),
                self.door.trust,
                {"x-ms-call-connection-id": "through-nginx"},
            )
        )
        request = Request(
            f"https://localhost:{self.door.https}/api/v1/calls/?call_connection_id=through-nginx"
        )
        request.add_header("Authorization", f"Token {key}")
        deadline = time.monotonic() + SEALED_SECONDS
        found: list[Any] = []
        while not found and time.monotonic() < deadline:
            with self.https.open(request) as answer:
                found = json.load(answer)["results"]
            time.sleep(0.1)
        self.assertEqual(
            ["through-nginx"], [call["call_connection_id"] for call in found], self.ingest.log
        )

    def test_a_dashboard_gets_its_snapshot_and_another_origin_does_not(self) -> None:
        origin = f"https://localhost:{self.door.https}"
        script = (
            "from tests.people import person; from django.test import Client; client = Client();"
            "client.force_login(person('watcher')); print(client.cookies['sessionid'].value)"
        )
        cookie = {
            "Cookie": f"sessionid={self.web.manage('shell', '--command', script).split()[-1]}"
        }
        first = asyncio.run(
            first_message(f"{origin}/ws/live", self.door.trust, {**cookie, "Origin": origin})
        )
        self.assertEqual("snapshot", json.loads(first)["type"])
        with self.assertRaises(InvalidStatus):
            asyncio.run(
                first_message(
                    f"{origin}/ws/live", self.door.trust, {**cookie, "Origin": "https://b.example"}
                )
            )

    def test_no_call_is_refused_while_one_of_two_ingest_processes_restarts(self) -> None:
        second = Server("uvicorn", environment=self.shared)
        refused: list[int] = []

        async def call() -> None:
            url = f"wss://localhost:{door.https}/ws/acs/media?token={STREAM_TOKEN}"
            try:
                await stream(url, door.trust, {})
            except InvalidStatus as error:
                refused.append(error.response.status_code)

        async def keep_calling(stopping: threading.Event) -> int:
            count = 0
            while not stopping.is_set():
                await call()
                count += 1
            return count

        stopping = threading.Event()
        ports = [self.ingest.port, second.port]
        with (
            second,
            FrontDoor("tls", web=self.web.port, ingest=ports) as door,
            ThreadPoolExecutor() as threads,
        ):
            calls = threads.submit(lambda: asyncio.run(keep_calling(stopping)))
            second.terminate()
            time.sleep(0.5)
            second.start()
            time.sleep(0.5)
            stopping.set()
            self.assertGreater(calls.result(), 20)
            second.terminate()
        self.assertEqual(refused, [])

    def test_the_wrong_token_is_refused(self) -> None:
        with self.assertRaises(InvalidStatus) as caught:
            asyncio.run(stream(self.media_url("a-guess"), self.door.trust, {}))
        self.assertEqual(403, caught.exception.response.status_code)

    def test_the_stream_token_is_in_no_log(self) -> None:
        asyncio.run(stream(self.media_url(STREAM_TOKEN), self.door.trust, {}))
        asyncio.run(stream(self.ingest.media_url, None, {}))
        with self.assertRaises(InvalidStatus):
            asyncio.run(stream(self.web.media_url, None, {}))
        # no process behind this one
        with FrontDoor("tls", web=free_port(), ingest=free_port()) as door:
            address = f"wss://localhost:{door.https}/ws/acs/media?token={STREAM_TOKEN}"
            with self.assertRaises(InvalidStatus) as caught:
                asyncio.run(stream(address, door.trust, {}))
            self.assertEqual(502, caught.exception.response.status_code)
            refused_log = door.log
        self.assertIn("/ws/acs/media", self.door.log + refused_log)
        for log in (self.door.log, refused_log, self.ingest.log, self.web.log):
            self.assertNotIn(STREAM_TOKEN, log)

    def test_each_process_serves_its_role_only(self) -> None:
        with self.assertRaises(InvalidStatus) as refused:
            asyncio.run(stream(self.web.media_url, None, {}))
        self.assertEqual(refused.exception.response.status_code, 403, "Daphne has no other")
        self.assertIn("this process does not record (ROLE=web)", self.web.log)
        self.assertFalse((self.web.data_dir / "spool").exists())
        self.assertTrue(answers(self.ingest.port, "/readyz"))
        self.assertFalse(answers(self.ingest.port, "/login/"))

    def test_behind_a_load_balancer_its_header_decides_on_tls(self) -> None:
        with FrontDoor("behind-proxy", web=self.web.port, ingest=self.ingest.port) as door:
            opener = build_opener(NoRedirect)
            with self.assertRaises(HTTPError) as caught:
                opener.open(f"http://localhost:{door.http}/")
            with caught.exception as answer:
                self.assertEqual(301, answer.code)
            secure = Request(
                f"http://localhost:{door.http}/login/", headers={"X-Forwarded-Proto": "https"}
            )
            with opener.open(secure) as page:
                self.assertEqual(200, page.status)

    def get(self, path: str) -> int:
        try:
            with self.https.open(f"https://localhost:{self.door.https}{path}") as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def operator_key(self) -> str:
        script = (
            "from django.contrib.auth.models import User; User.objects.create_superuser('rest')"
        )
        self.web.manage("shell", "--command", script)
        return self.web.manage("drf_create_token", "rest").split()[2]


class NoRedirect(HTTPSHandler):
    """Makes urllib report a redirect instead of following it."""

    handler_order = 100  # before the handler that follows redirects

    def http_error_301(
        self, request: Request, answer: Any, code: int, message: str, headers: Any
    ) -> None:
        raise HTTPError(request.full_url, code, message, headers, answer)


async def stream(url: str, trust: ssl.SSLContext | None, headers: dict[str, str]) -> None:
    """Connects as ACS does, sends metadata and one packet, and closes the socket."""
    packet = {
        "timestamp": "2026-01-01T00:00:00Z",
        "participantRawID": "4:+15551230000",
        "data": "AAAA",
    }
    async with connect(url, ssl=trust, additional_headers=headers, proxy=None) as socket:
        await socket.send(json.dumps(METADATA))
        await socket.send(json.dumps({"kind": "AudioData", "audioData": packet}))


async def first_message(url: str, trust: ssl.SSLContext, headers: dict[str, str]) -> str:
    """Connects as a dashboard does and returns the first message."""
    address = url.replace("https://", "wss://")
    async with connect(address, ssl=trust, additional_headers=headers, proxy=None) as socket:
        return str(await asyncio.wait_for(socket.recv(), 20))
