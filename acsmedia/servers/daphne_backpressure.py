"""Backpressure for Daphne: slow readers, bursts of connections, and no queue to lose in a crash;
and the close codes of RFC 6455.

Daphne 4.2.3 keeps reading a WebSocket and queues every message. A flooding socket then takes memory
for as long as it floods. Its queue also grows by more per iteration of the event loop than an
application takes in one, so it starves every other socket. uvicorn stops reading by itself. And
Twisted accepts a hundred connections in one iteration; their handshakes, 2 ms each, then all run in
the next one.

Queued messages are lost if the process is killed. So an application may request messages as they
are read, as on uvicorn (`acsmedia.servers.uvicorn_websocket`):
`scope["extensions"]["acsmedia.deliver"]`.

Daphne reports a close frame without a code as None, and resets the connection at a message that is
too long. Here the former is 1005, and the latter is answered with 1009, as on uvicorn.
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
"""Reading from a socket pauses when this many of its messages are queued, and resumes when the
queue is empty.
"""

READ_BYTES = 4 * 1024
"""Bytes per read. Twisted would read 64 kB: 10,000 of the smallest frames, all parsed in one
iteration of the event loop. The messages of one read may exceed `MAX_WAITING`.
"""

MAX_ACCEPTED = 1
"""Connections accepted per iteration of the event loop. Others wait in the kernel's queue of 50;
beyond that, clients retry after a second.
"""

NO_CODE = 1005  # the close frame has no code
TOO_BIG = 1009

CLOSE_SECONDS = 5.0
"""Time for a client whose message was too long to answer our close frame. The rest of its message
is read until then: the kernel resets a connection that is closed with unread bytes, and a client
loses our close frame in a reset.
"""

IDLE_SECONDS = 1.0
"""Time without messages or pings after which a socket sends a pong."""

Take = Callable[[Sequence[bytes]], None]

_create_application = Server.create_application


def limit_intake() -> None:
    """Patches Daphne. Must be called once, before it serves."""

    def create_application(server: Server, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, BackpressureProtocol):
            scope = {**scope, "extensions": {"acsmedia.deliver": protocol.deliver}}
        return _create_application(server, protocol, scope)

    WebSocketFactory.protocol = BackpressureProtocol
    Server.create_application = create_application
    # Twisted assigns it again at every burst, so assignments must be ignored.
    Port.numberAccepts = property(lambda _: MAX_ACCEPTED, lambda _, __: None)  # type: ignore[assignment]


class BackpressureProtocol(WebSocketProtocol):  # type: ignore[misc] # daphne is untyped
    """Reads a socket only as fast as its application takes messages, or delivers them as read.

    On a socket that is not read, a disconnect goes unnoticed. If the application never takes
    messages again, Daphne's own pings close the socket: one is sent after 20 s, and its answer is
    not read either.
    """

    _waiting: Queue[dict[str, Any]]
    _is_paused = False
    _take: Take | None = None
    _failure: Exception | None = None
    last_ping: float  # of Daphne
    _own_code: int | None = None  # with which this protocol has closed the socket

    async def deliver(self, take: Take) -> dict[str, Any]:
        """Calls `take` with messages as they are read; returns the websocket.disconnect.

        Exceptions of `take` are raised here.
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
        self._deliver_read()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803, FBT001
        self._deliver_read()
        if wasClean and code is None:
            code = NO_CODE
        super().onClose(wasClean, self._own_code or code, reason)

    def check_timeouts(self) -> None:
        """Called every two seconds. Pings go on although the clock has been set back since the last
        one.

        An idle socket sends a pong, which needs no answer (RFC 6455, section 5.5.3): a proxy in
        front must hear from it more often than Daphne can ping (`proxy_read_timeout` in
        deploy/nginx/locations.conf).
        """
        self.last_ping = min(self.last_ping, time.time())
        super().check_timeouts()
        if time.time() - self.last_ping > IDLE_SECONDS:
            self.sendPong()  # does nothing unless the socket is open

    def _max_message_size_exceeded(self, *_arguments: Any) -> None:
        """Closes with 1009, and tells the application at once. The client may take a while to
        answer.
        """
        self._deliver_read()
        self._own_code, self._take = TOO_BIG, None
        self._waiting.put_nowait({"type": "websocket.disconnect", "code": TOO_BIG})
        self.failedByMe = True  # Autobahn then discards what it reads, but still checks texts
        self.utf8validateIncoming = self.utf8validateIncomingCurrentMessage = False
        self.closeHandshakeTimeout = CLOSE_SECONDS
        self.sendCloseFrame(code=TOO_BIG, reasonUtf8=b"message too long")

    def _deliver_read(self) -> None:
        """Delivers the messages read so far. Failures are raised in `deliver`."""
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
        # The application already holds the queue's `get`, so the queue itself must report each
        # removal: asyncio.Queue calls `_get` for subclasses to override.
        get = application_queue._get  # noqa: SLF001

        def get_and_resume() -> dict[str, Any]:
            message = get()
            if self._is_paused and application_queue.empty():
                self._resume_reading()
            return message

        application_queue._get = get_and_resume  # type: ignore[method-assign] # noqa: SLF001
        super().applicationCreateWorked(application_queue)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803, FBT001
        if self.state != self.STATE_OPEN or self._failure:
            return  # closing: the application takes no more messages
        if self._take:
            self.last_ping = time.time()
            self._messages.append(payload)
            return
        super().onMessage(payload, isBinary)
        if not self._is_paused and self._waiting.qsize() >= MAX_WAITING:
            self._is_paused = True
            self.transport.pauseProducing()

    def sendCloseFrame(self, *arguments: Any, **named: Any) -> None:  # noqa: N802
        """Resumes reading for the client's close frame, even if messages are still queued."""
        super().sendCloseFrame(*arguments, **named)
        self._resume_reading()

    def _resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.transport.resumeProducing()
