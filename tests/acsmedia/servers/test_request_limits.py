"""Lengths that requests announce, and slow requests. Servers: end_to_end/test_large_requests.py."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from unittest import TestCase, mock

from django.test import SimpleTestCase
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.http import HTTPChannel, Request

import acsmedia.asgi  # noqa: F401 - applies the patches
from acsmedia.servers import request_limits
from acsmedia.servers.request_limits import MAX_BODY_BYTES, REQUEST_SECONDS, announced_length


class AnnouncedLengthTests(TestCase):
    def test_is_the_greatest_that_can_be_read(self) -> None:
        for values, length in (
            ((), 0),
            ((b"17",), 17),
            ((b"17", b"18"), 18),
            ((b"-1",), 0),
            ((b"x",), 0),
            ((b"",), 0),
        ):
            headers = [(b"host", b"9"), *((b"content-length", value) for value in values)]
            self.assertEqual(announced_length(headers), length)

    def test_a_number_of_thousands_of_digits_is_too_large(self) -> None:
        headers = [(b"content-length", b"9" * 10_000)]
        self.assertGreater(announced_length(headers), MAX_BODY_BYTES)


class SlowBodies(SimpleTestCase):
    """The middleware, as on uvicorn. A client that sends nothing makes `receive` wait forever."""

    async def answers(self, *messages: dict[str, Any], seconds: float = 0.01) -> list[int]:
        """Returns the statuses sent to a client whose further messages never arrive."""
        left, sent = [*messages], list[int]()

        async def receive() -> Any:
            return left.pop(0) if left else await asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            sent.extend([message["status"]] if "status" in message else [])

        async def application(_scope: Any, receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 200})
            with suppress(TimeoutError):  # of the client that listens
                await asyncio.wait_for(receive(), 5 * seconds)

        with mock.patch.object(request_limits, "REQUEST_SECONDS", seconds):
            scope = {"type": "http", "headers": []}
            await request_limits.BodyLimit(application)(scope, receive, send)
        return sent

    async def test_a_body_that_stops_arriving_is_answered_with_408(self) -> None:
        self.assertEqual(await self.answers(), [408])
        part = {"type": "http.request", "body": b"x", "more_body": True}
        self.assertEqual(await self.answers(part, part), [408])

    async def test_a_body_that_becomes_too_large_is_answered_with_413(self) -> None:
        half = {"type": "http.request", "body": b"x" * (MAX_BODY_BYTES // 2), "more_body": True}
        end = {"type": "http.request", "body": b"", "more_body": False}
        self.assertEqual(await self.answers(half, half, end), [200])
        byte = {"type": "http.request", "body": b"x", "more_body": True}
        self.assertEqual(await self.answers(half, half, byte), [413])

    async def test_a_response_that_has_begun_gets_no_second_head(self) -> None:
        sent = list[int]()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["status"])

        async def answers_early(_scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200})
            await receive()

        with mock.patch.object(request_limits, "REQUEST_SECONDS", 0.01):
            scope = {"type": "http", "headers": []}
            await request_limits.BodyLimit(answers_early)(scope, asyncio.Event().wait, send)
        self.assertEqual(sent, [200])

    async def test_a_response_may_take_longer_than_the_body(self) -> None:
        part = {"type": "http.request", "body": b"x", "more_body": True}
        end = {"type": "http.request", "body": b"", "more_body": False}
        self.assertEqual(await self.answers(part, end), [200])


class SlowRequestsOnDaphne(TestCase):
    """The channel of Twisted, with the patch that `acsmedia.asgi` applies."""

    def setUp(self) -> None:
        make_channel: Any = HTTPChannel
        make_transport: Any = StringTransport
        self.clock, self.transport, self.requests = Clock(), make_transport(), 0
        self.channel = make_channel()
        self.channel.timeOut, self.channel.callLater = REQUEST_SECONDS, self.clock.callLater
        self.channel.requestFactory = self.request
        self.channel.makeConnection(self.transport)

    def request(self, channel: Any, queued: int) -> Any:
        make_request: Any = Request
        request = make_request(channel, queued)
        request.process = request.finish
        self.requests += 1
        return request

    def send_slowly(self, content: bytes, seconds: float) -> None:
        """Sends a byte each `seconds`."""
        for byte in content:
            if not self.transport.disconnecting:
                self.channel.dataReceived(bytes([byte]))
                self.clock.advance(seconds)

    def test_a_request_that_arrives_byte_by_byte_is_cut_off(self) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        for before, slow in ((b"", head * 9), (head, b"x" * 99)):
            with self.subTest(slow=slow[:4]):
                self.setUp()
                self.channel.dataReceived(before)
                self.send_slowly(slow, 1.0)
                self.assertTrue(self.transport.disconnecting)
                self.assertLess(self.clock.seconds(), REQUEST_SECONDS + 2)

    def test_a_connection_serves_requests_for_long(self) -> None:
        for _ in range(10):
            self.send_slowly(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1.0)
            self.clock.advance(REQUEST_SECONDS / 2)
        self.assertEqual((self.requests, self.transport.disconnecting), (10, False))
        self.clock.advance(REQUEST_SECONDS)
        self.assertTrue(self.transport.disconnecting, "idle")
