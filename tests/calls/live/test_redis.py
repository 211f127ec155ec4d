"""News over a real Redis that stops and restarts."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from channels.layers import channel_layers
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.test import TransactionTestCase

from calls.live import channel
from calls.live.channel import WithoutLayerErrors
from calls.live.consumer import LiveSocket
from tests.backends import Redis
from tests.calls.live.examples import a_call, news
from tests.waiting import until


class Browser:
    """Takes every message at once; `leaves` ends its socket."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, event: dict[str, Any]) -> None:
        await self._messages.put(json.loads(event["text"]))

    async def next_message(self, wanted: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while (message := await self._messages.get())["type"] != wanted:
                pass
            return message


class Lines(logging.Handler):
    """Keeps the lines that pass the filter of the settings."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(WithoutLayerErrors())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def lines_of_the_layer() -> Iterator[list[str]]:
    """Yields the lines about the channel layer, of acsmedia and of channels_redis."""
    handler = Lines()
    loggers = [logging.getLogger(name) for name in ("calls.live.channel", "channels_redis")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.setLevel("INFO")
    try:
        yield handler.lines
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.removeHandler(handler)
            one.setLevel(level)


class OverRedis(TransactionTestCase):
    def setUp(self) -> None:
        self.redis = self.enterContext(Redis())
        self.layer = RedisPubSubChannelLayer(hosts=[self.redis.url])
        channel_layers.set("default", self.layer)
        self.addCleanup(channel_layers.backends.clear)

    async def test_news_arrive_and_the_groups_are_left_with_the_browser(self) -> None:
        browser = Browser()
        serving = asyncio.ensure_future(LiveSocket("key", browser.receive, browser.send).run())
        await browser.next_message("snapshot")
        await channel.publish(news(calls=[a_call(1)]))
        self.assertEqual((await browser.next_message("call.started"))["call"], a_call(1))
        browser.leaves.set()
        await serving
        self.assertEqual((self.layer.channels, self.layer.groups), ({}, {}))
        await self.layer.flush()

    async def test_after_a_restart_of_redis_a_snapshot_comes_and_then_news(self) -> None:
        browser = Browser()
        lines = self.enterContext(lines_of_the_layer())
        serving = asyncio.ensure_future(LiveSocket("key", browser.receive, browser.send).run())
        await browser.next_message("snapshot")
        await channel.publish(news(calls=[a_call(1)], number=1))
        await browser.next_message("call.started")
        self.redis.stop()
        with self.assertRaises(channel.LAYER_ERRORS):
            await channel.publish(news(calls=[a_call(2)], number=2))
        await asyncio.sleep(2.5)  # the layer logs a failed attempt each second
        self.redis.start()
        publishing = asyncio.ensure_future(self.publish())
        self.assertEqual(
            [call["id"] for call in (await browser.next_message("snapshot"))["calls"]],
            [a_call(3)["id"], a_call(1)["id"]],
        )
        await until(lambda: "channel layer reachable" in lines[-1])
        self.assertIn("channel layer unreachable", lines[0])
        self.assertEqual(len(lines), 2, lines)
        publishing.cancel()
        browser.leaves.set()
        await serving
        await self.layer.flush()

    async def test_a_redis_that_starts_late_is_joined(self) -> None:
        self.redis.stop()
        browser = Browser()
        serving = asyncio.ensure_future(LiveSocket("key", browser.receive, browser.send).run())
        self.assertEqual((await browser.next_message("snapshot"))["calls"], [])
        self.redis.start()
        await browser.next_message("snapshot")
        await channel.publish(news(calls=[a_call(1)]))
        await browser.next_message("call.started")
        browser.leaves.set()
        await serving
        self.assertEqual(self.layer.groups, {})
        await self.layer.flush()

    async def publish(self) -> None:
        """Publishes like a process while its layer comes back."""
        number = 2
        while True:
            number += 1
            with suppress(*channel.LAYER_ERRORS):
                await channel.publish(news(calls=[a_call(3)], number=number))
            await asyncio.sleep(0.1)
