"""A browser's WebSocket: why it ends, who may keep it open, and its queries to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

T = TypeVar("T")


CLIENT_MESSAGES = 100
"""A browser has nothing to say here; so many messages are ignored, the next one closes the
socket.
"""


_database_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="live-database")
"""Not the thread that all consumers of a process share: a slow query would delay them all. And
never more than two.
"""


class SocketClosed(Exception):
    """The socket ends. Each class has the close code that the browser is told (docs/dashboard.md).

    Leave
    ├── BrowserLeft     (none: it is gone)
    ├── LoggedOut       4401
    ├── NotAllowed      4403
    ├── TooSlow         4408
    └── TalksTooMuch    4429
    """

    code: int | None = None


class BrowserLeft(SocketClosed):
    """The browser closed, or its connection broke."""


class LoggedOut(SocketClosed):
    """Nobody is logged in: before accept, or the session ended since."""

    code = 4401


class NotAllowed(SocketClosed):
    """The account lacks a permission."""

    code = 4403


class TooSlow(SocketClosed):
    code = 4408


class TalksTooMuch(SocketClosed):
    code = 4429


Receive = Callable[[], Awaitable[dict[str, Any]]]


Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether the event comes in time.

    Not `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that comes together with
    the event, and the task, and with it the socket, would never end.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


def first_of(leaving: BaseExceptionGroup[SocketClosed]) -> SocketClosed:
    """Why a socket ends whose tasks have ended by these."""
    first = leaving.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def ignore_input(receive: Receive) -> None:
    """A browser that has nothing to say: counted, never read. Raises `BrowserLeft` and
    `TalksTooMuch`.
    """
    for _message in range(CLIENT_MESSAGES + 1):
        event = await receive()
        if event["type"] == "websocket.disconnect":
            raise BrowserLeft
    raise TalksTooMuch


async def _in_database_thread(work: Callable[..., T], *arguments: Any) -> T:
    result: T = await database_sync_to_async(
        work, thread_sensitive=False, executor=_database_threads
    )(*arguments)
    return result


def user_of(session_key: str) -> Any:
    """As the next request of this browser would find it: session alive, password unchanged, user
    active.

    The anonymous user where there is none. Permissions are read anew with it.
    """
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key or None)
    return get_user(request)
