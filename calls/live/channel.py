"""News of recording processes and requests to them, over the channel layer, which no other module
uses.

Each recording process publishes one `News` per tick to the group `live`; every dashboard socket is
in that group. Delivery is best effort: a lost message is not resent; the next one repairs the
picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from calls.live.messages import News

GROUP = "live"
"""One group is enough: every user who may see live calls may see all of them."""

RECORDERS = "recorders"
"""All recording processes. They are sent few messages: requests to listen
(calls/listen/consumer.py), and `ask`.
"""

LAYER_ERRORS = (RedisError, OSError)
"""Raised when the channel layer is unreachable. Refused connections and time-outs are `OSError`s.
"""

ASK_SECONDS = 1.0
LEAVE_SECONDS = 1.0
"""Longest time that leaving a group may take."""


async def publish(news: News) -> None:
    """Sends `news` to the dashboards of all processes. Raises `LAYER_ERRORS`."""
    await send(GROUP, {"type": "live.news", "news": news})


@asynccontextmanager
async def newsfeed() -> AsyncIterator[Callable[[], Awaitable[News]]]:
    """Joins the news of all processes and yields a function that awaits the next one.

    Call it without pauses, since the queue behind it may be unbounded. Raises `LAYER_ERRORS` if
    joining fails. Once joined, the layer reconnects by itself; messages sent meanwhile are lost.
    """
    async with messages_of(GROUP) as next_message:

        async def next_news() -> News:
            news: News = (await next_message())["news"]
            return news

        yield next_news


async def ask() -> None:
    """Asks every recording process to repeat its state now, for a dashboard that has just joined.

    Raises `LAYER_ERRORS`.
    """
    async with asyncio.timeout(ASK_SECONDS):
        await send(RECORDERS, {"type": "live.asked"})


async def send(group: str, message: dict[str, Any]) -> None:
    """Sends `message` to the current members of the group. Raises `LAYER_ERRORS`."""
    with _cancellation_kept():
        await _layer().group_send(group, message)


@asynccontextmanager
async def messages_of(group: str) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """Joins `group` and yields a function that awaits its next message, like `newsfeed`."""
    layer = _layer()
    with _cancellation_kept():
        channel: str = await layer.new_channel()

    async def next_message() -> dict[str, Any]:
        message: dict[str, Any] = await layer.receive(channel)
        return message

    try:
        with _cancellation_kept():
            await layer.group_add(group, channel)
        yield next_message
    finally:
        # Also when joining failed half-way: a channel that stays in the group is filled for ever
        # and never read.
        with _cancellation_kept(), suppress(*LAYER_ERRORS):
            async with asyncio.timeout(LEAVE_SECONDS):
                await layer.group_discard(group, channel)


@contextmanager
def _cancellation_kept() -> Iterator[None]:
    """Raises `CancelledError` on exit if the task was cancelled in between.

    redis-py sends within `asyncio.wait_for`, which on Python 3.11 returns the result and forgets a
    cancellation that comes in the same iteration of the event loop
    (https://github.com/python/cpython/issues/86296, fixed in 3.12). The task would then run on for
    ever, and its owner, in the end the whole process, would wait for it.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _layer() -> Any:
    layer = get_channel_layer()
    assert layer is not None, "settings.CHANNEL_LAYERS has a default layer"
    return layer
