"""A media socket that only keeps what it receives, for tests of the simulator."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


@dataclass
class RecordedSocket:
    """One socket: the request that opened it, the messages in order, the close code."""

    path: str
    headers: list[tuple[str, str]]
    messages: list[dict[str, Any]] = field(default_factory=list)
    close_code: int | None = None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def packets(self, raw_id: str | None = None) -> list[dict[str, Any]]:
        """Returns the `audioData` members, of one participant if `raw_id` is given ("" = mixed
        audio).
        """
        audio = [
            message["audioData"] for message in self.messages if message["kind"] == "AudioData"
        ]
        return [one for one in audio if raw_id is None or one.get("participantRawID", "") == raw_id]

    def pcm(self, raw_id: str | None = None) -> bytes:
        return b"".join(b64decode(packet["data"], validate=True) for packet in self.packets(raw_id))


@dataclass
class FakeRecorder:
    """`close_after` n closes each socket after n messages with `close_code`; `refuse` refuses the
    next handshakes; `moved_to` redirects all of them to this address.

    `heard` is awaited after every message with the number received so far.
    """

    sockets: list[RecordedSocket] = field(default_factory=list)
    refuse: list[HTTPStatus] = field(default_factory=list)
    moved_to: str = ""
    close_after: int | None = None
    close_code: int = 1000
    heard: Callable[[int], Awaitable[None]] | None = None
    url: str = ""

    async def receive(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        socket = RecordedSocket(
            connection.request.path, list(connection.request.headers.raw_items())
        )
        self.sockets.append(socket)
        try:
            async for message in connection:
                socket.messages.append(json.loads(message))
                if self.heard is not None:
                    await self.heard(len(socket.messages))
                if len(socket.messages) == self.close_after:
                    await connection.close(self.close_code, "enough")
        except ConnectionClosed:
            return  # aborted, with the close code below
        finally:
            await connection.wait_closed()
            socket.close_code = connection.close_code

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse:
            return connection.respond(self.refuse.pop(0), "no\n")
        if self.moved_to:
            response = connection.respond(HTTPStatus.TEMPORARY_REDIRECT, "moved\n")
            response.headers["Location"] = self.moved_to
            return response
        return None


@asynccontextmanager
async def recording(
    recorder: FakeRecorder | None = None, *, port: int = 0
) -> AsyncIterator[FakeRecorder]:
    """Serves until the block ends, then waits for every socket to be closed."""
    recorder = recorder or FakeRecorder()
    server: Server
    async with serve(
        recorder.receive, "127.0.0.1", port, process_request=recorder.answer
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        recorder.url = f"ws://127.0.0.1:{port}/ws/acs/media"
        yield recorder
