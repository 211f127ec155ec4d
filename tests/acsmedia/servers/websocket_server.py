"""A uvicorn with the WebSocket protocol on picows, and small applications, for its tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from queue import Queue
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame

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


def handshake(key: str, version: str) -> bytes:
    return (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\r\n".encode()
    )


async def first_connection(served: Served) -> Any:
    """Waits for the only socket to be accepted; returns its protocol."""
    await until(lambda: any(getattr(one, "_listener", None) for one in served.connections))
    (protocol,) = served.connections
    return protocol
