"""Daphne, when a client sends faster than its application takes, or when clients come in crowds.

Daphne 4.2.3 reads a WebSocket on without end and queues what it has read. One flooding socket then takes memory for as
long as it floods, and since the queue grows by more in a turn of the event loop than an application takes in one, it
takes the turns of every other socket as well. uvicorn stops reading by itself. And Twisted accepts a hundred
connections in one turn, whose handshakes, 2 ms each, are then all in the next one.
"""

from __future__ import annotations

from asyncio import Queue
from typing import Any

from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.tcp import Port

MOST_WAITING = 32
"""Messages that an application has not taken yet, at which its socket is read no further; read on when none is left."""

READ_BYTES = 4 * 1024
"""Read at once, where Twisted would read 64 kB: in the smallest frames those are 10,000, taken apart in one turn. What
one read holds may wait beyond `MOST_WAITING`."""

MOST_ACCEPTED = 1
"""Connections accepted in one turn of the event loop; the others wait in the kernel: 50, and beyond that their clients
try again after a second."""


def hold_floods_and_crowds_back() -> None:
    """To be called once, before Daphne serves."""
    WebSocketFactory.protocol = HoldingProtocol
    # Twisted sets it anew with every crowd, so what it sets has to be ignored.
    Port.numberAccepts = property(lambda _: MOST_ACCEPTED, lambda _, __: None)  # type: ignore[assignment]


class HoldingProtocol(WebSocketProtocol):  # type: ignore[misc] # daphne is untyped
    """A socket that is read only as fast as its application takes.

    Nobody sees the other side go on a socket that is not read. Where the application never takes anything again,
    Daphne's own pings end it: one goes out after 20 s, and its answer is not read either.
    """

    _waiting: Queue[dict[str, Any]]
    _held = False

    def onConnect(self, request: Any) -> Any:  # noqa: N802 - the name is Autobahn's
        self.transport.bufferSize = READ_BYTES
        return super().onConnect(request)

    def applicationCreateWorked(self, application_queue: Queue[dict[str, Any]]) -> None:  # noqa: N802
        self._waiting = application_queue
        # The application has the queue's `get` already, so the queue itself has to say what is taken: `_get` is what
        # asyncio lets others replace for that.
        application_queue._get = self._taken  # type: ignore[method-assign] # noqa: SLF001
        super().applicationCreateWorked(application_queue)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803, FBT001
        if self.state != self.STATE_OPEN:  # we are closing: the application takes nothing more
            return
        super().onMessage(payload, isBinary)
        if not self._held and self._waiting.qsize() >= MOST_WAITING:
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
