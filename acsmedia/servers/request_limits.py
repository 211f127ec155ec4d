"""Largest and slowest requests: forms and REST are small, and nobody uploads audio.

uvicorn and Daphne take a body of any length, from anybody, into memory or onto the disk. Here a
request that announces too much is refused at once, and one that sends too much is cut off. Twisted
bounds the size of request heads by itself, to 16 KiB; for uvicorn see
`acsmedia.servers.uvicorn_http`.

Both wait forever for a request whose bytes arrive one by one, and each waiting connection holds a
file descriptor. Here a request has `REQUEST_SECONDS` to arrive; its head has less on uvicorn.
"""

from __future__ import annotations

import asyncio
from typing import Any

from daphne.http_protocol import WebRequest
from twisted.protocols.policies import TimeoutMixin
from twisted.web.http import HTTPChannel

MAX_BODY_BYTES = 1024 * 1024
"""As `client_max_body_size` of nginx (deploy/nginx/nginx.conf)."""

REQUEST_SECONDS = 60.0
"""From the first byte of a request to its last one on Daphne, as Twisted's own limit between two
bytes; on uvicorn from the end of its head.
"""

MAX_DIGITS = 18
"""Digits of a length that are read: a longer one is too large anyway."""

TOO_LARGE = b"The body of this request is too large.\n"
TOO_SLOW = b"The body of this request did not arrive in time.\n"
_REFUSAL = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(TOO_LARGE), TOO_LARGE)
)


class BodyTooLarge(Exception):
    """The client has sent more than `MAX_BODY_BYTES`."""


class BodyTooSlow(Exception):
    """The body has not arrived in `REQUEST_SECONDS`."""


class _Body:
    """The body of a request, as far as it has arrived."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + REQUEST_SECONDS
        self._bytes, self._is_complete = 0, False

    async def receive(self) -> dict[str, Any]:
        """Returns the next message. Raises `BodyTooLarge` and `BodyTooSlow`."""
        try:
            async with asyncio.timeout_at(None if self._is_complete else self._deadline):
                message: dict[str, Any] = await self._receive()
        except TimeoutError:
            raise BodyTooSlow from None
        self._is_complete = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._bytes > MAX_BODY_BYTES:
            raise BodyTooLarge
        return message


class BodyLimit:
    """ASGI middleware that answers 413 to a body that is too large, 408 to one that is too slow."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if announced_length(scope["headers"]) > MAX_BODY_BYTES:
            await _refuse(send, 413, TOO_LARGE)
            return
        has_started = False

        async def send_noting(message: dict[str, Any]) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._application(scope, _Body(receive).receive, send_noting)
        except (BodyTooLarge, BodyTooSlow) as error:
            answer = (413, TOO_LARGE) if isinstance(error, BodyTooLarge) else (408, TOO_SLOW)
            if not has_started:
                await _refuse(send, *answer)


def announced_length(headers: Any) -> int:
    """Returns Content-Length; 0 if there is none, or nonsense, which the servers refuse."""
    values = [value for name, value in headers if name == b"content-length" and value.isdigit()]
    # Python refuses to read numbers of thousands of digits.
    return max((int(value[:MAX_DIGITS]) for value in values), default=0)


async def _refuse(send: Any, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def limit_daphne_bodies() -> None:
    """Patches Daphne, which reads a whole body before it calls the application."""
    got_length, handle_chunk = WebRequest.gotLength, WebRequest.handleContentChunk

    def limited_length(request: WebRequest, length: int | None) -> None:
        got_length(request, min(length, MAX_BODY_BYTES) if length else length)
        if length and length > MAX_BODY_BYTES:
            _cut_off(request)

    def limited_chunk(request: WebRequest, data: bytes) -> None:
        if request.channel is None:
            return  # it has been cut off
        if request.content.tell() + len(data) > MAX_BODY_BYTES:
            _cut_off(request)
        else:
            handle_chunk(request, data)

    WebRequest.gotLength, WebRequest.handleContentChunk = limited_length, limited_chunk


def _cut_off(request: WebRequest) -> None:
    request.channel.transport.write(_REFUSAL)
    request.channel.loseConnection()


def limit_daphne_time() -> None:
    """Patches Twisted, whose time limit begins again with every byte of a request."""
    all_content_received: Any = HTTPChannel.allContentReceived
    begin_timeout: Any = TimeoutMixin.resetTimeout

    def reset_timeout(channel: Any) -> None:
        if not getattr(channel, "acsmedia_has_begun", False):
            channel.acsmedia_has_begun = True
            begin_timeout(channel)

    def content_received(channel: Any) -> None:
        channel.acsmedia_has_begun = False
        all_content_received(channel)

    patched: Any = HTTPChannel
    patched.resetTimeout, patched.allContentReceived = reset_timeout, content_received
