"""Dashboards of a run: one that records when levels arrive, others that only read."""

from __future__ import annotations

import socket
import time

from bench.levels import Rises
from tests.torture.media_socket import MediaSocket


class Watcher(MediaSocket):
    """Records every message with its arrival time."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.rises = Rises()

    def on_text(self, payload: bytes) -> None:
        self.rises.add(time.time_ns() // 1000, payload)


class Browsers:
    """`open` them, `close` them; `rises` has the results of the first."""

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
