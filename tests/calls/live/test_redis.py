"""News over a real Redis, which goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

from channels.layers import channel_layers
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.test import TransactionTestCase

from calls.live import channel
from calls.live import consumer as consumers
from tests.backends import Redis
from tests.calls.live.examples import a_call, news


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

    async def hears(self, wanted: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while (message := await self._messages.get())["type"] != wanted:
                pass
            return message


class OverRedis(TransactionTestCase):
    def setUp(self) -> None:
        self.redis = self.enterContext(Redis())
        self.layer = RedisPubSubChannelLayer(hosts=[self.redis.url])
        channel_layers.set("default", self.layer)
        self.addCleanup(channel_layers.backends.clear)
        logging.disable(logging.CRITICAL)  # the layer logs each failed attempt with its traceback
        self.addCleanup(logging.disable, logging.NOTSET)

    async def test_news_arrive_and_nothing_stays_behind_when_the_browser_leaves(self) -> None:
        browser = Browser()
        serving = asyncio.ensure_future(
            consumers.LiveSocket("key", browser.receive, browser.send).run()
        )
        await browser.hears("snapshot")
        await channel.publish(news(calls=[a_call(1)]))
        self.assertEqual((await browser.hears("call.started"))["call"], a_call(1))
        browser.leaves.set()
        await serving
        self.assertEqual((self.layer.channels, self.layer.groups), ({}, {}))
        await self.layer.flush()

    async def test_after_a_restart_of_redis_there_is_a_snapshot_and_news_go_on(self) -> None:
        browser = Browser()
        serving = asyncio.ensure_future(
            consumers.LiveSocket("key", browser.receive, browser.send).run()
        )
        await browser.hears("snapshot")
        await channel.publish(news(calls=[a_call(1)], number=1))
        await browser.hears("call.started")
        self.redis.stop()
        with self.assertRaises(channel.LAYER_ERRORS):
            await channel.publish(news(calls=[a_call(2)], number=2))
        self.redis.start()
        speaking = asyncio.ensure_future(self.speak())
        self.assertEqual(
            [call["id"] for call in (await browser.hears("snapshot"))["calls"]],
            [a_call(3)["id"], a_call(1)["id"]],
        )
        speaking.cancel()
        browser.leaves.set()
        await serving
        await self.layer.flush()

    async def test_a_redis_that_was_never_there_is_joined_when_it_comes(self) -> None:
        self.redis.stop()
        browser = Browser()
        serving = asyncio.ensure_future(
            consumers.LiveSocket("key", browser.receive, browser.send).run()
        )
        self.assertEqual((await browser.hears("snapshot"))["calls"], [])
        self.redis.start()
        await browser.hears("snapshot")
        await channel.publish(news(calls=[a_call(1)]))
        await browser.hears("call.started")
        browser.leaves.set()
        await serving
        self.assertEqual(self.layer.groups, {})
        await self.layer.flush()

    async def speak(self) -> None:
        """A process that goes on speaking while its layer comes back."""
        number = 2
        while True:
            number += 1
            with suppress(*channel.LAYER_ERRORS):
                await channel.publish(news(calls=[a_call(3)], number=number))
            await asyncio.sleep(0.1)
