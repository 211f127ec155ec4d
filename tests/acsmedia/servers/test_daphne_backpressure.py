"""Backpressure for Daphne, tested with Daphne's own protocol on a fake transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from daphne.server import Server
from daphne.ws_protocol import WebSocketFactory
from django.test import SimpleTestCase
from twisted.internet import reactor, tcp
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from acsmedia import asgi
from acsmedia.servers.commands import MESSAGE_BYTES
from acsmedia.servers.daphne_backpressure import MAX_ACCEPTED, MAX_WAITING, READ_BYTES
from tests.torture.media_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
    frame_in,
)

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Message = dict[str, Any]


class Wire(StringTransport):
    """Twisted's fake transport, peer as tolerant as a socket."""

    def unregisterProducer(self) -> None:  # noqa: N802 - Twisted's name
        """Does nothing; the fake raises if none was registered."""


class Peer:
    """One client of a Daphne without a port, and the application, which receives on demand."""

    def __init__(self) -> None:
        wire: Any = Wire  # untyped
        self.wire = wire(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        server = Server(self._application, endpoints=["tcp:0"])
        server.connections = {}
        factory: Any = WebSocketFactory(server)
        factory.setProtocolOptions(
            maxMessagePayloadSize=MESSAGE_BYTES, maxFramePayloadSize=MESSAGE_BYTES
        )
        self.protocol = factory.buildProtocol(self.wire.getPeer())
        self.protocol._raw_query_string = b""
        self.received: list[Message] = []
        self.scope: Message = {}
        self._receive: Callable[[], Awaitable[Message]] | None = None
        self.send: Callable[[Message], Awaitable[None]]
        self._left = asyncio.Event()

    async def _application(self, scope: Message, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.scope = scope
        self._receive, self.send = receive, send
        await self._left.wait()

    async def open(self) -> None:
        self.protocol.makeConnection(self.wire)
        self.protocol.dataReceived(HANDSHAKE)
        while self._receive is None:  # noqa: ASYNC110 - iterations of the loop, no time
            await asyncio.sleep(0)
        self.wire.clear()

    async def receive(self, count: int) -> None:
        assert self._receive, "the handshake is done"
        self.received += [await self._receive() for _ in range(count)]

    def send_frames(self, kind: int, *payloads: bytes) -> None:
        self.protocol.dataReceived(b"".join(frame(kind, payload) for payload in payloads))

    @property
    def is_read(self) -> bool:
        return bool(self.wire.producerState == "producing")

    def leave(self) -> None:
        """Ends the application and Autobahn's timers for the connection."""
        self._left.set()
        self.lose_connection()

    def lose_connection(self) -> None:
        lost: Any = Failure  # untyped
        self.protocol.connectionLost(lost(ConnectionLost()))


class BackpressureTests(SimpleTestCase):
    async def peer(self) -> Peer:
        peer = Peer()
        await peer.open()
        self.addCleanup(peer.leave)
        return peer

    async def test_reads_while_the_application_keeps_up(self) -> None:
        peer = await self.peer()
        for _ in range(3):
            peer.send_frames(TEXT, *[b"x"] * (MAX_WAITING - 1))
            self.assertTrue(peer.is_read)
            await peer.receive(MAX_WAITING - 1)

    async def test_pauses_at_a_flood_until_all_messages_are_taken(self) -> None:
        peer = await self.peer()
        peer.send_frames(TEXT, *[b"x"] * MAX_WAITING)
        self.assertFalse(peer.is_read)
        await peer.receive(MAX_WAITING - 1)
        self.assertFalse(peer.is_read)
        await peer.receive(1)
        self.assertTrue(peer.is_read)

    async def test_loses_nothing_and_keeps_the_order(self) -> None:
        peer = await self.peer()
        numbers = [f"{number}".encode() for number in range(3 * MAX_WAITING)]
        peer.send_frames(TEXT, *numbers)  # one read may exceed the limit
        await peer.receive(len(numbers))
        self.assertEqual([message["text"].encode() for message in peer.received], numbers)

    async def test_answers_a_ping_during_a_flood(self) -> None:
        peer = await self.peer()
        peer.send_frames(TEXT, *[b"x"] * MAX_WAITING)
        peer.send_frames(PING, b"here?")
        self.assertEqual(peer.wire.value(), bytes([0x80 | PONG, 5]) + b"here?")

    async def test_resumes_for_the_close_answer_when_the_application_closes(self) -> None:
        peer = await self.peer()
        peer.send_frames(TEXT, *[b"x"] * MAX_WAITING)
        await peer.send({"type": "websocket.close", "code": 4415})
        self.assertTrue(peer.is_read)
        # sent before the close arrived: not taken, and it pauses nothing
        peer.send_frames(TEXT, *[b"x"] * MAX_WAITING)
        self.assertTrue(peer.is_read)
        peer.send_frames(CLOSE, (4415).to_bytes(2))
        self.assertTrue(peer.wire.disconnecting)
        await peer.receive(MAX_WAITING)
        self.assertTrue(
            peer.protocol.application_queue.empty(), "messages after the close are not queued"
        )

    async def test_reports_the_disconnect_after_all_messages(self) -> None:
        peer = await self.peer()
        peer.send_frames(TEXT, *[b"x"] * MAX_WAITING)
        peer.send_frames(CLOSE, (1000).to_bytes(2))
        peer.lose_connection()
        await peer.receive(MAX_WAITING + 1)
        self.assertEqual(peer.received[-1]["type"], "websocket.disconnect")

    async def test_a_close_without_a_code_is_1005(self) -> None:
        peer = await self.peer()
        peer.send_frames(CLOSE, b"")
        peer.lose_connection()
        await peer.receive(1)
        self.assertEqual(peer.received[-1]["code"], 1005)

    async def test_a_connection_that_breaks_is_1006(self) -> None:
        peer = await self.peer()
        peer.lose_connection()
        await peer.receive(1)
        self.assertEqual(peer.received[-1]["code"], 1006)

    async def test_pings_go_on_after_the_clock_was_set_back(self) -> None:
        peer = await self.peer()
        peer.protocol.last_ping += 3600
        peer.protocol.check_timeouts()
        self.assertLessEqual(peer.protocol.last_ping, time.time())

    async def test_an_idle_socket_sends_a_pong_at_each_check(self) -> None:
        peer = await self.peer()
        peer.protocol.check_timeouts()
        self.assertEqual(peer.wire.value(), b"")
        peer.protocol.last_ping -= 2
        for _ in range(2):
            peer.wire.clear()
            peer.protocol.check_timeouts()
            self.assertEqual(peer.wire.value(), b"\x8a\0")

    async def test_reads_are_small(self) -> None:
        self.assertEqual((await self.peer()).wire.bufferSize, READ_BYTES)


class DeliverTests(SimpleTestCase):
    """An application that gets messages as they are read."""

    async def start(
        self, *, before: Sequence[bytes] = (), failing: Exception | None = None
    ) -> Peer:
        self.reads: list[list[bytes]] = []
        self.failing = failing
        peer = Peer()
        await peer.open()
        self.addCleanup(peer.leave)
        peer.send_frames(TEXT, *before)
        self.ended = asyncio.create_task(peer.scope["extensions"]["acsmedia.deliver"](self.take))
        await asyncio.sleep(0)
        return peer

    def take(self, messages: Sequence[bytes]) -> None:
        self.reads.append(list(messages))
        if self.failing:
            raise self.failing

    async def test_messages_are_delivered_before_the_read_returns(self) -> None:
        peer = await self.start()
        peer.send_frames(TEXT, b"one", b"two")
        self.assertEqual(self.reads, [[b"one", b"two"]])
        peer.send_frames(BINARY, b"three")
        self.assertEqual(self.reads[-1], [b"three"])
        self.assertTrue(peer.protocol.application_queue.empty())

    async def test_a_socket_with_messages_gets_neither_pings_nor_pongs(self) -> None:
        peer = await self.start()
        peer.protocol.last_ping -= 60
        peer.send_frames(TEXT, b"one")
        peer.protocol.check_timeouts()
        self.assertEqual(peer.wire.value(), b"")

    async def test_earlier_messages_are_delivered_first(self) -> None:
        await self.start(before=[b"one", b"two"])
        self.assertEqual(self.reads, [[b"one"], [b"two"]])

    async def test_a_read_that_ends_the_socket_is_delivered_before_its_code(self) -> None:
        peer = await self.start()
        peer.protocol.dataReceived(frame(TEXT, b"one") + frame(CLOSE, (4321).to_bytes(2)))
        peer.lose_connection()
        self.assertEqual((await self.ended)["code"], 4321)
        self.assertEqual(self.reads, [[b"one"]])

    async def test_a_message_over_the_limit_is_1009_in_one_frame_or_many(self) -> None:
        for pieces in (1, 30):
            peer = await self.start()
            peer.send_frames(TEXT, b"one")
            texts = [b"x"] * (pieces - 1) + [b"\xff"]  # the last is not UTF-8
            content = b"".join(
                frame(
                    CONTINUATION if index else TEXT,
                    text * (2 * MESSAGE_BYTES // pieces),
                    final=index == pieces - 1,
                )
                for index, text in enumerate(texts)
            )
            for start in range(0, len(content), READ_BYTES):
                peer.protocol.dataReceived(content[start : start + READ_BYTES])
            self.assertEqual((await self.ended)["code"], 1009)  # before the connection ends
            kind, payload, _ = frame_in(peer.wire.value()) or self.fail("nothing was answered")
            self.assertEqual((kind, payload[:2]), (CLOSE, (1009).to_bytes(2)))
            self.assertFalse(peer.wire.disconnecting or peer.wire.disconnected, "it is read on")
            self.assertEqual(self.reads, [[b"one"]])

    async def test_after_1009_the_client_ends_the_connection(self) -> None:
        peer = await self.start()
        too_long = frame(TEXT, bytes(MESSAGE_BYTES + 1))
        peer.protocol.dataReceived(too_long + frame(TEXT, b"two") + frame(CLOSE, b""))
        self.assertTrue(peer.wire.disconnecting)
        peer.lose_connection()
        self.assertEqual((await self.ended)["code"], 1009)
        self.assertEqual(self.reads, [])

    async def test_its_own_exception_is_raised_and_delivery_stops(self) -> None:
        peer = await self.start(failing=ZeroDivisionError())
        peer.send_frames(TEXT, b"one")
        peer.send_frames(TEXT, b"two")
        with self.assertRaises(ZeroDivisionError):
            await self.ended
        self.assertEqual(self.reads, [[b"one"]])

    async def test_reading_is_never_paused(self) -> None:
        peer = await self.start()
        peer.send_frames(TEXT, *[b"x"] * (3 * MAX_WAITING))
        self.assertTrue(peer.is_read)


class AcceptTests(SimpleTestCase):
    def test_accepts_one_connection_per_iteration(self) -> None:
        self.assertTrue(asgi.application, "the patch of Daphne has been imported")
        port: Any = tcp.Port(0, WebSocketFactory(None), reactor=reactor)
        port.numberAccepts = 100  # as Twisted does at start and at every burst
        self.assertEqual(port.numberAccepts, MAX_ACCEPTED)
