"""Clients that read slowly: the memory of a server stays flat, and others are answered."""

from __future__ import annotations

import socket
import time
from typing import ClassVar
from unittest import TestCase
from urllib.request import Request, build_opener

import psutil
from django.test import tag

from tests.servers import Server

LONG_CALL = """
from tests.calls.rows import make_call, make_participant, make_segment, tone, url_of
from tests.people import person
from rest_framework.authtoken.models import Token
call = make_call()
voice = make_participant(call)
for hour in range(8):
    make_segment(voice, at=3600.0 * hour, samples=tone(0.1))
print(Token.objects.create(user=person("engineer")).key, url_of(call, "audio"))
"""
"""A WAV of 800 MB, nearly all of it digital silence, which costs nothing to compute."""

CLIENTS = 5
MOST_BYTES = 80_000_000
"""Growth of the server. Without backpressure it reaches this within a second."""


class _SlowClients:
    @tag("once")
    class Tests(TestCase):
        kind: ClassVar[str]
        server: ClassVar[Server]
        asked: ClassVar[list[str]]
        """Token and path."""

        @classmethod
        def setUpClass(cls) -> None:
            super().setUpClass()
            cls.server = cls.enterClassContext(Server(cls.kind))
            cls.asked = cls.server.manage("shell", "--command", LONG_CALL).split()[-2:]

        def test_memory_stays_flat_and_others_are_answered(self) -> None:
            server, (key, path) = self.server, self.asked
            process = psutil.Process(server.pid)
            self.ask(server, key, path, 1000)  # allocates what an export needs
            before = process.memory_info().rss
            clients = [self.open(server, key, path) for _ in range(CLIENTS)]
            for client in clients:
                self.addCleanup(client.close)
            most = 0
            for _ in range(30):
                for client in clients:
                    self.assertTrue(client.recv(4096))
                most = max(most, process.memory_info().rss - before)
                time.sleep(0.1)
            self.assertLess(most, MOST_BYTES)
            self.assertEqual(len(self.ask(server, key, path, 1000)), 1000)
            for client in clients:
                client.close()
            # Their exports end: the threads are free for the next ones.
            for _ in range(CLIENTS):
                self.assertEqual(len(self.ask(server, key, path, 1000)), 1000)
            self.assertNotIn("Traceback", server.log)

        def test_a_client_that_goes_on_gets_everything(self) -> None:
            server, (key, path) = self.server, self.asked
            client = self.open(server, key, path, last=30_000_000)
            time.sleep(1.0)
            received = 0
            while piece := client.recv(1 << 20):
                received += len(piece)
            client.close()
            self.assertGreater(received, 30_000_000)

        def open(
            self, server: Server, key: str, path: str, last: int | None = None
        ) -> socket.socket:
            """Returns a client with a small buffer that has asked for the file."""
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            client.settimeout(20)
            client.connect(("127.0.0.1", server.port))
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {key}\r\n"
            if last is not None:
                head += f"Range: bytes=0-{last}\r\n"
            client.sendall(f"{head}Connection: close\r\n\r\n".encode())
            return client

        def ask(self, server: Server, key: str, path: str, count: int) -> bytes:
            headers = {"Authorization": f"Token {key}", "Range": f"bytes=0-{count - 1}"}
            request = Request(server.url + path, headers=headers)  # noqa: S310 - our own
            with build_opener().open(request, timeout=20) as answer:
                content: bytes = answer.read()
            return content


class DaphneTests(_SlowClients.Tests):
    kind = "daphne"


class UvicornTests(_SlowClients.Tests):
    kind = "uvicorn"
