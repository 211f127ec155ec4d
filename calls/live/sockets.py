"""The browser's WebSockets: their life from accept to close, close codes and queries."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from channels.db import database_sync_to_async

T = TypeVar("T")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Work = Callable[[], Coroutine[Any, Any, None]]

MAX_CLIENT_MESSAGES = 100
"""Browsers have nothing to send: this many messages are ignored, the next one closes the socket."""


class SocketClosed(Exception):
    """The socket ends. Each class has its close code (docs/dashboard.md, docs/listening.md).

    SocketClosed
    ├── BrowserLeft       (none: the connection is gone)
    ├── LoggedOut         4401
    ├── NotAllowed        4403
    ├── TooSlow           4408
    ├── NotLive           4410  (calls.listen.consumer)
    ├── TalksTooMuch      4429
    └── TooManyListeners  4503  (calls.listen.consumer)
    """

    code: int | None = None


class BrowserLeft(SocketClosed):
    """The browser closed, or its connection was lost."""


class LoggedOut(SocketClosed):
    """No login before accept, or the session has ended since."""

    code = 4401


class NotAllowed(SocketClosed):
    """The account lacks a permission, or the page is of another origin."""

    code = 4403


class TooSlow(SocketClosed):
    """The browser did not take a message in time."""

    code = 4408


class TalksTooMuch(SocketClosed):
    """The browser sent more than `MAX_CLIENT_MESSAGES`."""

    code = 4429


_open: Counter[str] = Counter()


def open_sockets(kind: str) -> int:
    """Returns how many sockets of a class are open in this process."""
    return _open[kind]


class BrowserSocket(ABC):
    """One accepted socket: runs its tasks, writes to the browser, closes with the right code.

    `log` is bound to the ids of the socket. A browser that does not take one message within
    `send_seconds` is disconnected.
    """

    opened: ClassVar[str]
    closed: ClassVar[str]
    """Log events."""

    def __init__(self, receive: Receive, send: Send, log: Any, send_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._log = log
        self._send_seconds = send_seconds

    @abstractmethod
    def tasks(self) -> Iterable[Work]:
        """Returns the tasks of the socket. Each ends it by raising a `SocketClosed`."""

    async def run(self) -> None:
        """Runs the tasks until one of them ends the socket; tells the browser why."""
        self._log.info(self.opened)
        reason = BrowserLeft.__name__
        _open[type(self).__name__] += 1
        try:
            async with asyncio.TaskGroup() as group:
                for work in (*self.tasks(), self._ignore_input):
                    group.create_task(work())
        except* SocketClosed as ends:
            end = _first_of(ends)
            reason = type(end).__name__
            if end.code is not None:
                with suppress(OSError):
                    await self._send({"type": "websocket.close", "code": end.code})
        finally:
            _open[type(self).__name__] -= 1
            self._log.info(self.closed, reason=reason)
            await self.clean_up()

    async def clean_up(self) -> None:  # noqa: B027 - optional
        """Called once, after the last task has ended."""

    async def write(self, **message: str | bytes) -> None:
        """Sends one message, `text` or `bytes`. Raises `TooSlow` and `BrowserLeft`."""
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._send({"type": "websocket.send", **message})
        except TimeoutError:
            raise TooSlow from None
        except OSError:  # uvicorn's way to report that the browser is gone
            raise BrowserLeft from None

    async def _ignore_input(self) -> None:
        """Counts the browser's messages without reading them."""
        for _message in range(MAX_CLIENT_MESSAGES + 1):
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                raise BrowserLeft
        raise TalksTooMuch


def _first_of(ends: BaseExceptionGroup[SocketClosed]) -> SocketClosed:
    first = ends.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


class DatabaseThreads:
    """Two threads for the queries of all sockets of one kind in this process.

    Not the thread that all consumers of a process share: a slow query would delay them all. Each
    kind has its own two, so that a burst of snapshots for dashboards cuts off no listener.
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix=name)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Returns the result of `work(*arguments)`, or raises its error."""
        result: T = await database_sync_to_async(
            work, thread_sensitive=False, executor=self._threads
        )(*arguments)
        return result


async def set_within(seconds: float, event: asyncio.Event) -> bool:
    """Waits for `event`; returns whether it was set in time.

    Not `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that comes together with
    the event, and the task, and with it the socket, would never end.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
