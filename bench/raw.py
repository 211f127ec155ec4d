"""A server that only reads: handshake, then `recv` until the close frame. The minimum in Python.

    python -m bench.raw PORT

`GET /figures` returns the number of bytes and, for one read in sixteen, the delay of its last
packet.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from base64 import b64encode
from hashlib import sha1

from bench.histogram import Histogram
from streams.acs.messages import microseconds_of

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOODBYE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
TIMESTAMP = b'"timestamp":"'
LOOK_EVERY = 16
BACKLOG = 1024


class Reader:
    """Reads all sockets of the process in one loop."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self._sockets: dict[int, socket.socket] = {}
        self._greeted: set[int] = set()
        self._poll = select.epoll()
        self._poll.register(self._listening.fileno(), select.EPOLLIN)
        self._reads = 0
        self._bytes = 0
        self._lag = Histogram()

    def run(self) -> None:
        own = self._listening.fileno()
        while True:
            for descriptor, _event in self._poll.poll():
                if descriptor == own:
                    self._accept()
                elif descriptor in self._greeted:
                    self._read(descriptor)
                else:
                    self._greet(descriptor)

    def _accept(self) -> None:
        accepted, _address = self._listening.accept()
        self._sockets[accepted.fileno()] = accepted
        self._poll.register(accepted.fileno(), select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        content = self._sockets[descriptor].recv(65_536)
        self._bytes += len(content)
        self._reads += 1
        if self._reads % LOOK_EVERY == 0:
            self._measure(content)
        if not content or content.endswith(GOODBYE):
            self._greeted.discard(descriptor)
            self._sockets.pop(descriptor).close()

    def _measure(self, content: bytes) -> None:
        place = content.rfind(TIMESTAMP) + len(TIMESTAMP)
        stamp = content[place : place + 24]
        if len(stamp) == 24 and stamp.endswith(b"Z"):
            self._lag.add(time.time_ns() // 1000 - microseconds_of(stamp.decode()))

    def _greet(self, descriptor: int) -> None:
        """Answers the request, which is small and arrives in one piece."""
        connection = self._sockets[descriptor]
        lines = connection.recv(65_536).split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines if b": " in line)
        key = headers.get(b"Sec-WebSocket-Key")
        if key is None:
            body = json.dumps({"bytes": self._bytes, "lag": self._lag.trimmed()}).encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                + body
            )
            self._sockets.pop(descriptor).close()
            return
        accept = b64encode(sha1(key + GUID, usedforsecurity=False).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._greeted.add(descriptor)


if __name__ == "__main__":
    Reader(int(sys.argv[1])).run()
