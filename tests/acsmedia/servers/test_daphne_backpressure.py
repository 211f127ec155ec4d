"""A socket on Daphne is read as fast as its application takes, over Daphne's own protocol on a wire
of the test's.
"""

from __future__ import annotations

import asyncio
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
from acsmedia.servers.daphne_backpressure import MAX_ACCEPTED, MAX_WAITING, READ_BYTES
from tests.torture.media_socket import BINARY, CLOSE, PING, PONG, TEXT, frame

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Message = dict[str, Any]


class Wire(StringTransport):
    """Twisted's own fake, which in one thing is stricter than a socket."""

    def unregisterProducer(self) -> None:  # noqa: N802 - the name is Twisted's
        """Nothing, where none was registered."""


class Peer:
    """One client of a Daphne that listens nowhere, and the application behind it, which takes when
    the test says so.
    """

    def __init__(self) -> None:
        wire: Any = Wire  # untyped
        self.wire = wire(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        server = Server(self._application, endpoints=["tcp:0"])
        server.connections = {}
        factory: Any = WebSocketFactory(server)
        self.protocol = factory.buildProtocol(self.wire.getPeer())
        self.protocol._raw_query_string = b""
        self.taken: list[Message] = []
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

    async def shake_hands(self) -> None:
        self.protocol.makeConnection(self.wire)
        self.protocol.dataReceived(HANDSHAKE)
        while self._receive is None:  # noqa: ASYNC110 - turns of the loop, no time
            await asyncio.sleep(0)
        self.wire.clear()

    async def take(self, count: int) -> None:
        assert self._receive, "hands were shaken"
        self.taken += [await self._receive() for _ in range(count)]

    def sends(self, kind: int, *payloads: bytes) -> None:
        self.protocol.dataReceived(b"".join(frame(kind, payload) for payload in payloads))

    @property
    def is_read(self) -> bool:
        return bool(self.wire.producerState == "producing")

    def leave(self) -> None:
        """Ends the application, and the timers that Autobahn keeps for the connection."""
        self._left.set()
        self.lose_connection()

    def lose_connection(self) -> None:
        lost: Any = Failure  # untyped
        self.protocol.connectionLost(lost(ConnectionLost()))


class Intake(SimpleTestCase):
    async def peer(self) -> Peer:
        made = Peer()
        await made.shake_hands()
        self.addCleanup(made.leave)
        return made

    async def test_is_open_while_the_application_keeps_up(self) -> None:
        peer = await self.peer()
        for _ in range(3):
            peer.sends(TEXT, *[b"x"] * (MAX_WAITING - 1))
            self.assertTrue(peer.is_read)
            await peer.take(MAX_WAITING - 1)

    async def test_is_closed_to_a_flood_until_all_is_taken(self) -> None:
        peer = await self.peer()
        peer.sends(TEXT, *[b"x"] * MAX_WAITING)
        self.assertFalse(peer.is_read)
        await peer.take(MAX_WAITING - 1)
        self.assertFalse(peer.is_read)
        await peer.take(1)
        self.assertTrue(peer.is_read)

    async def test_loses_nothing_and_keeps_the_order(self) -> None:
        peer = await self.peer()
        numbers = [f"{number}".encode() for number in range(3 * MAX_WAITING)]
        peer.sends(TEXT, *numbers)  # what one read held may be more than the bound
        await peer.take(len(numbers))
        self.assertEqual([message["text"].encode() for message in peer.taken], numbers)

    async def test_answers_a_ping_that_came_with_a_flood(self) -> None:
        peer = await self.peer()
        peer.sends(TEXT, *[b"x"] * MAX_WAITING)
        peer.sends(PING, b"here?")
        self.assertEqual(peer.wire.value(), bytes([0x80 | PONG, 5]) + b"here?")

    async def test_opens_for_the_answer_when_the_application_closes(self) -> None:
        peer = await self.peer()
        peer.sends(TEXT, *[b"x"] * MAX_WAITING)
        await peer.send({"type": "websocket.close", "code": 4415})
        self.assertTrue(peer.is_read)
        peer.sends(
            TEXT, *[b"x"] * MAX_WAITING
        )  # on the way already: nobody takes it, and it closes nothing
        self.assertTrue(peer.is_read)
        peer.sends(CLOSE, (4415).to_bytes(2))
        self.assertTrue(peer.wire.disconnecting)
        await peer.take(MAX_WAITING)
        self.assertTrue(
            peer.protocol.application_queue.empty(), "what came after our close is not queued"
        )

    async def test_says_that_the_client_has_gone_after_all_that_it_sent(self) -> None:
        peer = await self.peer()
        peer.sends(TEXT, *[b"x"] * MAX_WAITING)
        peer.sends(CLOSE, (1000).to_bytes(2))
        peer.lose_connection()
        await peer.take(MAX_WAITING + 1)
        self.assertEqual(peer.taken[-1]["type"], "websocket.disconnect")

    async def test_reads_little_at_once(self) -> None:
        self.assertEqual((await self.peer()).wire.bufferSize, READ_BYTES)


class Delivering(SimpleTestCase):
    """An application that asks for messages where they are read."""

    async def begin(
        self, *, before: Sequence[bytes] = (), failing: Exception | None = None
    ) -> Peer:
        self.reads: list[list[bytes]] = []
        self.failing = failing
        peer = Peer()
        await peer.shake_hands()
        self.addCleanup(peer.leave)
        peer.sends(TEXT, *before)
        self.ended = asyncio.create_task(peer.scope["extensions"]["acsmedia.deliver"](self.take))
        await asyncio.sleep(0)
        return peer

    def take(self, messages: Sequence[bytes]) -> None:
        self.reads.append(list(messages))
        if self.failing:
            raise self.failing

    async def test_has_what_one_read_brought_before_the_read_is_over(self) -> None:
        peer = await self.begin()
        peer.sends(TEXT, b"one", b"two")
        self.assertEqual(self.reads, [[b"one", b"two"]])
        peer.sends(BINARY, b"three")
        self.assertEqual(self.reads[-1], [b"three"])
        self.assertTrue(peer.protocol.application_queue.empty())

    async def test_has_what_came_before_it_asked(self) -> None:
        await self.begin(before=[b"one", b"two"])
        self.assertEqual(self.reads, [[b"one"], [b"two"]])

    async def test_hears_all_of_a_read_that_ends_the_socket_and_then_its_code(self) -> None:
        peer = await self.begin()
        peer.protocol.dataReceived(frame(TEXT, b"one") + frame(CLOSE, (4321).to_bytes(2)))
        peer.lose_connection()
        self.assertEqual((await self.ended)["code"], 4321)
        self.assertEqual(self.reads, [[b"one"]])

    async def test_is_told_what_it_raised_itself_and_nothing_more(self) -> None:
        peer = await self.begin(failing=ZeroDivisionError())
        peer.sends(TEXT, b"one")
        peer.sends(TEXT, b"two")
        with self.assertRaises(ZeroDivisionError):
            await self.ended
        self.assertEqual(self.reads, [[b"one"]])

    async def test_is_never_held_back(self) -> None:
        peer = await self.begin()
        peer.sends(TEXT, *[b"x"] * (3 * MAX_WAITING))
        self.assertTrue(peer.is_read)


class Accepting(SimpleTestCase):
    def test_takes_few_new_connections_in_one_turn(self) -> None:
        self.assertTrue(asgi.application, "what mends Daphne has been imported")
        port: Any = tcp.Port(0, WebSocketFactory(None), reactor=reactor)
        port.numberAccepts = 100  # as Twisted does at its start, and with every crowd
        self.assertEqual(port.numberAccepts, MAX_ACCEPTED)
