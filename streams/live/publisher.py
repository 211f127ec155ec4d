"""Publishes the news of a process without ever delaying its recorder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from calls.live import channel
from calls.live.messages import News

log = structlog.get_logger(__name__)

PUBLISH_TIMEOUT_SECONDS = 1.0


class Publisher:
    """Publishes news within a time limit; logs an error once."""

    def __init__(self, publish: Callable[[News], Awaitable[None]]) -> None:
        self._publish = publish
        self._is_failing = False

    async def publish(self, news: News) -> None:
        """Drops news that the layer does not accept in time: levels must never queue."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await self._publish(news)
        except channel.LAYER_ERRORS as error:
            channel.layer_outage.note(error)
        except Exception as error:  # news are best effort: journals must still be rotated
            if not self._is_failing:  # once, not ten times a second
                log.warning("live updates not published", exc_info=error)
            self._is_failing = True
        else:
            self._is_failing = False
