"""Dashboards of a run: one that notes when levels come, others that only read."""

from __future__ import annotations

import socket
import time

from bench.levels import Rises
from tests.torture.media_socket import MediaSocket


class Watcher(MediaSocket):
    """Looks at every message with the moment at which it came."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.rises = Rises()

    def heard(self, payload: bytes) -> None:
        self.rises.hear(time.time_ns() // 1000, payload)


class Browsers:
    """`open` them, `close` them. `rises` is what the first one heard."""

    def __init__(self, url: str, cookie: str) -> None:
        self._url = url
        origin = url.replace("ws://", "http://").rpartition("/ws/")[0]
        self._headers = {"Cookie": cookie, "Origin": origin}
        self._open: list[MediaSocket] = []
        self.rises = Rises()

    async def open(self, count: int) -> None:
        """Raises `tests.torture.media_socket.Refused`."""
        if count:
            watcher = await Watcher.open(self._url, self._headers)
            self.rises = watcher.rises
            self._open.append(watcher)
        for _other in range(count - 1):
            self._open.append(await MediaSocket.open(self._url, self._headers))

    async def close(self) -> None:
        for one in self._open:
            await one.abort()
