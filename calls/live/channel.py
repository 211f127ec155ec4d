"""News of recording processes and requests to them, over the channel layer, which no other module
uses.

Each recording process publishes one `News` per tick to the group `live`; every dashboard socket is
in that group. Delivery is best effort: a lost message is not resent; the next one repairs the
picture.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from calls.live.messages import News, ReportedEnd

log = structlog.get_logger(__name__)

GROUP = "live"
"""One group is enough: every user who may see live calls may see all of them."""

RECORDERS = "recorders"
"""All recording processes. They are sent few messages: requests to listen
(calls/listen/consumer.py), and `ask`.
"""

NEWS, ASKED, ENDS = "live.news", "live.asked", "live.reported_ends"
"""Types of messages. A receiver ignores others: processes of a later version may send them."""

LAYER_ERRORS = (RedisError, OSError)
"""Raised when the channel layer is unreachable. Refused connections and time-outs are `OSError`s.
"""

ASK_SECONDS = 1.0
LEAVE_SECONDS = 1.0
"""Longest time that leaving a group may take."""
TRY_SECONDS = 1.0
"""Interval between two attempts, and the longest wait for one."""
QUIET_SECONDS = 3.0
"""An outage is over when nothing has found the layer unreachable for so long: one that is slow
refuses some messages and takes others.
"""


async def publish(news: News) -> None:
    """Sends `news` to the dashboards of all processes. Raises `LAYER_ERRORS`."""
    await send(GROUP, {"type": NEWS, "news": news})


@asynccontextmanager
async def newsfeed() -> AsyncIterator[Callable[[], Awaitable[News]]]:
    """Joins the news of all processes and yields a function that awaits the next one.

    Call it without pauses, since the queue behind it may be unbounded. Raises `LAYER_ERRORS` if
    joining fails. Once joined, the layer reconnects by itself; messages sent meanwhile are lost.
    """
    async with messages_of(GROUP, NEWS) as next_message:

        async def next_news() -> News:
            news: News = (await next_message())["news"]
            return news

        yield next_news


async def ask() -> None:
    """Asks every recording process to repeat its state now, for a dashboard that has just joined.

    Raises `LAYER_ERRORS`.
    """
    async with asyncio.timeout(ASK_SECONDS):
        await send(RECORDERS, {"type": ASKED})


async def report_ends(ends: list[ReportedEnd]) -> None:
    """Tells every recording process of calls that have ended, as ACS says.

    Raises `LAYER_ERRORS`.
    """
    async with asyncio.timeout(ASK_SECONDS):
        await send(RECORDERS, {"type": ENDS, "ends": ends})


async def probe() -> None:
    """Sends to an empty group: Redis acknowledges the message, no dashboard receives it. Raises
    `LAYER_ERRORS`.
    """
    await send("readyz", {"type": "readyz"})


async def send(group: str, message: dict[str, Any]) -> None:
    """Sends `message` to the current members of the group. Raises `LAYER_ERRORS`."""
    with _cancellation_kept():
        await _layer().group_send(group, message)


@asynccontextmanager
async def messages_of(
    group: str, *types: str
) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """Joins `group` and yields a function that awaits its next message of one of these types, like
    `newsfeed`.
    """
    layer = _layer()
    with _cancellation_kept():
        channel: str = await layer.new_channel()

    async def next_message() -> dict[str, Any]:
        while True:
            message: dict[str, Any] = await layer.receive(channel)
            if message.get("type") in types:
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


class LayerOutage:
    """An outage of the layer, in two lines of the log: `note` an error; one per process.

    Everything that finds the layer unreachable notes it here: the recorder ten times a second, each
    dashboard, and channels_redis itself. The layer is then tried until it answers.
    """

    def __init__(
        self,
        attempt: Callable[[], Awaitable[None]] = probe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempt = attempt
        self._clock = clock
        self._noted_at = clock()
        self._watch: asyncio.Task[None] | None = None

    def note(self, error: BaseException) -> None:
        """Logs the begin of an outage; does nothing while it lasts. Called on an event loop."""
        loop, self._noted_at = asyncio.get_running_loop(), self._clock()
        if self._watch and not self._watch.done() and self._watch.get_loop() is loop:
            return
        log.warning("channel layer unreachable", error=type(error).__name__)
        self._watch = loop.create_task(self._until_it_answers(), name="layer-outage")

    async def _until_it_answers(self) -> None:
        while True:
            await asyncio.sleep(TRY_SECONDS)
            try:
                async with asyncio.timeout(TRY_SECONDS):
                    await self._attempt()
            except LAYER_ERRORS:
                self._noted_at = self._clock()
            if self._clock() - self._noted_at >= QUIET_SECONDS:
                log.info("channel layer reachable")
                return


layer_outage = LayerOutage()


class WithoutLayerErrors(logging.Filter):
    """Drops the tracebacks of channels_redis while the layer is unreachable: its receiver logs one
    a second. Other errors pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not record.name.startswith("channels_redis") or not isinstance(error, LAYER_ERRORS):
            return True
        layer_outage.note(error)
        return False


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
