"""The ASGI application: lifespan, routing, and the import of the module."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from uuid import UUID

from asgiref.testing import ApplicationCommunicator
from channels.testing import HttpCommunicator
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import TransactionTestCase, override_settings, tag
from structlog.testing import capture_logs

from acsmedia import asgi
from acsmedia.asgi import Application
from acsmedia.monitoring import trials
from acsmedia.warmup import THRESHOLDS
from streams.acs.auth import HandshakeAuth
from streams.acs.jwks import KeySet
from tests.servers import ROOT
from tests.streams.media_sockets import MediaSocketTestCase
from tests.streams.streams import audio, records_in
from tests.streams.tokens import AUDIENCE, key_set


class LifespanTests(MediaSocketTestCase):
    def server(self) -> Any:
        communicator: Any = ApplicationCommunicator  # untyped
        return communicator(self.application, {"type": "lifespan", "asgi": {"version": "3.0"}})

    async def send(self, server: Any, event: str) -> dict[str, Any]:
        await server.send_input({"type": f"lifespan.{event}"})
        answer: dict[str, Any] = await server.receive_output(timeout=10)
        return answer

    def is_running(self) -> bool:
        return self.recorder._running is not None

    async def test_starts_and_stops_the_recorder(self) -> None:
        server = self.server()
        self.assertFalse(self.is_running())
        self.assertEqual(await self.send(server, "startup"), {"type": "lifespan.startup.complete"})
        self.assertTrue(self.is_running())
        self.assertEqual(
            await self.send(server, "shutdown"), {"type": "lifespan.shutdown.complete"}
        )
        await server.wait(timeout=10)
        self.assertFalse(self.is_running())

    async def test_fetches_the_keys_before_the_first_call(self) -> None:
        fetched = asyncio.Event()
        loop = asyncio.get_running_loop()

        def fetch() -> bytes:
            loop.call_soon_threadsafe(fetched.set)
            return key_set()

        self.application = Application(
            self.recorder, HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(fetch))
        )
        server = self.server()
        await self.send(server, "startup")
        async with asyncio.timeout(10):
            await fetched.wait()
        await self.send(server, "shutdown")

    async def test_startup_fails_if_nothing_can_be_recorded(self) -> None:
        self.spool.write_text("a file, no folder")
        server = self.server()
        answer = await self.send(server, "startup")
        self.assertEqual(answer["type"], "lifespan.startup.failed")
        self.assertIn("cannot record", answer["message"])
        await server.wait(timeout=10)

    async def test_closes_the_journals_of_sockets_that_are_still_open(self) -> None:
        server = self.server()
        await self.send(server, "startup")
        async with self.connected() as socket:
            await socket.send_to(text_data=audio())
            stream = self.stream()
            await self.received(stream, 1)
            await self.send(server, "shutdown")
            assert stream.closed
            self.assertEqual((stream.closed.code, stream.closed.reason), (None, "recorder stopped"))


class RoutingTests(MediaSocketTestCase):
    async def test_unknown_addresses_are_refused_before_accept(self) -> None:
        for path in (
            "/",
            "/ws",
            "/ws/",
            "/ws/acs/media/",
            "/ws/acs/media/x",
            "/ws/acs",
            "//",
            "/%00",
            "/healthz",
        ):
            with self.subTest(path):
                socket = self.socket(path=path)
                self.assertEqual(await socket.connect(timeout=10), (False, 4404))
                await socket.wait(timeout=10)
                self.assertEqual(
                    await self.answer(self.socket(path=path, supports_status=True)), 404
                )
        self.assertEqual(records_in(self.spool), [])

    async def test_a_wrong_path_is_logged_once_and_counted_as_a_refusal(self) -> None:
        call = [(b"x-ms-call-connection-id", b"the call")]
        with capture_logs() as lines:
            for headers in (call, call, []):
                socket = self.socket(headers, path="/ws/acs/media/")
                self.assertEqual(await socket.connect(timeout=10), (False, 4404))
        reasons = [line["reason"] for line in lines if line["event"] == "stream refused"]
        self.assertEqual(reasons, ["wrong path"])
        self.assertEqual(
            self.recorder.stats().refusals, {("wrong_path", True): 2, ("wrong_path", False): 1}
        )

    async def test_a_request_that_was_not_upgraded_is_logged(self) -> None:
        for path, pages, prefix in (
            ("/ws/acs/media", True, ""),
            ("/ws/acs/media/", False, ""),
            ("/acs/ws/acs/media", True, "/acs"),
            ("/ws/acs/media", True, "/acs"),
        ):
            application = Application(self.recorder, HandshakeAuth("off"), pages=pages)
            with capture_logs() as lines, override_settings(FORCE_SCRIPT_NAME=prefix):
                answer = await HttpCommunicator(application, "GET", path).get_response(timeout=10)
            self.assertEqual(answer["status"], 426)
            self.assertIn(b"Upgrade", answer["body"])
            reasons = [line["reason"] for line in lines if line["event"] == "stream refused"]
            self.assertEqual(reasons, ["not a WebSocket handshake"])
        self.assertEqual(self.recorder.stats().refusals, {("not_upgraded", False): 4})

    async def test_a_call_that_was_not_upgraded_counts_as_a_refusal_of_acs(self) -> None:
        headers = [(b"x-ms-call-connection-id", b"the call")]
        await HttpCommunicator(
            self.application, "GET", "/ws/acs/media", headers=headers
        ).get_response(timeout=10)
        stats = self.recorder.stats()
        self.assertEqual(stats.refusals, {("not_upgraded", True): 1})
        self.assertEqual(stats.handshakes["refused"], 1)

    async def test_browser_sockets_and_http_are_routed(self) -> None:
        self.assertEqual(
            await self.socket(path="/ws/live").connect(timeout=10),
            (False, 4403),
            "it sends no origin",
        )
        headers = [(b"host", b"localhost")]
        answer = await HttpCommunicator(
            self.application, "GET", "/healthz", headers=headers
        ).get_response(timeout=10)
        self.assertEqual(answer["status"], 200)

    async def test_the_first_connection_starts_the_recorder_if_the_server_did_not(self) -> None:
        self.assertIsNone(self.recorder._running)
        async with self.connected():
            self.assertIsNotNone(self.recorder._running)


class RoleTests(MediaSocketTestCase):
    """ROLE=web and ROLE=ingest; the role of all other tests is all."""

    async def get(self, path: str) -> int:
        headers = [(b"host", b"localhost")]
        communicator = HttpCommunicator(self.application, "GET", path, headers=headers)
        answer = await communicator.get_response(timeout=10)
        return int(answer["status"])

    async def test_a_web_process_refuses_media_sockets_and_says_so_once(self) -> None:
        with override_settings(ROLE="web"):
            self.application = asgi.build()
        with capture_logs() as lines:
            self.assertEqual(await self.answer(self.socket(supports_status=True)), 421)
            self.assertEqual(await self.socket().connect(timeout=10), (False, 4421))
        [line] = lines
        self.assertEqual(
            (line["event"], line["reason"]),
            ("stream refused", "this process does not record (ROLE=web)"),
        )
        self.assertEqual(await self.get("/login/"), 200)

    async def test_a_web_process_has_no_recorder_with_or_without_lifespan(self) -> None:
        with override_settings(ROLE="web", ACS_AUTH="jwt", ACS_RESOURCE_ID=""):
            self.application = asgi.build()
        self.assertIsNone(self.application._recorder)
        communicator: Any = ApplicationCommunicator  # untyped
        server = communicator(self.application, {"type": "lifespan", "asgi": {"version": "3.0"}})
        for event in ("startup", "shutdown"):
            await server.send_input({"type": f"lifespan.{event}"})
            self.assertEqual(
                await server.receive_output(timeout=10), {"type": f"lifespan.{event}.complete"}
            )

    async def test_a_web_process_refuses_other_mistakes_without_a_recorder(self) -> None:
        with override_settings(ROLE="web"):
            self.application = asgi.build()
        socket = self.socket(path="/ws/nowhere", supports_status=True)
        self.assertEqual(await self.answer(socket), 404)
        for method, has_body in (("GET", True), ("HEAD", False)):
            communicator = HttpCommunicator(self.application, method, "/ws/acs/media")
            answer = await communicator.get_response(timeout=10)
            self.assertEqual((answer["status"], bool(answer["body"])), (426, has_body))

    async def test_an_ingest_process_answers_probes_and_media_sockets_only(self) -> None:
        self.application = Application(self.recorder, HandshakeAuth("off"), pages=False)
        self.assertEqual(await self.get("/healthz"), 200)
        for path in ("/", "/login/", "/api/v1/calls/", "/static/calls/icon.svg", "/healthz/"):
            self.assertEqual(await self.get(path), 404, path)
        for path in ("/ws/live", f"/ws/listen/{UUID(int=0)}"):
            socket = self.socket(path=path, supports_status=True)
            self.assertEqual(await self.answer(socket), 404, path)
        async with self.connected():
            self.assertEqual(len(self.recorder._streams), 1)

    def test_the_role_decides_what_a_process_serves(self) -> None:
        for role, records, pages in (
            ("all", True, True),
            ("ingest", True, False),
            ("web", False, True),
        ):
            with (
                self.subTest(role),
                override_settings(ROLE=role),
                patch.object(asgi, "Application") as application,
            ):
                asgi.build()
                recorder, auth = application.call_args.args
                self.assertEqual((bool(recorder), bool(auth)), (records, records))
                self.assertEqual(application.call_args.kwargs, {"pages": pages})

    async def test_probes_of_an_ingest_process_come_with_the_prefix_or_without(self) -> None:
        self.application = Application(self.recorder, HandshakeAuth("off"), pages=False)
        with override_settings(FORCE_SCRIPT_NAME="/acs"):
            for path in ("/healthz", "/acs/healthz"):
                self.assertEqual(await self.get(path), 200, path)
            self.assertEqual(await self.get("/acs/login/"), 404)

    def test_serve_hands_its_role_to_the_server_and_to_the_checks(self) -> None:
        """The server reads ROLE from its environment. A web process needs no ACS_RESOURCE_ID."""
        wrong = {"ACS_AUTH": "jwt", "ACS_RESOURCE_ID": ""}
        with (
            override_settings(**wrong, ROLE="all"),
            patch.dict(os.environ, {"ROLE": ""}),
            patch("os.execv") as execv,
        ):
            with self.assertRaises(SystemCheckError):
                call_command("serve", role="ingest")
            execv.assert_not_called()
            call_command("serve", role="web", stderr=StringIO())
            execv.assert_called_once()
            self.assertEqual(os.environ["ROLE"], "web")


@tag("once")
class ModuleTests(TransactionTestCase):
    KIND_AND_THREADS = "type(a.application).__name__, threading.active_count()"

    def import_module(
        self, expressions: str = KIND_AND_THREADS, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Imports the module in a new process, as a server does, and prints `expressions`."""
        code = f"import acsmedia.asgi as a, gc, sys, threading; print({expressions})"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PATH": "", "SECRET_KEY": "k" * 50, "ACS_RESOURCE_ID": "r", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_builds_one_application_and_starts_its_recorder(self) -> None:
        with TemporaryDirectory() as folder:
            done = self.import_module(DATA_DIR=folder)
            self.assertEqual((done.returncode, done.stdout), (0, "Application 3\n"), done.stderr)
            self.assertEqual(
                [*Path(folder).glob("spool/*/*")], [], "it gives up its folder at exit"
            )

    def test_a_web_process_has_neither_recorder_nor_sealer_nor_probes_of_a_spool(self) -> None:
        probes = "'journal' in sys.modules['acsmedia.monitoring.health']._readiness._probes"
        with TemporaryDirectory() as folder:
            done = self.import_module(
                f"a.application._recorder, threading.active_count(), {probes}",
                DATA_DIR=folder,
                ROLE="web",
            )
            self.assertEqual((done.returncode, done.stdout), (0, "None 1 False\n"), done.stderr)
            self.assertFalse(Path(folder, "spool").exists())

    def test_has_imported_its_views_and_excludes_them_from_garbage_collection(self) -> None:
        with TemporaryDirectory() as folder:
            expressions = (
                "'calls.api.views' in sys.modules, gc.get_freeze_count() > 10_000, "
                "gc.get_threshold()"
            )
            done = self.import_module(expressions, DATA_DIR=folder)
            self.assertEqual(
                (done.returncode, done.stdout), (0, f"True True {THRESHOLDS}\n"), done.stderr
            )

    def test_does_not_start_without_authentication(self) -> None:
        with TemporaryDirectory() as folder:
            done = self.import_module(DATA_DIR=folder, ACS_AUTH="off")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ACS_AUTH=off", done.stderr)

    def test_does_not_start_without_write_access_and_names_the_variable(self) -> None:
        with TemporaryDirectory() as folder:
            file = Path(folder, "file")
            file.touch()
            done = self.import_module(DATA_DIR=str(file))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"DATA_DIR={file} cannot be written", done.stderr)

    def test_builds_from_the_settings(self) -> None:
        with (
            TemporaryDirectory() as folder,
            override_settings(SPOOL_DIR=Path(folder) / "spool", SEGMENT_SECONDS=3.0),
        ):
            built = asgi.build()
            assert built._recorder, "ROLE is all"
            assert built._auth, "ROLE is all"
            self.assertEqual(trials.keys._check, built._auth.check_keys, "readiness asks it")
            self.assertEqual(built._recorder._segment_seconds, 3.0)
        with (
            override_settings(ACS_AUTH="token", ACS_STREAM_TOKEN=""),
            self.assertRaises(ImproperlyConfigured),
        ):
            asgi.build()
