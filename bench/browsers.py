"""Dashboards of a run: one that notes every message with its moment, others that only read."""

from __future__ import annotations

import time

from tests.torture.media_socket import MediaSocket, Refused


class Watcher(MediaSocket):
    """Keeps what it hears: microseconds since the epoch, text."""

    messages: list[tuple[int, bytes]]

    def heard(self, payload: bytes) -> None:
        self.messages.append((time.time_ns() // 1000, payload))


class Browsers:
    """`open` them, `close` them. `messages` is what the first one heard."""

    def __init__(self, url: str, cookie: str) -> None:
        self._url = url
        origin = url.replace("ws://", "http://").rpartition("/ws/")[0]
        self._headers = {"Cookie": cookie, "Origin": origin}
        self._open: list[MediaSocket] = []
        self.messages: list[tuple[int, bytes]] = []

    async def open(self, count: int) -> None:
        """Raises `Refused`."""
        Watcher.messages = self.messages  # there before the first message can come
        kinds: list[type[MediaSocket]] = [Watcher, *[MediaSocket] * (count - 1)]
        for kind in kinds[:count]:
            self._open.append(await kind.open(self._url, self._headers))

    async def close(self) -> None:
        for one in self._open:
            await one.abort()


__all__ = ["Browsers", "Refused", "Watcher"]
