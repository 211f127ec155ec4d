"""What is happening now, on its way to the browsers: the only module that knows the channel layer.

Each recording process publishes one `News` per tick to the group `live`; every dashboard socket is
in that group. News are news: a lost one is not sent again, and the next one makes it good.
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
"""Everyone who may see live calls may see all of them, so one group is enough."""

RECORDERS = "recorders"
"""All processes that record. What is said to them is rare: wishes to listen
(calls/listen/consumer.py), and `ask`.
"""


LAYER_ERRORS = (RedisError, OSError)
"""What a layer raises that is away. Refused connections and time-outs are `OSError`s."""

ASK_SECONDS = 1.0
LEAVE_SECONDS = 1.0
"""Longest time that saying goodbye to a layer may take."""


async def publish(news: News) -> None:
    """Sends `news` to every dashboard of every process. Raises what the layer raises when it is
    away.
    """
    await send(GROUP, {"type": "live.news", "news": news})


@asynccontextmanager
async def newsfeed() -> AsyncIterator[Callable[[], Awaitable[News]]]:
    """The news of every process from now on: a function to await, once for each.

    It must be awaited without a pause, since the queue behind it may have no bound. Raises
    `LAYER_ERRORS` when it cannot be joined. Once joined, the layer comes back by itself after a
    loss; what was sent meanwhile is lost.
    """
    async with messages_of(GROUP) as next_message:

        async def next_news() -> News:
            news: News = (await next_message())["news"]
            return news

        yield next_news


async def ask() -> None:
    """Asks every recording process to say at once what it repeats, for a dashboard that has just
    joined.

    Raises `LAYER_ERRORS`.
    """
    async with asyncio.timeout(ASK_SECONDS):
        await send(RECORDERS, {"type": "live.asked"})


async def send(group: str, message: dict[str, Any]) -> None:
    """To all that are in the group now. Raises what the layer raises when it is away."""
    with _cancellation_kept():
        await _layer().group_send(group, message)


@asynccontextmanager
async def messages_of(group: str) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """What any process sends to the group, as `newsfeed` does it."""
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
    """Raises `CancelledError` at its end if somebody meanwhile wanted this task to end.

    redis-py sends within `asyncio.wait_for`, which on Python 3.11 returns the result and forgets a
    cancellation that comes in the same turn of the loop
    (https://github.com/python/cpython/issues/86296, mended in
    3.12). A task that goes on in spite of it would never end, and neither would whoever waits for
    it, at last the process.
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
