"""uvicorn's HTTP protocol with limits for request heads: their time and their size.

Used with `--http acsmedia.servers.uvicorn_http:HeadTimeoutProtocol`. uvicorn itself waits forever
for the rest of a request, and each waiting connection holds a file descriptor; and it keeps a head
of any size in memory. Bodies: `acsmedia.servers.request_limits`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0
"""From the connection, or from the first byte of a later request on it, to the end of the head."""


HEAD_BYTES = 64 * 1024
"""Largest request head. That of ACS has 2 kB, most of it a token; Twisted allows 16 kB a line."""

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class HeadTimeoutProtocol(HttpToolsProtocol):
    """Closes a connection whose request head does not arrive in time, or is too large."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    # the signature of uvicorn's own protocol
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._start_timer()
        super().data_received(data)
        if self._timer:  # the head is not complete
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()

    def on_headers_complete(self) -> None:
        self._cancel_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _cancel_timer(self) -> None:
        self._head_bytes = 0
        if self._timer:
            self._timer.cancel()
            self._timer = None
