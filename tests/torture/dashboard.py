"""A client of `/ws/live` that logs in, listens, and reconnects after silence, as the page's module
does.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from tests.torture.databases import ENGINEER, PASSWORD
from tests.torture.media_socket import MediaSocket, Refused

RETRY_SECONDS = 0.5
SILENT_AFTER_SECONDS = 15.0  # as in live-socket.js


Alarm = tuple[str, str | None, str | None]
"""Name, call, participant."""


class LiveSocket(MediaSocket):
    """Counts messages. Times are of `time.monotonic`."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.snapshots: list[float] = []
        self.levels: list[float] = []
        self.alarms: set[Alarm] = set()
        self.heard_at = time.monotonic()

    def on_text(self, payload: bytes) -> None:
        self.heard_at = time.monotonic()
        message = json.loads(payload)
        if (
            message["type"] == "levels" and message["levels"]
        ):  # empty ones only say that the server is there
            self.levels.append(self.heard_at)
        elif message["type"] == "snapshot":
            self.snapshots.append(self.heard_at)
            self.alarms = {alarm_of(each) for each in message["alarms"]}
        elif message["type"] == "alarm":
            self.alarms.add(alarm_of(message))
        elif message["type"] == "alarm.cleared":
            self.alarms.discard(alarm_of(message))


def alarm_of(message: dict[str, Any]) -> Alarm:
    return message["alarm"], message["call"], message["participant"]


class Dashboard:
    """A dashboard: `start` it, read `levels`, `snapshots` and `alarms`, then `end` it."""

    def __init__(self, port: int, cookie: str) -> None:
        self._url = f"ws://127.0.0.1:{port}/ws/live"
        self._headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{port}"}
        self._before: tuple[list[float], list[float]] = [], []
        self.socket: LiveSocket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def snapshots(self) -> list[float]:
        return self._before[0] + (self.socket.snapshots if self.socket else [])

    @property
    def levels(self) -> list[float]:
        return self._before[1] + (self.socket.levels if self.socket else [])

    @property
    def alarms(self) -> list[str]:
        """Returns the names of active alarms, one per call and participant."""
        return sorted(name for name, *_ in self.socket.alarms) if self.socket else []

    def start(self) -> Dashboard:
        self._task = asyncio.create_task(self._watch())
        return self

    async def end(self) -> None:
        assert self._task, "it has started"
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.socket:
            await self.socket.abort()
        if not self._task.cancelled():
            self._task.result()  # it never ends by itself: any error is raised

    async def _watch(self) -> None:
        while True:
            with suppress(OSError, Refused, TimeoutError):
                self.socket = await LiveSocket.open(self._url, self._headers)
                await self._listen(self.socket)
                await self.socket.abort()
                self._before = self.snapshots, self.levels
                self.socket = None
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, live: LiveSocket) -> None:
        """Listens until the socket is closed, or silent for too long."""
        while not live.closed.is_set() and time.monotonic() - live.heard_at < SILENT_AFTER_SECONDS:
            with suppress(TimeoutError):
                await asyncio.wait_for(live.closed.wait(), 1.0)


def log_in(port: int) -> str:
    """Logs in and returns the session cookie. Blocks while the password is hashed."""
    cookies = _cookies_of(port, "GET", "", {})
    token = cookies["csrftoken"]
    form = urlencode({"csrfmiddlewaretoken": token, "username": ENGINEER, "password": PASSWORD})
    cookies |= _cookies_of(port, "POST", form, {"Cookie": f"csrftoken={token}"})
    assert "sessionid" in cookies, "the engineer can log in"
    return f"sessionid={cookies['sessionid']}"


def _cookies_of(port: int, method: str, body: str, headers: dict[str, str]) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        kind = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://127.0.0.1:{port}",
        }
        connection.request(method, "/login/", body, {**kind, **headers})
        response = connection.getresponse()
        response.read()
        given = response.headers.get_all("Set-Cookie") or []
    finally:
        connection.close()
    pairs = (cookie.partition(";")[0].partition("=") for cookie in given)
    return {name: value for name, _, value in pairs}
