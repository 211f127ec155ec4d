"""An HTTP gateway between the product and its object store that injects faults on order, so that
the product's own client library meets them.

Requests are forwarded one at a time, each over a new connection, so an order takes effect at the
next request, whatever connections the client keeps.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.servers import free_port

PASS_ON, REFUSE, HANG, BREAK_OFF, KEEP_HALF, BUSY = (
    "pass-on",
    "refuse",
    "hang",
    "break-off",
    "keep-half",
    "busy",
)
BUSY_BODY = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your '
    b"request rate.</Message></Error>"
)
HEADERS_END = b"\r\n\r\n"
MAX_HEADER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received: `head` up to the empty line, and the complete `body`."""

    method: str
    path: str
    head: bytes
    body: bytes

    @property
    def is_upload(self) -> bool:
        return self.method == "PUT" and bool(self.body)


class Gateway:
    """An async context manager; clients connect to `port`. Its orders:

    pass-on: forwards. refuse: does not listen. hang: accepts requests and never answers.
    break-off: forwards half of an upload, then aborts. keep-half: confirms an upload, but keeps
    half of it. busy: answers 503, as a store that throttles.
    """

    def __init__(self, behind_port: int, keep_half: Callable[[str], Awaitable[None]]) -> None:
        """`keep_half` takes the path of an upload and truncates the stored object to half."""
        self.port = free_port()
        self.obeyed: Counter[str] = Counter()
        self._behind_port = behind_port
        self._keep_half = keep_half
        self._order = PASS_ON
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()
        if self._serving:
            await asyncio.wait(self._serving)

    async def obey(self, order: str) -> None:
        """Sets the order from now on, also for pending requests; a new order ends hanging ones."""
        self._order = order
        self._leave()
        if order != REFUSE:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, limit=MAX_HEADER_BYTES
        )

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    def _leave(self) -> None:
        if self._server:
            self._server.close()
        self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):  # either end has disconnected
            while await self._answer(await read_request(reader, writer), writer):
                pass
        self._open.discard(writer)
        writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answers a request; returns whether the connection stays open."""
        order = self._order
        if order in {BREAK_OFF, KEEP_HALF} and not request.is_upload:
            order = PASS_ON
        self.obeyed[order] += 1
        if order == HANG:
            await writer.wait_closed()
            return False
        if order == BREAK_OFF:
            await self._behind(request, request.body[: len(request.body) // 2], whole=False)
            writer.transport.abort()
            return False
        if order == BUSY:
            answer = _busy(request)
        else:
            answer = await self._behind(request, request.body, whole=True)
        if order == KEEP_HALF:
            await self._keep_half(request.path)
        writer.write(answer)
        await writer.drain()
        return (
            b"\r\nContent-Length: " in answer.partition(HEADERS_END)[0].title()
            or request.method == "HEAD"
        )

    async def _behind(self, request: Request, body: bytes, *, whole: bool) -> bytes:
        """Forwards a request to the store and returns its answer.

        Unless `whole`, the connection is aborted after `body`, without an answer.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self._behind_port)
        self._open.add(writer)
        try:
            writer.write(_with_header(request.head, b"Connection: close") + body)
            await writer.drain()
            return _without(await reader.read(-1), b"connection") if whole else b""
        finally:
            self._open.discard(writer)
            writer.close()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    """Reads one request. Raises `asyncio.IncompleteReadError` if the client disconnects."""
    head = await reader.readuntil(HEADERS_END)
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert "transfer-encoding" not in headers, "the clients of both stores send Content-Length"
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path.partition("?")[0], _without(head, b"expect"), body)


def _busy(request: Request) -> bytes:
    body = b"" if request.method == "HEAD" else BUSY_BODY
    head = (
        f"Content-Type: application/xml\r\nx-ms-error-code: ServerBusy\r\nContent-Length: "
        f"{len(body)}"
    )
    return f"HTTP/1.1 503 Slow Down\r\n{head}\r\n\r\n".encode() + body


def _with_header(head: bytes, header: bytes) -> bytes:
    return _without(head, b"connection").removesuffix(HEADERS_END) + b"\r\n" + header + HEADERS_END


def _without(message: bytes, name: bytes) -> bytes:
    """Returns the message without one header."""
    head, _, body = message.partition(HEADERS_END)
    lines = [line for line in head.split(b"\r\n") if line.partition(b":")[0].lower() != name]
    return b"\r\n".join(lines) + HEADERS_END + body
