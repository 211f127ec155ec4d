"""Requests from other processes: start a tap on a call, repeat the state now, or end a call on the
board because ACS has reported its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from calls.listen import messages
from calls.live import channel

log = structlog.get_logger(__name__)

REJOIN_SECONDS = 1.0
TYPES = (channel.ASKED, channel.ENDS, messages.REQUEST)


class RequestListener:
    """Listens for requests while there are calls: `start` and `stop` it; `wait` until it has left
    the channel layer.
    """

    def __init__(self, accept: Callable[[dict[str, Any]], None]) -> None:
        self._accept = accept
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(serve_requests(self._accept), name="recorder-requests")

    def stop(self) -> None:
        """Lets it leave. Once only: a second cancellation would interrupt its leaving, and leave a
        subscription in the channel layer. An event loop that ends cancels all tasks, too.
        """
        if self._task and not self._task.cancelling():
            self._task.cancel()

    async def wait(self) -> None:
        if self._task:
            await asyncio.wait([self._task], timeout=channel.LEAVE_SECONDS)


async def serve_requests(accept: Callable[[dict[str, Any]], None]) -> None:
    """Passes requests to `accept` until cancelled; rejoins the channel layer after each error."""
    last_error = ""
    while True:
        try:
            async with channel.messages_of(channel.RECORDERS, *TYPES) as next_message:
                while True:
                    accept(await next_message())
        except channel.LAYER_ERRORS:
            pass  # logged when the recorder publishes its news
        except Exception as error:  # no failure of requests may affect recording
            if last_error != repr(error):  # once, not every second while there are calls
                log.error("listen requests unavailable", exc_info=error)
            last_error = repr(error)
        await asyncio.sleep(REJOIN_SECONDS)
