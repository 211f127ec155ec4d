"""A WebSocket client on a raw socket: it can send invalid data, and knows how much the server has
read.

The bytes taken by the kernel, minus those still in transit (TIOCOUTQ) and those unread at the
server's end (/proc/net/tcp), are the bytes that the server process has read, exact at the moment of
the query. Frames are masked with zeros, which the protocol allows and which keeps the payload
readable.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
NO_MASK = bytes(4)
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 20.0
ABNORMAL = 1006


class Refused(Exception):
    """The handshake was answered with a status other than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class MediaSocket:
    """One open socket, created by `open`. Raises `OSError` if it breaks."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self.bytes_sent = 0
        self.close_code: int | None = None
        self.closed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, headers: Mapping[str, str] | None = None) -> Self:
        """Connects and performs the handshake. Raises `Refused`, `OSError`, `TimeoutError`."""
        parts = urlsplit(url)
        connection = socket.socket()
        connection.setblocking(False)
        opened = cls(connection)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await opened._loop.sock_connect(connection, (parts.hostname, parts.port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await opened.send_raw(
                    request(f"{parts.path}?{parts.query}", parts.netloc, headers or {})
                )
                rest = await opened._read_answer()
        except BaseException:
            connection.close()
            raise
        opened._listening = asyncio.create_task(opened._listen(rest))
        return opened

    async def send(self, message: str | bytes) -> int:
        """Sends one text message; returns the connection's byte count at its end."""
        return await self.send_raw(
            frame(TEXT, message.encode() if isinstance(message, str) else message)
        )

    async def send_raw(self, content: bytes) -> int:
        """Sends raw bytes; returns once the kernel has taken all of them."""
        await self._loop.sock_sendall(self._socket, content)
        self.bytes_sent += len(content)
        return self.bytes_sent

    def bytes_read_by_server(self) -> int:
        """Returns the number of bytes that the server process has read from its socket."""
        under_way = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)))[0]
        return (
            self.bytes_sent
            - int(under_way)
            - _unread_at(self._socket.getpeername()[1], self._socket.getsockname()[1])
        )

    async def close(self, code: int = 1000) -> None:
        """Sends a close frame and waits for the answer."""
        with suppress(OSError):
            await self.send_raw(frame(CLOSE, struct.pack(">H", code)))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.closed.wait()
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Disconnects without a close frame, after sending pending data.

        Raises any error of the listening task.
        """
        if self._listening:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        self._socket.close()
        self.closed.set()
        if self._listening and not self._listening.cancelled():
            self._listening.result()

    async def stop_reading(self) -> None:
        """Stops reading, as a browser does if its page hangs."""
        assert self._listening, "an open socket is read"
        self._listening.cancel()
        await asyncio.wait([self._listening])

    async def drip(self, bytes_a_second: int) -> None:
        """Reads this slowly after `stop_reading`, so data piles up, until the connection breaks."""
        with suppress(OSError):
            while await self._loop.sock_recv(self._socket, bytes_a_second):  # noqa: ASYNC110 - slow on purpose
                await asyncio.sleep(1)

    async def _read_answer(self) -> bytes:
        """Reads up to the end of the headers; returns the bytes after them."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = await self._loop.sock_recv(self._socket, 4096)
            if not received:
                raise ConnectionResetError("closed during the handshake")
            answer += received
        head, _, rest = answer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            raise Refused(status)
        return rest

    async def _listen(self, rest: bytes) -> None:
        """Reads until the server closes or the connection breaks."""
        try:
            while (left := await self._take(rest)) is not None:
                received = await self._loop.sock_recv(self._socket, 65_536)
                if not received:
                    break
                rest = left + received
        except OSError:
            pass
        # also after an invalid message: a socket that is not read must not look open
        finally:
            if self.close_code is None:
                self.close_code = ABNORMAL
            self.closed.set()

    async def _take(self, content: bytes) -> bytes | None:
        """Removes complete frames from the front and returns the rest; None after a close."""
        while (found := frame_in(content)) is not None:
            kind, payload, content = found
            if kind == CLOSE:
                self.close_code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                return None
            if kind == PING:
                await self.send_raw(frame(PONG, payload))
            if kind == TEXT:
                self.on_text(payload)
        return content

    def on_text(self, payload: bytes) -> None:
        """Handles a text of the server; the media socket expects none."""


def frame(kind: int, payload: bytes, *, final: bool = True) -> bytes:
    """Returns a masked frame (RFC 6455, section 5.2)."""
    length = len(payload)
    first = kind | (FINAL if final else 0)
    if length < 126:
        head = struct.pack(">BB", first, MASKED | length)
    elif length < 65_536:
        head = struct.pack(">BBH", first, MASKED | 126, length)
    else:
        head = struct.pack(">BBQ", first, MASKED | 127, length)
    return head + NO_MASK + payload


def frame_in(content: bytes) -> tuple[int, bytes, bytes] | None:
    """Returns the first complete frame of a server: kind, payload, remaining bytes."""
    if len(content) < 2:
        return None
    length, start = content[1] & 0x7F, 2
    if length == 126:
        start = 4
    elif length == 127:
        start = 10
    if len(content) < start:
        return None
    if start > 2:
        length = int.from_bytes(content[2:start], "big")
    if len(content) < start + length:
        return None
    return content[0] & 0x0F, content[start : start + length], content[start + length :]


def request(target: str, host: str, headers: Mapping[str, str]) -> bytes:
    ours = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    lines = [
        f"GET {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in {**ours, **headers}.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _unread_at(server_port: int, client_port: int) -> int:
    """Returns the bytes that wait in the server's socket; 0 if the socket is gone."""
    addresses = f":{server_port:04X}", f":{client_port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(addresses[0]) and remote.endswith(addresses[1]):
            return int(queues.partition(":")[2], 16)
    return 0
