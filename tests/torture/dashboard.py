"""A browser's end of `/ws/live`: logs in, listens, notices silence and comes back, as the page's
own module does.
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
"""Its name, call, participant."""


class LiveSocket(MediaSocket):
    """Counts what it hears. Times are of `time.monotonic`."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.snapshots: list[float] = []
        self.levels: list[float] = []
        self.alarms: set[Alarm] = set()
        self.heard_at = time.monotonic()

    def heard(self, payload: bytes) -> None:
        self.heard_at = time.monotonic()
        said = json.loads(payload)
        if (
            said["type"] == "levels" and said["levels"]
        ):  # empty ones only say that the server is there
            self.levels.append(self.heard_at)
        elif said["type"] == "snapshot":
            self.snapshots.append(self.heard_at)
            self.alarms = {alarm_of(each) for each in said["alarms"]}
        elif said["type"] == "alarm":
            self.alarms.add(alarm_of(said))
        elif said["type"] == "alarm.cleared":
            self.alarms.discard(alarm_of(said))


def alarm_of(said: dict[str, Any]) -> Alarm:
    return said["alarm"], said["call"], said["participant"]


class Dashboard:
    """`begin` it, look at `levels`, `snapshots` and `alarms`, `end` it."""

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
        """Names of those that are on, one for each call and participant."""
        return sorted(name for name, *_ in self.socket.alarms) if self.socket else []

    def begin(self) -> Dashboard:
        self._task = asyncio.create_task(self._watch())
        return self

    async def end(self) -> None:
        assert self._task, "it has begun"
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.socket:
            await self.socket.abort()
        if not self._task.cancelled():
            self._task.result()  # never ends by itself: whatever ended it is raised

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
        """Until it is closed, or silent for too long."""
        while not live.closed.is_set() and time.monotonic() - live.heard_at < SILENT_AFTER_SECONDS:
            with suppress(TimeoutError):
                await asyncio.wait_for(live.closed.wait(), 1.0)


def log_in(port: int) -> str:
    """The cookie of a session. Blocks for the hash of a password."""
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
