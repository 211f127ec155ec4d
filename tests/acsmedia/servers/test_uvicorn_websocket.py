"""uvicorn's WebSocket protocol on picows: a small application behind a real server, real sockets in
front of it.
"""

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
    """`application` on picows and uvloop, at an address with a path and a query."""

    def __init__(self, application: Application, **options: Any) -> None:
        ws = "acsmedia.servers.uvicorn_websocket:PicowsProtocol"
        super().__init__(
            application, **{"loop": "uvloop", "ws": ws, "ws_max_size": MAX_BYTES, **options}
        )
        self.url = f"ws://127.0.0.1:{self.port}/some%20where?token=a%2Bb"


class Heard:
    """An application that accepts, takes all messages straight from the socket, and tells what it
    has heard.
    """

    def __init__(self, *, failing: Exception | None = None) -> None:
        self.messages: list[bytes] = []
        self.reads = 0
        self.end: Queue[Any] = Queue()
        self.scope: Scope = {}
        self._failing = failing

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
    """Sends back what it receives; says goodbye to "bye"."""
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
    """Frames as they are, in one write."""
    content = b"".join(frame.serialize(mask=True) for frame in frames)
    client.transport.write(content)


@tag("once")
class Messages(SimpleTestCase):
    async def test_every_message_reaches_the_taker_in_order(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            for number in range(500):
                await client.send(str(number) if number % 2 else str(number).encode())
            await client.close(1000)
            self.assertEqual(await heard.code(), 1000)
        self.assertEqual(heard.messages, [str(number).encode() for number in range(500)])

    async def test_messages_of_one_read_come_together_whatever_ends_it(self) -> None:
        text, pong = Frame(Opcode.TEXT, b"one"), Frame(Opcode.PONG, b"")
        for last in (
            Frame(Opcode.PING, b"?"),
            pong,
            Frame(Opcode.TEXT, b"half", fin=False),
            Frame(Opcode.CLOSE, b""),
        ):
            heard = Heard()
            async with Served(heard) as served, connect(served.url) as client:
                await raw(client, text, text, last)
                await until(partial(getattr, heard, "messages"))
            self.assertEqual((heard.messages, heard.reads), ([b"one", b"one"], 1), last)

    async def test_messages_before_the_answer_to_our_ping_are_not_kept_back(self) -> None:
        heard = Heard()
        async with Served(heard, ws_ping_interval=0.3, ws_ping_timeout=0.3) as served:
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
            await until(lambda: heard.messages)
            writer.close()

    async def test_fragments_are_put_together(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            await client.send(["a", "b", "c"])
            await client.send([b"d", b"e"])
            await client.send("f")
            await client.close()
            await heard.code()
        self.assertEqual(heard.messages, [b"abc", b"de", b"f"])

    async def test_control_frames_between_fragments_are_answered(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.PING, b"?"))
            await (await client.ping())
            await raw(client, Frame(Opcode.CONT, b"b"))
            await client.close()
            await heard.code()
        self.assertEqual(heard.messages, [b"ab"])

    async def test_bytes_that_are_no_text_reach_the_taker_as_they_are(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.TEXT, b"\xff\xfe"))
            await client.close()
            await heard.code()
        self.assertEqual(heard.messages, [b"\xff\xfe"])

    async def test_an_application_that_receives_gets_texts_and_bytes(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            await client.send("t\u00e9xt")
            await client.send(b"bytes")
            self.assertEqual([await client.recv(), await client.recv()], ["t\u00e9xt", b"bytes"])

    async def test_a_text_that_is_none_ends_a_socket_that_receives(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.TEXT, b"\xff\xfe"))
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual(client.close_code, 1007)

    async def test_a_reader_that_does_not_receive_holds_the_sender_back(self) -> None:
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
    """The server's end of the only socket, once it is accepted."""
    await until(lambda: any(getattr(one, "_listener", None) for one in served.connections))
    (protocol,) = served.connections
    return protocol


