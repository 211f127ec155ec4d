"""uvicorn's WebSocket protocol on picows: messages and closes, over real sockets."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

from django.test import SimpleTestCase, tag
from picows import WSMsgType
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from acsmedia.servers.picows_listener import MISSED_PINGS, QUEUE_MESSAGES, Listener
from tests.acsmedia.servers.websocket_server import (
    KEY,
    MAX_BYTES,
    Recording,
    Served,
    echo,
    first_connection,
    handshake,
    raw,
)
from tests.threaded_uvicorn import Scope
from tests.waiting import PATIENCE_SECONDS, until

PING_FRAME = 0x89
"""First byte; RFC 6455, section 5.2."""


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
        async with Served(recording, ws_ping_interval=0.05) as served:
            client = await connect(served.url)
            client.transport.pause_reading()
            self.assertEqual(await recording.code(), 1006)
            await until(lambda: not served.connections)
            client.transport.abort()

    async def test_a_client_is_lost_after_several_pings_without_an_answer(self) -> None:
        """The interval is short for proxies, which need not be so strict with the client."""
        async with Served(Recording(), ws_ping_interval=0.05) as served:
            self.assertEqual(await pings_until_closed(served.port), MISSED_PINGS)

    async def test_an_answer_begins_the_count_of_missed_pings_anew(self) -> None:
        """Without a socket: on a slow machine the next ping would overtake the answer."""
        for answer in ("is_user_specific_pong", "on_ws_frame"):  # while a pong is due, and later
            transport: Any = mock.Mock(is_close_frame_sent=False)
            frame: Any = SimpleNamespace(msg_type=WSMsgType.PONG, last_in_buffer=False)
            listener = Listener(MAX_BYTES, lambda: None)
            for _ in range(MISSED_PINGS - 1):
                listener.send_user_specific_ping(transport)
            if answer == "is_user_specific_pong":
                listener.is_user_specific_pong(frame)
            else:
                listener.on_ws_frame(transport, frame)
            for _ in range(MISSED_PINGS):
                listener.send_user_specific_ping(transport)
            await asyncio.sleep(0)  # picows is told of pongs in the next iteration
            self.assertEqual(transport.send_ping.call_count, 2 * MISSED_PINGS - 1)
            told = transport.notify_user_specific_pong_received.call_count
            self.assertEqual(told, 2 * (MISSED_PINGS - 1), answer)


async def pings_until_closed(port: int) -> int:
    """Returns the number of pings that an idle client gets, which answers none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(handshake(KEY, "13"))
    await reader.readuntil(b"\r\n\r\n")
    count = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await reader.readexactly(2))[0] == PING_FRAME:
            count += 1
    writer.close()
    return count
