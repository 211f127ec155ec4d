"""uvicorn's WebSocket protocol on picows: handshakes, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any

from django.test import SimpleTestCase, tag
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from tests.acsmedia.servers.websocket_server import (
    KEY,
    Recording,
    Served,
    echo,
    handshake,
)
from tests.threaded_uvicorn import Application, Scope
from tests.waiting import until


def no_connections(served: Served) -> bool:
    return not served.connections


@tag("once")
class HandshakeTests(SimpleTestCase):
    async def test_the_scope_describes_the_request(self) -> None:
        recording = Recording()
        headers = {"x-ms-call-connection-id": "c-1", "Authorization": "Bearer x"}
        async with (
            Served(recording) as served,
            connect(served.url, additional_headers=headers, subprotocols=None),
        ):
            await until(lambda: recording.scope)
        scope = recording.scope
        self.assertEqual((scope["path"], scope["raw_path"]), ("/some where", b"/some%20where"))
        self.assertEqual(scope["query_string"], b"token=a%2Bb")
        self.assertIn((b"x-ms-call-connection-id", b"c-1"), scope["headers"])
        self.assertEqual((scope["scheme"], scope["client"][0]), ("ws", "127.0.0.1"))

    async def test_headers_of_accept_are_sent(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            assert client.response
            self.assertEqual(client.response.headers["x-ours"], "yes")

    async def test_a_refusal_has_its_status(self) -> None:
        async def refuse(scope: Scope, receive: Any, send: Any) -> None:
            await receive()
            await send(
                {
                    "type": "websocket.http.response.start",
                    "status": 401,
                    "headers": [(b"x-why", b"no token")],
                }
            )
            await send({"type": "websocket.http.response.body", "body": b"who are you"})

        async with Served(refuse) as served:
            with self.assertRaises(InvalidStatus) as refused:
                await connect(served.url)
            response = refused.exception.response
            self.assertEqual((response.status_code, response.body), (401, b"who are you"))
            self.assertEqual(response.headers["x-why"], "no token")
            await until(lambda: not served.connections)

    async def test_closing_before_accepting_is_a_403(self) -> None:
        async def close(scope: Scope, receive: Any, send: Any) -> None:
            await send({"type": "websocket.close"})

        await self._expect_status(close, 403)

    async def test_an_application_that_fails_before_accepting_is_a_500(self) -> None:
        async def fail(scope: Scope, receive: Any, send: Any) -> None:
            raise ZeroDivisionError

        with self.assertLogs("acsmedia.servers.uvicorn_websocket", "ERROR"):
            await self._expect_status(fail, 500)

    async def test_an_application_that_returns_without_an_answer_is_a_500(self) -> None:
        async def nothing(scope: Scope, receive: Any, send: Any) -> None:
            return

        await self._expect_status(nothing, 500)

    async def test_variants_of_browsers_and_proxies_are_accepted(self) -> None:
        """Firefox sends keep-alive; cookies may be long."""
        for connection, cookie in (("keep-alive, Upgrade", "short"), ("Upgrade", "long" * 5_000)):
            recording = Recording()
            async with Served(recording) as served:
                reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
                head = handshake(KEY, "13").replace(
                    b"Connection: Upgrade", f"Connection: {connection}".encode()
                )
                writer.write(head.replace(b"Host: x", f"Host: x\r\nCookie: {cookie}".encode()))
                self.assertIn(b" 101 ", await reader.readline())
                writer.write(Frame(Opcode.TEXT, b"one").serialize(mask=True))
                await until(partial(getattr, recording, "messages"))
                writer.close()
                self.assertEqual(await recording.code(), 1006)
                await until(partial(no_connections, served))

    async def test_an_invalid_handshake_is_a_400(self) -> None:
        async with Served(echo) as served:
            for key, version in (("short", "13"), ("no base64, but 24 long.", "13"), (KEY, "8")):
                answer = await asyncio.to_thread(ask, served.port, key, version)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
            await until(lambda: not served.connections)

    async def _expect_status(self, application: Application, status: int) -> None:
        async with Served(application) as served:
            with self.assertRaises(InvalidStatus) as refused:
                await connect(served.url)
            self.assertEqual(refused.exception.response.status_code, status)


def ask(port: int, key: str, version: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(handshake(key, version))
        return connection.recv(4096)