@tag("once")
class Handshakes(SimpleTestCase):
    async def test_the_scope_says_what_was_asked_for(self) -> None:
        heard = Heard()
        headers = {"x-ms-call-connection-id": "c-1", "Authorization": "Bearer x"}
        async with (
            Served(heard) as served,
            connect(served.url, additional_headers=headers, subprotocols=None),
        ):
            await until(lambda: heard.scope)
        scope = heard.scope
        self.assertEqual((scope["path"], scope["raw_path"]), ("/some where", b"/some%20where"))
        self.assertEqual(scope["query_string"], b"token=a%2Bb")
        self.assertIn((b"x-ms-call-connection-id", b"c-1"), scope["headers"])
        self.assertEqual((scope["scheme"], scope["client"][0]), ("ws", "127.0.0.1"))

    async def test_headers_of_the_acceptance_are_sent(self) -> None:
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

    async def test_what_browsers_and_proxies_send_besides_is_accepted(self) -> None:
        """Firefox keeps alive; cookies may be long."""
        for connection, cookie in (("keep-alive, Upgrade", "short"), ("Upgrade", "long" * 5_000)):
            heard = Heard()
            async with Served(heard) as served:
                reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
                head = handshake(KEY, "13").replace(
                    b"Connection: Upgrade", f"Connection: {connection}".encode()
                )
                writer.write(head.replace(b"Host: x", f"Host: x\r\nCookie: {cookie}".encode()))
                self.assertIn(b" 101 ", await reader.readline())
                writer.write(Frame(Opcode.TEXT, b"one").serialize(mask=True))
                await until(partial(getattr, heard, "messages"))
                writer.close()
                self.assertEqual(await heard.code(), 1006)
                await until(partial(no_connections, served))

    async def test_a_request_that_is_no_handshake_is_a_400(self) -> None:
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
class Ends(SimpleTestCase):
    async def test_the_code_of_the_client_is_handed_on_and_answered(self) -> None:
        heard = Heard()
        async with Served(heard) as served:
            client = await connect(served.url)
            await client.close(4321, "enough")
            self.assertEqual(await heard.code(), 4321)
            self.assertEqual(client.close_code, 4321)
            await until(lambda: not served.connections)

    async def test_a_goodbye_without_a_code_is_1005(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            await raw(client, Frame(Opcode.CLOSE, b""))
            self.assertEqual(await heard.code(), 1005)

    async def test_a_connection_that_breaks_is_1006(self) -> None:
        heard = Heard()
        async with Served(heard) as served:
            client = await connect(served.url)
            client.transport.abort()
            self.assertEqual(await heard.code(), 1006)
            await until(lambda: not served.connections)

    async def test_the_application_closes_with_its_code_and_reason(self) -> None:
        async with Served(echo) as served, connect(served.url) as client:
            await client.send("bye")
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual((client.close_code, client.close_reason), (4001, "as you wish"))

    async def test_what_the_taker_raises_is_raised_where_the_application_waits(self) -> None:
        heard = Heard(failing=ValueError())
        async with Served(heard) as served, connect(served.url) as client:
            await client.send("one")
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual((client.close_code, client.close_reason), (4415, "not this"))
        self.assertEqual(heard.messages, [b"one"])

    async def test_an_application_that_fails_later_closes_with_1011(self) -> None:
        heard = Heard(failing=ZeroDivisionError())
        with self.assertLogs("acsmedia.servers.uvicorn_websocket", "ERROR"):
            async with Served(heard) as served, connect(served.url) as client:
                await client.send("one")
                with self.assertRaises(ConnectionClosed):
                    await client.recv()
                self.assertEqual(client.close_code, 1011)

    async def test_a_message_beyond_the_bound_is_1009_in_one_piece_or_many(self) -> None:
        for pieces in (1, 30):
            heard = Heard()
            async with Served(heard) as served, connect(served.url) as client:
                piece = b"x" * (2 * MAX_BYTES // pieces)
                kinds = [Opcode.TEXT] + [Opcode.CONT] * (pieces - 1)
                frames = [
                    Frame(kind, piece, fin=index == pieces - 1) for index, kind in enumerate(kinds)
                ]
                await raw(client, *frames)
                with self.assertRaises(ConnectionClosed):
                    await client.recv()
                self.assertEqual(client.close_code, 1009)
                self.assertEqual(await heard.code(), 1009)
            self.assertEqual(heard.messages, [])

    async def test_what_came_before_a_frame_that_ends_the_socket_is_heard(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            await raw(
                client,
                Frame(Opcode.TEXT, b"one"),
                Frame(Opcode.TEXT, b"two"),
                Frame(Opcode.CONT, b"tail"),
            )
            self.assertEqual(await heard.code(), 1002)
        self.assertEqual(heard.messages, [b"one", b"two"])

    async def test_frames_that_make_no_message_are_1002(self) -> None:
        for frames in (
            [Frame(Opcode.CONT, b"tail")],
            [Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.TEXT, b"b")],
            [Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.CLOSE, b"x")],
        ):
            heard = Heard()
            async with Served(heard) as served, connect(served.url) as client:
                await raw(client, *frames)
                with self.assertRaises(ConnectionClosed):
                    await client.recv()
                self.assertEqual(client.close_code, 1002)
                self.assertEqual(await heard.code(), 1002)

    async def test_a_server_that_goes_says_so(self) -> None:
        heard = Heard()
        async with Served(heard) as served, connect(served.url) as client:
            await first_connection(served)
            served.stop()
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual(client.close_code, 1012)
            self.assertEqual(await heard.code(), 1012)

    async def test_a_client_that_does_not_answer_pings_is_cut_off(self) -> None:
        heard = Heard()
        async with Served(heard, ws_ping_interval=0.2, ws_ping_timeout=0.2) as served:
            client = await connect(served.url)
            client.transport.pause_reading()
            self.assertEqual(await heard.code(), 1006)
            await until(lambda: not served.connections)
            client.transport.abort()
