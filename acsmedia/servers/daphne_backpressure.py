"""Daphne, when a client sends faster than its application takes, when clients come in crowds, or
when the process dies.

Daphne 4.2.3 reads a WebSocket on without end and queues what it has read. One flooding socket then
takes memory for as long as it floods, and since the queue grows by more in a turn of the event loop
than an application takes in one, it takes the turns of every other socket as well. uvicorn stops
reading by itself. And Twisted accepts a hundred connections in one turn, whose handshakes, 2 ms
each, are then all in the next one.

What waits in a queue is lost when the process is killed. So an application may ask for messages
where they are read, as on uvicorn (`acsmedia.servers.uvicorn_websocket`):
`scope["extensions"]["acsmedia.deliver"]`.
"""

from __future__ import annotations

import time
from asyncio import Queue
from collections.abc import Callable, Sequence
from typing import Any

from daphne.server import Server
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.tcp import Port

MAX_WAITING = 32
"""Messages that an application has not taken yet, at which its socket is read no further; read on
when none is left.
"""

READ_BYTES = 4 * 1024
"""Read at once, where Twisted would read 64 kB: in the smallest frames those are 10,000, taken
apart in one turn. What one read holds may wait beyond `MAX_WAITING`.
"""

MAX_ACCEPTED = 1
"""Connections accepted in one turn of the event loop; the others wait in the kernel: 50, and beyond
that their clients try again after a second.
"""


Take = Callable[[Sequence[bytes]], None]

_create_application = Server.create_application


def limit_intake() -> None:
    """To be called once, before Daphne serves."""
    WebSocketFactory.protocol = BackpressureProtocol
    Server.create_application = _create_delivering_application
    # Twisted sets it anew with every crowd, so what it sets has to be ignored.
    Port.numberAccepts = property(lambda _: MAX_ACCEPTED, lambda _, __: None)  # type: ignore[assignment]


def _create_delivering_application(server: Server, protocol: Any, scope: dict[str, Any]) -> Any:
    if isinstance(protocol, BackpressureProtocol):
        scope = {**scope, "extensions": {"acsmedia.deliver": protocol.deliver}}
    return _create_application(server, protocol, scope)


class BackpressureProtocol(WebSocketProtocol):  # type: ignore[misc] # daphne is untyped
    """A socket that is read only as fast as its application takes, or hands over what it reads at
    once.

    Nobody sees the other side go on a socket that is not read. Where the application never takes
    anything again, Daphne's own pings end it: one goes out after 20 s, and its answer is not read
    either.
    """

    _waiting: Queue[dict[str, Any]]
    _held = False
    _take: Take | None = None
    _failure: Exception | None = None

    async def deliver(self, take: Take) -> dict[str, Any]:
        """Hands messages to `take` as they are read; the websocket.disconnect. Raises what `take`
        has raised.
        """
        while not self._waiting.empty():
            event = self._waiting.get_nowait()
            if event["type"] != "websocket.receive":
                return event
            take([event["bytes"] if "bytes" in event else event["text"].encode()])
        self._messages: list[bytes] = []
        self._take = take
        event = await self._waiting.get()
        if self._failure:
            raise self._failure
        return event

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        super().dataReceived(data)
        self._hand_over()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803, FBT001
        self._hand_over()
        super().onClose(wasClean, code, reason)

    def _hand_over(self) -> None:
        """What one read has brought. What the application cannot take is raised where it waits."""
        if self._take is None or not self._messages:
            return
        messages, self._messages = self._messages, []
        try:
            self._take(messages)
        except Exception as failure:  # noqa: BLE001 - see above
            self._take, self._failure = None, failure
            self._waiting.put_nowait({"type": "websocket.disconnect"})

    def onConnect(self, request: Any) -> Any:  # noqa: N802 - the name is Autobahn's
        self.transport.bufferSize = READ_BYTES
        return super().onConnect(request)

    def applicationCreateWorked(self, application_queue: Queue[dict[str, Any]]) -> None:  # noqa: N802
        self._waiting = application_queue
        # The application has the queue's `get` already, so the queue itself has to say what is
        # taken: `_get` is what asyncio lets others replace for that.
        application_queue._get = self._taken  # type: ignore[method-assign] # noqa: SLF001
        super().applicationCreateWorked(application_queue)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803, FBT001
        if (
            self.state != self.STATE_OPEN or self._failure
        ):  # we are closing: the application takes nothing more
            return
        if self._take:
            self.last_ping = time.time()
            self._messages.append(payload)
            return
        super().onMessage(payload, isBinary)
        if not self._held and self._waiting.qsize() >= MAX_WAITING:
            self._held = True
            self.transport.pauseProducing()

    def sendCloseFrame(self, *arguments: Any, **named: Any) -> None:  # noqa: N802
        """The answer to it has to be read, whatever the application has left."""
        super().sendCloseFrame(*arguments, **named)
        self._read_on()

    def _taken(self) -> dict[str, Any]:
        message = type(self._waiting)._get(self._waiting)  # noqa: SLF001
        if self._held and self._waiting.empty():
            self._read_on()
        return message

    def _read_on(self) -> None:
        if self._held:
            self._held = False
            self.transport.resumeProducing()
