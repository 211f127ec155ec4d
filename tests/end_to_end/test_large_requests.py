"""Requests that are too large are refused on both servers, and cost neither memory nor disk."""

from __future__ import annotations

import socket
from typing import ClassVar
from unittest import TestCase

import psutil
from django.test import tag

from acsmedia.servers.request_limits import MAX_BODY_BYTES
from tests.servers import Server

MOST_BYTES = 20_000_000


class _LargeRequests:
    @tag("once")
    class Tests(TestCase):
        kind: ClassVar[str]
        server: ClassVar[Server]

        @classmethod
        def setUpClass(cls) -> None:
            super().setUpClass()
            cls.server = cls.enterClassContext(Server(cls.kind))

        def answer(self, *pieces: bytes) -> bytes:
            """Returns the status line of the answer; what the server no longer reads is lost."""
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as client:
                try:
                    for piece in pieces:
                        client.sendall(piece)
                except OSError:
                    pass  # it has closed the connection
                try:
                    return client.recv(65_536).partition(b"\r\n")[0]
                except TimeoutError:  # it waits for more
                    return b"no answer"
                except OSError:
                    return b"closed"

        def head(self, *lines: bytes) -> bytes:
            return b"\r\n".join([b"POST /login/ HTTP/1.1", b"Host: 127.0.0.1", *lines, b"", b""])

        def test_a_body_that_is_announced_as_too_large_is_refused_at_once(self) -> None:
            for length in (MAX_BODY_BYTES + 1, 60_000_000_000):
                line = b"Content-Length: %d" % length
                self.assertIn(b" 413 ", self.answer(self.head(line)))

        def test_a_body_that_becomes_too_large_is_cut_off(self) -> None:
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            status = self.answer(self.head(b"Transfer-Encoding: chunked"), *[chunk] * 40)
            self.assertRegex(status, rb" 413 |^closed$|^$")

        def test_a_head_that_is_too_large_costs_no_memory(self) -> None:
            process = psutil.Process(self.server.pid)
            self.answer(self.head())
            before = process.memory_info().rss
            status = self.answer(self.head()[:-4], b"\r\nX: ", *[b"y" * 1_000_000] * 60)
            self.assertRegex(status, rb" 431 | 400 |^closed$|^$")
            self.assertLess(process.memory_info().rss - before, MOST_BYTES)

        def test_an_ordinary_form_is_read(self) -> None:
            body = b"x" * 100_000
            line = b"Content-Length: %d" % len(body)
            status = self.answer(self.head(line), body)
            self.assertIn(b" 403 ", status)  # no CSRF token


class DaphneTests(_LargeRequests.Tests):
    kind = "daphne"


class UvicornTests(_LargeRequests.Tests):
    kind = "uvicorn"
