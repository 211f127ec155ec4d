"""acsmedia below /acs/, through real nginx: every link, file and socket of every page."""

from __future__ import annotations

import asyncio
import json
import re
import unittest
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from django.test import tag
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests import machine
from tests.deploy.test_nginx import stream
from tests.front_door import FrontDoor
from tests.servers import ROOT, STREAM_TOKEN, Server
from tests.waiting import PATIENCE_SECONDS, wait_until

PREFIX = "/acs"
LOGIN = (
    "from tests.people import person; from django.test import Client; client = Client();"
    "client.force_login(person('walker', is_superuser=True, is_staff=True));"
    "print(client.cookies['sessionid'].value)"
)
ADDRESSES = {"href", "src", "action", "poster", "formaction"}
LEFT_OUT = re.compile(r"/(ws|logout|admin/logout|delete|audio|history|jsi18n)\b|[?&](download|e)=")
"""Not followed: sockets, and addresses that end the session, delete, or send recordings."""

PAGES = 120


class Addresses(HTMLParser):
    """Collects all addresses on this host that a page names, also in data attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_local = (value or "").startswith("/")
            is_address = name in ADDRESSES or (name.startswith("data-") and is_local)
            if value and is_address and not re.match(r"[a-z]+:|#|//", value):
                self.found.add(urldefrag(urljoin(self._page, value)).url)


@tag("once")
class PrefixTests(unittest.TestCase):
    server: Server
    door: FrontDoor
    session: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        machine.nginx()
        quick = {"RECONNECT_GRACE_SECONDS": "0", "AUDIO_STORE": "database"}
        cls.server = Server("daphne", environment={"FORCE_SCRIPT_NAME": PREFIX, **quick})
        cls.enterClassContext(cls.server)
        cls.session = cls.server.manage("shell", "--command", LOGIN).split()[-1]
        lines = ("rewrite ^/acs$", "rewrite ^/acs/")
        cls.door = cls.enterClassContext(
            FrontDoor(
                "behind-proxy",
                web=cls.server.port,
                ingest=cls.server.port,
                replace={f"# {line}": line for line in lines},
            )
        )

    def get(self, path: str) -> tuple[int, str, str, str]:
        """Returns status, content type, Location and body."""
        connection = HTTPConnection("localhost", self.door.http, timeout=30)
        try:
            connection.request("GET", path, headers={"Cookie": f"sessionid={self.session}"})
            answer = connection.getresponse()
            head = answer.headers
            body = answer.read().decode(errors="replace")
            return answer.status, head["Content-Type"] or "", head["Location"] or "", body
        finally:
            connection.close()

    def test_every_page_leads_to_pages_below_the_prefix(self) -> None:
        call = self.recorded_call()
        waiting = [f"{PREFIX}/", f"{PREFIX}/calls/{call}/", f"{PREFIX}/admin/"]
        seen: dict[str, str] = {}
        while waiting and len(seen) < PAGES:
            path = waiting.pop(0)
            if path in seen or LEFT_OUT.search(path):
                continue
            status, content_type, location, body = self.get(path)
            seen[path] = content_type.partition(";")[0]
            if status != 405:  # POST only
                self.assertLess(status, 400, path)
            if location:
                target = urlsplit(location).path
                self.assertTrue(target.startswith(f"{PREFIX}/"), f"{path} leads to {location}")
            if seen[path] != "text/html":
                continue
            page = Addresses(path)
            page.feed(body)
            for address in sorted(page.found):
                self.assertTrue(address.startswith(f"{PREFIX}/"), f"{path} names {address}")
                if "CALL" not in address:
                    waiting.append(address)
        kinds = {kind: list(seen.values()).count(kind) for kind in set(seen.values())}
        self.assertGreater(kinds["text/html"], 15, seen)
        self.assertGreater(kinds["text/javascript"], 5, seen)
        self.assertGreater(kinds["text/css"], 5, seen)

    def recorded_call(self) -> str:
        """Records a call through the prefix; returns its id once it has segments."""
        url = f"ws://localhost:{self.door.http}{PREFIX}/ws/acs/media?token={STREAM_TOKEN}"
        asyncio.run(stream(url, None, {"x-ms-call-connection-id": "below"}))
        path = f"{PREFIX}/api/v1/calls/?call_connection_id=below"

        def found() -> list[Any]:
            results: list[Any] = json.loads(self.get(path)[3])["results"]
            return results if results and results[0]["state"] == "ended" else []

        return str(wait_until(found, what=lambda: self.server.log[-2000:])[0]["id"])

    def test_the_dashboard_has_its_socket_and_rest_its_addresses(self) -> None:
        origin = f"http://localhost:{self.door.http}"
        headers = {"Cookie": f"sessionid={self.session}", "Origin": origin}

        async def first_message(path: str) -> str:
            address = f"ws://localhost:{self.door.http}{path}"
            async with connect(address, additional_headers=headers, proxy=None) as socket:
                return str(await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS))

        first = asyncio.run(first_message(f"{PREFIX}/ws/live"))
        self.assertEqual(json.loads(first)["type"], "snapshot")
        with self.assertRaises(InvalidStatus):
            asyncio.run(first_message(f"{PREFIX}/ws/nowhere"))
        schema = json.loads(self.get(f"{PREFIX}/api/schema/?format=json")[3])
        self.assertEqual(schema["servers"], [{"url": PREFIX}])
        self.assertTrue(all(path.startswith("/api/") for path in schema["paths"]))

    def test_probes_and_logins_work(self) -> None:
        self.assertEqual(self.get(f"{PREFIX}/healthz")[0], 200)
        self.assertEqual(self.get(f"{PREFIX}/metrics")[0], 404)
        self.assertEqual(self.get(PREFIX)[0], 301)
        connection = HTTPConnection("localhost", self.door.http, timeout=30)
        connection.request("GET", f"{PREFIX}/calls/?q=x")
        answer = connection.getresponse()
        self.assertEqual(
            (answer.status, answer.headers["Location"]),
            (302, f"{PREFIX}/login/?next={PREFIX}/calls/%3Fq%3Dx"),
        )
        connection.close()

    def test_events_reach_their_addresses(self) -> None:
        for name in ("callbacks", "events"):
            connection = HTTPConnection("localhost", self.door.http, timeout=30)
            connection.request("POST", f"{PREFIX}/webhooks/acs/{name}", body=b"[]")
            answer = connection.getresponse()
            self.assertEqual(answer.status, 403)
            self.assertIn("no credentials are configured", answer.read().decode())
            connection.close()


class JavaScriptTests(unittest.TestCase):
    def test_no_module_names_an_address_of_its_own(self) -> None:
        """Addresses come from the page, which knows the prefix."""
        absolute = re.compile(r"""["'`(]/(?:api|ws|calls|static|admin|login|logout|password)\b""")
        for path in sorted((ROOT / "calls" / "static").rglob("*.js")):
            with self.subTest(path.name):
                self.assertEqual(absolute.findall(path.read_text()), [])
