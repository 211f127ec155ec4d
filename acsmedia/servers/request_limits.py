"""Largest requests: forms and REST are small, and nobody uploads audio.

uvicorn and Daphne take a body of any length, from anybody, into memory or onto the disk. Here a
request that announces too much is refused at once, and one that sends too much is cut off. Twisted
bounds request heads by itself; for uvicorn see `acsmedia.servers.uvicorn_http`.
"""

from __future__ import annotations

from typing import Any

from daphne.http_protocol import WebRequest

MAX_BODY_BYTES = 1024 * 1024
"""As `client_max_body_size` of nginx (deploy/nginx/nginx.conf)."""

MAX_DIGITS = 18
"""Digits of a length that are read: a longer one is too large anyway."""

TOO_LARGE = b"The body of this request is too large.\n"
_REFUSAL = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(TOO_LARGE), TOO_LARGE)
)


class BodyTooLarge(Exception):
    """The client has sent more than `MAX_BODY_BYTES`."""


class BodyLimit:
    """ASGI middleware that answers 413 to a body that is too large."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if announced_length(scope["headers"]) > MAX_BODY_BYTES:
            await _refuse(send)
            return
        total, has_started = 0, False

        async def receive_bounded() -> dict[str, Any]:
            nonlocal total
            message: dict[str, Any] = await receive()
            total += len(message.get("body", b""))
            if total > MAX_BODY_BYTES:
                raise BodyTooLarge
            return message

        async def send_noting(message: dict[str, Any]) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._application(scope, receive_bounded, send_noting)
        except BodyTooLarge:
            if not has_started:
                await _refuse(send)


def announced_length(headers: Any) -> int:
    """Returns Content-Length; 0 if there is none, or nonsense, which the servers refuse."""
    values = [value for name, value in headers if name == b"content-length" and value.isdigit()]
    # Python refuses to read numbers of thousands of digits.
    return max((int(value[:MAX_DIGITS]) for value in values), default=0)


async def _refuse(send: Any) -> None:
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(TOO_LARGE)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": TOO_LARGE})


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
