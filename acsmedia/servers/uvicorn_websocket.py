"""uvicorn's WebSocket protocol on picows, which reads frames in C
(`--ws acsmedia.servers.uvicorn_websocket:PicowsProtocol`).

uvicorn's own protocols cost 37 to 43 µs a message, most of it for parsing frames in Python and for
waking a task with each message. Here frames are parsed and unmasked in C, and an application that
wishes so is called with the messages right where they are read:

    deliver = scope["extensions"]["acsmedia.deliver"]
    event = await deliver(take)     # `take(messages)`: those of one read, as bytes; the event:
    websocket.disconnect

No message waits in a queue then, and TCP alone holds the sender back. `receive` and `send` work as
ASGI has them.

Until the application has accepted the handshake is HTTP, and this protocol speaks it. Then picows
takes the connection over (RFC 6455: frames, masks, pings), and a `Listener` is told what comes
(picows_listener.py).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from base64 import b64decode
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import structlog
from picows import WSAutoPingStrategy, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined] # public in its documentation, not in its stub
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from acsmedia.servers.picows_listener import BROKEN, FAILED, RESTART, Event, Listener, Take

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 64 * 1024
"""The kernel's receive buffer of a socket (it takes twice as much, for its own bookkeeping): the
most that one read can hold, so how long a flooded socket holds up the others, and what a killed
process had not read. ACS sends 4 kB in 20 ms.
"""

READ_BYTES = 4 * 1024
"""picows' first read buffer of a socket: four packets. It doubles whenever a read has filled it."""

HEAD = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
"""What picows is shown of a request, whose key alone it needs: it knows no `Connection: keep-alive,
Upgrade`, which Firefox sends, and no head of more than 16 kB.
"""

Headers = list[tuple[bytes, bytes]]


class PicowsProtocol(asyncio.Protocol):
    """One connection that asks to become a WebSocket. TCP only: picows sets TCP_NODELAY."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server: Any = server_state  # uvicorn types its sets for its own protocols
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._key = b""  # Sec-WebSocket-Key
        self._is_told = False  # that there is a handshake, or that its client is gone
        self._is_answered = False
        self._status = 0  # of an answer that is no acceptance
        self._headers: Headers = []
        self._gone = asyncio.Event()
        self._listener: Listener | None = None  # once the application has accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """The request, as uvicorn's HTTP parser has put it together again; nothing is read before
        it is answered.
        """
        self._transport.pause_reading()
        scope = self._scope(data)
        headers = dict(scope["headers"])
        self._key = headers.get(b"sec-websocket-key", b"")
        if headers.get(b"sec-websocket-version") != b"13" or not _is_key(self._key):
            self._respond(HTTPStatus.BAD_REQUEST)
            return
        task = self._loop.create_task(self._run(scope), name="websocket")
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """Before the application has accepted: afterwards the listener is told."""
        self._gone.set()
        self._server.connections.discard(self)

    def shutdown(self) -> None:
        """The server goes away."""
        if self._listener:
            self._listener.leave(RESTART)
        elif not self._is_answered:
            self._respond(HTTPStatus.SERVICE_UNAVAILABLE)

    def _scope(self, request: bytes) -> dict[str, Any]:
        """What ASGI says of a handshake (asgi.readthedocs.io, "WebSocket Connection Scope")."""
        head, *lines = request.split(b"\r\n\r\n")[0].split(b"\r\n")
        raw_path, _, query_string = head.split(b" ")[1].partition(b"?")
        pairs = (line.split(b":", 1) for line in lines)
        headers = [(name.lower(), value.strip()) for name, value in pairs]
        protocols = [value for name, value in headers if name == b"sec-websocket-protocol"]
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": self._config.root_path,
            "path": self._config.root_path + unquote(raw_path.decode("latin-1")),
            "raw_path": self._config.root_path.encode() + raw_path,
            "query_string": query_string,
            "headers": headers,
            "subprotocols": [
                one.strip().decode("latin-1") for value in protocols for one in value.split(b",")
            ],
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, "acsmedia.deliver": self._deliver},
        }

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._config.loaded_app(cast("Any", scope), self._receive, self._send)
        except ClientDisconnected:
            log.debug("client had gone")  # whoever sends to it is told so, and may leave it at that
        except Exception:
            log.exception("application failed")
        finally:  # also an application that has returned without an answer, or without closing
            if self._listener:
                self._listener.close(FAILED)
            elif not self._is_answered:
                self._respond(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _deliver(self, take: Take) -> Event:
        """Hands messages to `take` as they are read; the websocket.disconnect. Raises what `take`
        has raised.
        """
        assert self._listener, "messages come once the application has accepted"
        return await self._listener.deliver(take)

    async def _receive(self) -> Event:
        if not self._is_told:
            self._is_told = True
            return {"type": "websocket.connect"}
        if self._listener:
            return await self._listener.receive()
        await self._gone.wait()
        return {"type": "websocket.disconnect", "code": BROKEN}

    async def _send(self, message: Event) -> None:
        if self._listener:
            await self._listener.send(message)
        elif self._gone.is_set() or self._transport.is_closing():
            raise ClientDisconnected
        else:
            self._answer(message)

    def _answer(self, message: Event) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message.get("subprotocol"), message.get("headers", []))
        elif kind == "websocket.close":
            self._respond(HTTPStatus.FORBIDDEN)
        elif kind == "websocket.http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        elif kind == "websocket.http.response.body" and self._status:
            self._respond(self._status, self._headers, message.get("body", b""))
        else:
            raise RuntimeError(f"{kind} does not answer a handshake")

    def _respond(self, status: int, headers: Headers | None = None, body: bytes = b"") -> None:
        """Refuses with one part of body, as all of ours have."""
        self._is_answered = True
        shown = [
            *_texts(headers or []),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in shown)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n"
        self._transport.write(head.encode("latin-1") + body)
        self._transport.close()

    def _accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Lets picows answer the request, and hands it the connection."""
        extra = _texts([*self._server.default_headers, *headers])
        if subprotocol:
            extra.append(("Sec-WebSocket-Protocol", subprotocol))
        listener = Listener(self._config.ws_max_size, lambda: self.connection_lost(None))
        response = WSUpgradeResponse.create_101_response(extra)
        picows = self._picows(lambda _request: WSUpgradeResponseWithListener(response, listener))
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES
        )
        picows.connection_made(self._transport)
        _feed(picows, HEAD % self._key)
        assert listener.is_connected, "picows is shown a request that it accepts"
        self._is_answered, self._listener = True, listener
        self._transport.set_protocol(picows)
        self._transport.resume_reading()

    def _picows(self, listener_factory: Any) -> Any:
        return WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=listener_factory,
            logger=logging.getLogger("picows"),
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,  # it is over
            enable_auto_ping=bool(self._config.ws_ping_interval),
            auto_ping_idle_timeout=self._config.ws_ping_interval,
            auto_ping_reply_timeout=self._config.ws_ping_timeout,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,  # the listener answers: it has to see the end of each read
            max_frame_size=self._config.ws_max_size,
            extra_headers=None,
            read_buffer_init_size=READ_BYTES,
        )


def _is_key(key: bytes) -> bool:
    """16 bytes in base64 (RFC 6455, section 4.1)."""
    try:
        return len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def _texts(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _feed(protocol: Any, request: bytes) -> None:
    """As if it came from the network."""
    while request:
        room = protocol.get_buffer(-1)
        taken = min(len(room), len(request))
        room[:taken] = request[:taken]
        protocol.buffer_updated(taken)
        request = request[taken:]
