"""uvicorn's limits for request heads: their time and their size."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

from django.test import SimpleTestCase, tag

from acsmedia.servers.uvicorn_http import HEAD_BYTES
from tests.threaded_uvicorn import ThreadedUvicorn
from tests.waiting import until

ANSWER = b"HTTP/1.1 200 OK"
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


async def ok(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers once the whole body is received."""
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


class Served(ThreadedUvicorn):
    """`ok` behind the protocol under test."""

    def __init__(self) -> None:
        super().__init__(
            ok, http="acsmedia.servers.uvicorn_http:HeadTimeoutProtocol", timeout_keep_alive=600
        )


@tag("once")
class HeadTimeoutTests(SimpleTestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch("acsmedia.servers.uvicorn_http.HEAD_SECONDS", 0.3))

    async def test_a_silent_connection_is_closed(self) -> None:
        await self._expect_close_after(b"")

    async def test_an_incomplete_head_is_closed(self) -> None:
        await self._expect_close_after(REQUEST[:30])

    async def test_an_incomplete_second_head_is_closed(self) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(REQUEST + b"ab")
            self.assertTrue((await reader.readuntil(b"\r\n\r\n")).startswith(ANSWER))
            writer.write(REQUEST[:30])
            self.assertEqual(await reader.read(), b"")
            writer.close()

    async def test_a_head_that_arrives_byte_by_byte_is_closed(self) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            ended = asyncio.ensure_future(reader.read())
            for byte in REQUEST[:30]:
                writer.write(bytes([byte]))
                await asyncio.wait({ended}, timeout=0.05)
            self.assertTrue(ended.done())
            await asyncio.gather(ended, return_exceptions=True)
            writer.close()

    async def test_a_body_has_no_limit(self) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(REQUEST + b"a")
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(1):
                    await reader.read(1)
            writer.write(b"b")
            self.assertTrue((await reader.readuntil(b"\r\n\r\n")).startswith(ANSWER))
            writer.close()

    async def test_a_connection_may_be_idle_between_requests(self) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            for _ in range(2):
                writer.write(REQUEST + b"ab")
                self.assertTrue((await reader.readuntil(b"\r\n\r\n")).startswith(ANSWER))
                with self.assertRaises(TimeoutError):
                    async with asyncio.timeout(0.6):
                        await reader.read(1)
            writer.close()

    async def _expect_close_after(self, start: bytes) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(start)
            self.assertEqual(await reader.read(), b"")
            writer.close()
            await until(lambda: not served.connections)


@tag("once")
class HeadBytesTests(SimpleTestCase):
    async def test_an_incomplete_head_that_is_too_large_is_refused(self) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(REQUEST[:-4] + b"\r\nX: " + b"y" * HEAD_BYTES)
            self.assertTrue((await reader.readline()).startswith(b"HTTP/1.1 431 "))
            writer.close()
            await until(lambda: not served.connections)

    async def test_an_incomplete_head_that_grows_is_refused(self) -> None:
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(REQUEST[:-4])
            for _ in range(5):
                writer.write(b"\r\nX: " + b"y" * (HEAD_BYTES // 4))
                await writer.drain()
                await asyncio.sleep(0.05)  # they are read one by one
            async with asyncio.timeout(10):
                self.assertTrue((await reader.readline()).startswith(b"HTTP/1.1 431 "))
            writer.close()

    async def test_every_head_of_a_connection_may_be_as_large(self) -> None:
        line = b"\r\nX: " + b"y" * (HEAD_BYTES // 2)
        async with Served() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            for _ in range(4):
                writer.write(REQUEST[:-4] + line)
                await writer.drain()
                await asyncio.sleep(0.05)  # the head arrives in two pieces
                writer.write(b"\r\n\r\nab")
                self.assertTrue((await reader.readuntil(b"\r\n\r\n")).startswith(ANSWER))
            writer.close()
