"""uvicorn's WebSocket protocol on picows: a small application, a real server, real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from functools import partial
from queue import Queue
from typing import Any

from django.test import SimpleTestCase, tag
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from acsmedia.servers.picows_listener import QUEUE_MESSAGES
from tests.threaded_uvicorn import Application, Scope, ThreadedUvicorn
from tests.waiting import until

MAX_BYTES = 10_000
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Served(ThreadedUvicorn):
    """`application` on picows and uvloop; its URL has a path and a query."""

    def __init__(self, application: Application, **options: Any) -> None:
        ws = "acsmedia.servers.uvicorn_websocket:PicowsProtocol"
        super().__init__(
            application, **{"loop": "uvloop", "ws": ws, "ws_max_size": MAX_BYTES, **options}
        )
        self.url = f"ws://127.0.0.1:{self.port}/some%20where?token=a%2Bb"


class Recording:
    """An application that accepts, takes all messages as they are read, and records them."""

    def __init__(self, *, failure: Exception | None = None) -> None:
        self.messages: list[bytes] = []
        self.reads = 0
        self.end: Queue[Any] = Queue()
        self.scope: Scope = {}
        self._failing = failure

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        self.scope = scope
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        try:
            self.end.put(await scope["extensions"]["acsmedia.deliver"](self._take))
        except ValueError:
            await send({"type": "websocket.close", "code": 4415, "reason": "not this"})
            self.end.put(await receive())

    def _take(self, messages: Sequence[bytes]) -> None:
        self.messages += messages
        self.reads += 1
        if self._failing:
            raise self._failing

    async def code(self) -> int:
        event = await asyncio.to_thread(self.end.get, timeout=20)
        assert event["type"] == "websocket.disconnect"
        return int(event["code"])


async def echo(scope: Scope, receive: Any, send: Any) -> None:
    """Sends back each message; closes at "bye"."""
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"x-ours", b"yes")]})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "bye":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
        else:
            await send(
                {"type": "websocket.send", **{k: v for k, v in event.items() if k != "type"}}
            )


async def raw(client: ClientConnection, *frames: Frame) -> None:
    """Sends raw frames in one write."""
    content = b"".join(frame.serialize(mask=True) for frame in frames)
    client.transport.write(content)


@tag("once")
class MessageTests(SimpleTestCase):
    async def test_every_message_is_delivered_in_order(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            for number in range(500):
                await client.send(str(number) if number % 2 else str(number).encode())
            await client.close(1000)
            self.assertEqual(await recording.code(), 1000)
        self.assertEqual(recording.messages, [str(number).encode() for number in range(500)])

    async def test_messages_of_one_read_are_delivered_together(self) -> None:
        text, pong = Frame(Opcode.TEXT, b"one"), Frame(Opcode.PONG, b"")
        for last in (
            Frame(Opcode.PING, b"?"),
            pong,
            Frame(Opcode.TEXT, b"half", fin=False),
            Frame(Opcode.CLOSE, b""),
        ):
            recording = Recording()
            async with Served(recording) as served, connect(served.url) as client:
                await raw(client, text, text, last)
                await until(partial(getattr, recording, "messages"))
            self.assertEqual((recording.messages, recording.reads), ([b"one", b"one"], 1), last)

    async def test_messages_before_a_pong_are_not_delayed(self) -> None:
        recording = Recording()
        async with Served(recording, ws_ping_interval=0.3, ws_ping_timeout=0.3) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(handshake(KEY, "13"))
            await reader.readuntil(b"\r\n\r\n")
            ping = await reader.readexactly(2)
            self.assertEqual(ping[0] & 0x0F, Opcode.PING)
            frames = (
                Frame(Opcode.TEXT, b"one"),
                Frame(Opcode.PONG, await reader.readexactly(ping[1])),
            )
            writer.write(b"".join(frame.serialize(mask=True) for frame in frames))
            await until(lambda: recording.messages)
            writer.close()

    async def test_fragments_are_joined(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            await client.send(["a", "b", "c"])
            await client.send([b"d", b"e"])
            await client.send("f")
            await client.close()
            await recording.code()
        self.assertEqual(recording.messages, [b"abc", b"de", b"f"])

    async def test_control_frames_between_fragments_are_answered(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.PING, b"?"))
            await (await client.ping())
            await raw(client, Frame(Opcode.CONT, b"b"))
            await client.close()
            await recording.code()
        self.assertEqual(recording.messages, [b"ab"])

    async def test_invalid_text_is_delivered_as_bytes(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.TEXT, b"\xff\xfe"))
            await client.close()
            await recording.code()
        self.assertEqual(recording.messages, [b"\xff\xfe"])

    async def test_an_application_that_receives_gets_texts_and_bytes(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            await client.send("t\u00e9xt")
            await client.send(b"bytes")
            self.assertEqual([await client.recv(), await client.recv()], ["t\u00e9xt", b"bytes"])

    async def test_invalid_text_closes_a_socket_that_receives(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.TEXT, b"\xff\xfe"))
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual(client.close_code, 1007)

    async def test_a_slow_reader_slows_the_sender(self) -> None:
        go_on = threading.Event()

        async def slow(scope: Scope, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await asyncio.to_thread(go_on.wait)
            received.extend([(await receive())["bytes"] for _ in range(sent)])

        received: list[bytes] = []
        sent = 20 * QUEUE_MESSAGES
        message = b"x" * (MAX_BYTES - 1)
        async with Served(slow) as served, connect(served.url) as client:
            sending = asyncio.create_task(send_all(client, [message] * sent))
            protocol = await first_connection(served)
            await until(lambda: protocol._listener._is_paused)
            self.assertLess(len(protocol._listener._queue), 2 * QUEUE_MESSAGES + 8)
            go_on.set()
            await sending
            await until(lambda: len(received) == sent)


async def send_all(client: ClientConnection, messages: list[bytes]) -> None:
    for message in messages:
        await client.send(message)


def no_connections(served: Served) -> bool:
    return not served.connections


async def first_connection(served: Served) -> Any:
    """Waits for the only socket to be accepted; returns its protocol."""
    await until(lambda: any(getattr(one, "_listener", None) for one in served.connections))
    (protocol,) = served.connections
    return protocol


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


def handshake(key: str, version: str) -> bytes:
    return (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\r\n".encode()
    )


def ask(port: int, key: str, version: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(handshake(key, version))
        return connection.recv(4096)


@tag("once")
class CloseTests(SimpleTestCase):
    async def test_the_code_of_the_client_is_passed_on_and_answered(self) -> None:
        recording = Recording()
        async with Served(recording) as served:
            client = await connect(served.url)
            await client.close(4321, "enough")
            self.assertEqual(await recording.code(), 4321)
            self.assertEqual(client.close_code, 4321)
            await until(lambda: not served.connections)

    async def test_a_close_without_a_code_is_1005(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.CLOSE, b""))
            self.assertEqual(await recording.code(), 1005)

    async def test_a_connection_that_breaks_is_1006(self) -> None:
        recording = Recording()
        async with Served(recording) as served:
            client = await connect(served.url)
            client.transport.abort()
            self.assertEqual(await recording.code(), 1006)
            await until(lambda: not served.connections)

    async def test_the_application_closes_with_its_code_and_reason(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            await client.send("bye")
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual((client.close_code, client.close_reason), (4001, "as you wish"))

    async def test_an_exception_of_the_callback_is_raised_in_deliver(self) -> None:
        recording = Recording(failure=ValueError())
        async with Served(recording) as served, connect(served.url) as client:
            await client.send("one")
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual((client.close_code, client.close_reason), (4415, "not this"))
        self.assertEqual(recording.messages, [b"one"])

    async def test_an_application_that_fails_later_closes_with_1011(self) -> None:
        recording = Recording(failure=ZeroDivisionError())
        with self.assertLogs("acsmedia.servers.uvicorn_websocket", "ERROR"):
            async with Served(recording) as served, connect(served.url) as client:
                await client.send("one")
                with self.assertRaises(ConnectionClosed):
                    await client.recv()
                self.assertEqual(client.close_code, 1011)

    async def test_a_message_over_the_limit_is_1009_in_one_frame_or_many(self) -> None:
        for pieces in (1, 30):
            recording = Recording()
            async with Served(recording) as served, connect(served.url) as client:
                piece = b"x" * (2 * MAX_BYTES // pieces)
                kinds = [Opcode.TEXT] + [Opcode.CONT] * (pieces - 1)
                frames = [
                    Frame(kind, piece, fin=index == pieces - 1) for index, kind in enumerate(kinds)
                ]
                await raw(client, *frames)
                with self.assertRaises(ConnectionClosed):
                    await client.recv()
                self.assertEqual(client.close_code, 1009)
                self.assertEqual(await recording.code(), 1009)
            self.assertEqual(recording.messages, [])

    async def test_messages_before_a_protocol_error_are_delivered(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            await raw(
                client,
                Frame(Opcode.TEXT, b"one"),
                Frame(Opcode.TEXT, b"two"),
                Frame(Opcode.CONT, b"tail"),
            )
            self.assertEqual(await recording.code(), 1002)
        self.assertEqual(recording.messages, [b"one", b"two"])

    async def test_fragments_out_of_order_are_1002(self) -> None:
        for frames in (
            [Frame(Opcode.CONT, b"tail")],
            [Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.TEXT, b"b")],
            [Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.CLOSE, b"x")],
        ):
            recording = Recording()
            async with Served(recording) as served, connect(served.url) as client:
                await raw(client, *frames)
                with self.assertRaises(ConnectionClosed):
                    await client.recv()
                self.assertEqual(client.close_code, 1002)
                self.assertEqual(await recording.code(), 1002)

    async def test_a_stopping_server_closes_with_1012(self) -> None:
        recording = Recording()
        async with Served(recording) as served, connect(served.url) as client:
            await first_connection(served)
            served.stop()
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual(client.close_code, 1012)
            self.assertEqual(await recording.code(), 1012)

    async def test_a_client_that_does_not_answer_pings_is_disconnected(self) -> None:
        recording = Recording()
        async with Served(recording, ws_ping_interval=0.2, ws_ping_timeout=0.2) as served:
            client = await connect(served.url)
            client.transport.pause_reading()
            self.assertEqual(await recording.code(), 1006)
            await until(lambda: not served.connections)
            client.transport.abort()
