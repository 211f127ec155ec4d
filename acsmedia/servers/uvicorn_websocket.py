"""uvicorn's WebSocket protocol on picows, which parses frames in C.

Used with `--ws acsmedia.servers.uvicorn_websocket:PicowsProtocol`. uvicorn's own protocols cost 37
to 43 µs per message, most of it for parsing frames in Python and for waking a task for each
message. Here frames are parsed and unmasked in C, and an application may have its callback called
with the messages as they are read:

    deliver = scope["extensions"]["acsmedia.deliver"]
    disconnect = await deliver(take)  # calls `take(messages)` with the messages of one read

No message is queued then, and TCP provides the backpressure. `receive` and `send` work as in ASGI.

Until the application accepts, the handshake is HTTP, which this protocol handles. Then picows takes
over the connection (RFC 6455: frames, masks, pings) and calls a `Listener` (picows_listener.py).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from base64 import b64decode
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import structlog
from picows import WSAutoPingStrategy, WSUpgradeResponse, WSUpgradeResponseWithListener

# public in its documentation, not in its stub
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from acsmedia.servers.picows_listener import (
    ABNORMAL_CLOSURE,
    INTERNAL_ERROR,
    SERVICE_RESTART,
    Event,
    Listener,
    Take,
)

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 64 * 1024
"""Receive buffer of a socket in the kernel, which allocates twice this for its own bookkeeping. It
bounds a single read, so how long a flooded socket delays the others, and how much a killed process
has not read. ACS sends 4 kB in 20 ms.
"""

READ_BYTES = 4 * 1024
"""Initial read buffer of picows: four packets. It doubles whenever a read fills it."""

HEAD = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
"""The request head passed to picows, with the key of the real one. picows rejects `Connection:
keep-alive, Upgrade`, which Firefox sends, and heads of more than 16 kB.
"""

Headers = list[tuple[bytes, bytes]]


class PicowsProtocol(asyncio.Protocol):
    """One connection with a WebSocket handshake. TCP only: picows sets TCP_NODELAY."""

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
        self._connect_received = False  # by the application
        self._is_answered = False
        self._status = 0  # of a refusal
        self._headers: Headers = []
        self._disconnected = asyncio.Event()
        self._listener: Listener | None = None  # once the application has accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Receives the request head, reassembled by uvicorn's HTTP parser. Reading is paused until
        the request is answered.
        """
        self._transport.pause_reading()
        scope = self._scope(data)
        headers = dict(scope["headers"])
        self._key = headers.get(b"sec-websocket-key", b"")
        is_key = False
        with suppress(ValueError):  # RFC 6455, section 4.1: 16 bytes in base64
            is_key = len(b64decode(self._key, validate=True)) == 16
        if headers.get(b"sec-websocket-version") != b"13" or not is_key:
            self._respond(HTTPStatus.BAD_REQUEST)
            return
        task = self._loop.create_task(self._run(scope), name="websocket")
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport before the application accepts, by the listener afterwards."""
        self._disconnected.set()
        self._server.connections.discard(self)

    def shutdown(self) -> None:
        """Closes the socket, or refuses the handshake, because the server stops."""
        if self._listener:
            self._listener.close_now(SERVICE_RESTART)
        elif not self._is_answered:
            self._respond(HTTPStatus.SERVICE_UNAVAILABLE)

    def _scope(self, request: bytes) -> dict[str, Any]:
        """Returns the ASGI scope (asgi.readthedocs.io, "WebSocket Connection Scope")."""
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
            "extensions": {"websocket.http.response": {}, "acsmedia.deliver": self.deliver},
        }

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._config.loaded_app(cast("Any", scope), self.receive, self.send)
        except ClientDisconnected:
            log.debug("client disconnected")  # while sending; the application need not handle it
        except Exception:
            log.exception("application failed")
        finally:  # also if the application returns without answering or closing
            if self._listener:
                self._listener.close(INTERNAL_ERROR)
            elif not self._is_answered:
                self._respond(HTTPStatus.INTERNAL_SERVER_ERROR)

    # --- the application ---

    async def deliver(self, take: Take) -> Event:
        """Calls `take` with messages as they are read; returns the websocket.disconnect.

        Exceptions of `take` are raised here.
        """
        assert self._listener, "messages come once the application has accepted"
        return await self._listener.deliver(take)

    async def receive(self) -> Event:
        if not self._connect_received:
            self._connect_received = True
            return {"type": "websocket.connect"}
        if self._listener:
            return await self._listener.receive()
        await self._disconnected.wait()
        return {"type": "websocket.disconnect", "code": ABNORMAL_CLOSURE}

    async def send(self, message: Event) -> None:
        """Raises `ClientDisconnected` if the socket is closed."""
        if self._listener:
            await self._listener.send(message)
            return
        if self._disconnected.is_set() or self._transport.is_closing():
            raise ClientDisconnected
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

    # --- the answer to the handshake ---

    def _respond(self, status: int, headers: Headers | None = None, body: bytes = b"") -> None:
        """Sends a refusal whose body is a single part, as in all refusals of this project."""
        self._is_answered = True
        fields = [
            *_texts(headers or []),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n"
        self._transport.write(head.encode("latin-1") + body)
        self._transport.close()

    def _accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Lets picows answer the request and take over the connection."""
        extra = _texts([*self._server.default_headers, *headers])
        if subprotocol:
            extra.append(("Sec-WebSocket-Protocol", subprotocol))
        listener = Listener(self._config.ws_max_size, lambda: self.connection_lost(None))
        response = WSUpgradeResponse.create_101_response(extra)
        upgrade = WSUpgradeResponseWithListener(response, listener)
        picows = self._picows_protocol(lambda _request: upgrade)
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES
        )
        picows.connection_made(self._transport)
        request = HEAD % self._key
        while request:  # passed on as if it came from the network
            buffer = picows.get_buffer(-1)
            size = min(len(buffer), len(request))
            buffer[:size] = request[:size]
            picows.buffer_updated(size)
            request = request[size:]
        assert listener.is_connected, "HEAD is a request that picows accepts"
        self._is_answered, self._listener = True, listener
        self._transport.set_protocol(picows)
        self._transport.resume_reading()

    def _picows_protocol(self, listener_factory: Any) -> Any:
        return WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=listener_factory,
            logger=logging.getLogger("picows"),
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,  # already done
            enable_auto_ping=bool(self._config.ws_ping_interval),
            auto_ping_idle_timeout=self._config.ws_ping_interval,
            auto_ping_reply_timeout=self._config.ws_ping_interval,  # see MISSED_PINGS
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,  # the listener answers: it has to see the end of each read
            max_frame_size=self._config.ws_max_size,
            extra_headers=None,
            read_buffer_init_size=READ_BYTES,
        )


def _texts(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
