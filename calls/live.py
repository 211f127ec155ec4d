"""What is happening now, on its way to the browsers: the only module that knows the channel layer.

Each recording process publishes one `News` per tick to the group `live`; every dashboard socket is in that group.
News are news: a lost one is not sent again, and the next one makes it good.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any, NotRequired, TypedDict

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

GROUP = "live"
"""Everyone who may see live calls may see all of them, so one group is enough."""

RECORDERS = "recorders"
"""All processes that record. What is said to them is rare: wishes to listen (calls/listening.py), and `ask`."""

SILENCE_DBFS = -96.0


class AlarmNews(TypedDict):
    """An alarm that is on. `call` None: of the process; `participant` None: of the whole call. `since`: ISO 8601."""

    call: str | None
    participant: str | None
    alarm: str
    since: str


class Totals(TypedDict):
    """Of one process: audio messages of the last second; age of the oldest finished journal that is not sealed."""

    packets_per_second: float
    seal_lag_seconds: float


class News(TypedDict):
    """What one process says in one tick.

    `calls` holds calls as in REST (`GET /api/v1/calls/<id>/`), whole, when they are new or changed, and each of the
    process's calls at least every `REPEAT_SECONDS`, so that a dashboard that missed one learns it again. `ended` holds
    calls that this process no longer holds, as they ended. `levels` maps participant ids to [rms dBFS, peak dBFS] of
    the newest window. `alarms` holds all that are on in the process, whole, when one has come or gone and about once a
    second while any is on. `listeners` holds how many listen in on which of its calls, whole, when that has changed and
    about once a second while anybody does. `totals` come about once a second. `minutes` go with the calls: by
    participant id, what was heard of it in each second of the last minute (`step_of`), the newest last. `number` counts
    the news of the process one by one, from any start: a hole in it tells a dashboard at once that news were lost.
    """

    process: str
    levels: dict[str, list[float]]
    calls: NotRequired[list[dict[str, Any]]]
    ended: NotRequired[list[dict[str, Any]]]
    alarms: NotRequired[list[AlarmNews]]
    listeners: NotRequired[dict[str, int]]
    totals: NotRequired[Totals]
    minutes: NotRequired[dict[str, str]]
    number: NotRequired[int]


REPEAT_SECONDS = 5.0

HELD_FOR = timedelta(seconds=3 * REPEAT_SECONDS)
"""A process that has not repeated a call or an alarm for so long holds it no more: it has died, or it is cut off."""

NO_AUDIO = "."
"""A second in which nothing came. Else a digit: 0 below -54 dBFS, one more for each 6 dB, 9 above -6 dBFS."""


def step_of(rms_dbfs: float) -> str:
    """How loud a second was, as one character; below -96 dBFS nothing came at all."""
    if rms_dbfs < SILENCE_DBFS:
        return NO_AUDIO
    return str(min(9, max(0, int((rms_dbfs + 60) // 6))))


LAYER_AWAY = (RedisError, OSError)
"""What a layer raises that is away. Refused connections and time-outs are `OSError`s."""

ASK_SECONDS = 1.0
LEAVE_SECONDS = 1.0
"""Longest time that saying goodbye to a layer may take."""


async def publish(news: News) -> None:
    """Sends `news` to every dashboard of every process. Raises what the layer raises when it is away."""
    await send(GROUP, {"type": "live.news", "news": news})


@asynccontextmanager
async def newsfeed() -> AsyncIterator[Callable[[], Awaitable[News]]]:
    """The news of every process from now on: a function to await, once for each.

    It must be awaited without a pause, since the queue behind it may have no bound. Raises `LAYER_AWAY` when it cannot
    be joined. Once joined, the layer comes back by itself after a loss; what was sent meanwhile is lost.
    """
    async with messages_of(GROUP) as next_message:

        async def next_news() -> News:
            news: News = (await next_message())["news"]
            return news

        yield next_news


async def ask() -> None:
    """Asks every recording process to say at once what it repeats, for a dashboard that has just joined.

    Raises `LAYER_AWAY`.
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
        # Also when joining failed half-way: a channel that stays in the group is filled for ever and never read.
        with _cancellation_kept(), suppress(*LAYER_AWAY):
            async with asyncio.timeout(LEAVE_SECONDS):
                await layer.group_discard(group, channel)


@contextmanager
def _cancellation_kept() -> Iterator[None]:
    """Raises `CancelledError` at its end if somebody meanwhile wanted this task to end.

    redis-py sends within `asyncio.wait_for`, which on Python 3.11 returns the result and forgets a cancellation that
    comes in the same turn of the loop (https://github.com/python/cpython/issues/86296, mended in 3.12). A task that
    goes on in spite of it would never end, and neither would whoever waits for it, at last the process.
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
