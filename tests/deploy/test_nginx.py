"""Real nginx with the deployment's configuration, in front of real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPSHandler, OpenerDirector, Request, build_opener

from django.test import tag
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests import machine
from tests.front_door import FrontDoor
from tests.servers import STREAM_TOKEN, Server, answers, free_port, migrated_database
from tests.streams.acs.webhooks.samples import grid_event
from tests.waiting import PATIENCE_SECONDS

SEALED_SECONDS = 30.0
HANDSHAKE_SECONDS = 6.0
"""`proxy_read_timeout` of media sockets in deploy/nginx/locations.conf."""

EVENTS_TOKEN = "a secret of Event Grid"

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
        database = folder / "shared.sqlite3"
        database.write_bytes(migrated_database())
        shared = {
            "INSECURE_HTTP": "false",
            "DATABASE_URL": f"sqlite:///{database}",
            "STATIC_ROOT": str(folder / "static"),
            "AUDIO_STORE": "database",
            "RECONNECT_GRACE_SECONDS": "0",
            "ACS_EVENTS_TOKEN": EVENTS_TOKEN,
        }
        cls.web = Server("daphne", environment={**shared, "ROLE": "web"})
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
            self.assertEqual(refused, [])
            asyncio.run(self.check_hung(second, door))

    async def check_hung(self, second: Server, door: FrontDoor) -> None:
        """Another process takes the calls of one that hangs, and idle sockets stay open."""
        url = f"wss://localhost:{door.https}/ws/acs/media?token={STREAM_TOKEN}"
        os.kill(second.pid, signal.SIGSTOP)
        try:
            async with connect(url, ssl=door.trust, proxy=None, ping_interval=None) as idle:
                started = time.monotonic()
                async with asyncio.timeout(4 * HANDSHAKE_SECONDS), asyncio.TaskGroup() as calls:
                    for _call in range(6):  # half of them go to the one that hangs
                        calls.create_task(stream(url, door.trust, {}))
                self.assertGreater(time.monotonic() - started, HANDSHAKE_SECONDS - 1)
                await asyncio.sleep(started + 2 * HANDSHAKE_SECONDS - time.monotonic())
                await asyncio.wait_for(await idle.ping(), PATIENCE_SECONDS)
        finally:
            os.kill(second.pid, signal.SIGCONT)

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

    def report(self, door: FrontDoor, query: str, size: int = 0) -> int:
        """Sends an event of Event Grid, with spaces up to `size` bytes; returns the status."""
        body = json.dumps([grid_event("CallStarted")]).encode()
        request = Request(
            f"https://localhost:{door.https}/webhooks/acs/events?{query}",
            body.ljust(size),
            {"Content-Type": "application/json"},
        )
        opener = build_opener(HTTPSHandler(context=door.trust))
        try:
            with opener.open(request) as answer:
                status: int = answer.status
                return status
        except HTTPError as error:
            with error:
                return error.code

    def test_events_reach_web_and_their_secret_no_log(self) -> None:
        secret = f"token={quote(EVENTS_TOKEN)}"
        self.assertEqual(self.report(self.door, secret), 200)
        self.assertEqual(self.report(self.door, secret, 1024 * 1024), 200)
        self.assertEqual(self.report(self.door, secret, 1024 * 1024 + 1), 413)
        self.assertEqual(self.report(self.door, "token=a-guess"), 403)
        self.assertEqual(self.report(self.door, ""), 401)
        self.assertFalse(answers(self.ingest.port, "/webhooks/acs/events"))
        with FrontDoor("tls", web=free_port(), ingest=free_port()) as door:  # no process behind it
            self.assertEqual(self.report(door, secret), 502)
            refused_log = door.log
        self.assertIn("/webhooks/acs/events", self.door.log + refused_log)
        for log in (self.door.log, refused_log, self.web.log):
            self.assertNotIn(EVENTS_TOKEN, log)
            self.assertNotIn(quote(EVENTS_TOKEN), log)

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
