"""Browsers of the live socket that talk, leave, or read slowly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from calls.live import channel, consumer
from calls.live.consumer import LiveSocket
from calls.live.outbox import MAX_CALL_MESSAGES
from calls.live.sockets import MAX_CLIENT_MESSAGES
from tests.calls.live.examples import a_call, news
from tests.calls.live.test_socket import LiveSocketTestCase


class ABrowserThat(LiveSocketTestCase):
    async def test_sends_a_few_messages_is_ignored(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            for text in ("{", "null", '{"type":"levels"}', "x" * 100_000):
                await socket.send_to(text_data=text)
            await socket.send_to(bytes_data=b"\x00\xff")
            await channel.publish(news(calls=[a_call()]))
            await self.receive(socket, "call.started")

    async def test_sends_too_many_messages_is_disconnected(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            for _message in range(MAX_CLIENT_MESSAGES + 1):
                await socket.send_to(text_data="hello")
            event = await socket.receive_output(timeout=5)
            self.assertEqual((event["type"], event["code"]), ("websocket.close", 4429))

    async def test_reads_slowly_gets_one_snapshot_and_the_newest_levels(self) -> None:
        with slow_browser() as browser:
            serving = asyncio.ensure_future(LiveSocket("key", browser.receive, browser.send).run())
            await browser.is_blocked.wait()
            for number in range(MAX_CALL_MESSAGES + 50):
                await channel.publish(
                    news(calls=[a_call(number + 1)], levels={"p": [-float(number % 90), -1.0]})
                )
                await asyncio.sleep(0)
            last = float((MAX_CALL_MESSAGES + 49) % 90)
            browser.unblock.set()
            while not any(message["type"] == "levels" for message in browser.received):
                await browser.has_received.wait()
                browser.has_received.clear()
            browser.leaves.set()
            await serving
        first, snapshot, levels = browser.received[:3]
        self.assertEqual((first["type"], first["calls"]), ("snapshot", []))
        self.assertEqual(
            (snapshot["type"], len(snapshot["calls"])), ("snapshot", MAX_CALL_MESSAGES + 50)
        )
        self.assertEqual(levels["levels"], {"p": [-last, -1.0]})

    async def test_reads_nothing_is_disconnected(self) -> None:
        with slow_browser() as browser, mock.patch.object(consumer, "SEND_SECONDS", 0.05):
            await asyncio.wait_for(LiveSocket("key", browser.receive, browser.send).run(), 5)
        self.assertEqual(browser.close_codes, [4408])

    async def test_loses_its_connection_ends_its_socket(self) -> None:
        with slow_browser() as browser:
            browser.is_broken = True
            await asyncio.wait_for(LiveSocket("key", browser.receive, browser.send).run(), 5)
        self.assertEqual(browser.close_codes, [])


class SlowBrowser:
    """Takes its first message only when `unblock` is set."""

    def __init__(self) -> None:
        self.is_blocked, self.unblock = asyncio.Event(), asyncio.Event()
        self.leaves, self.has_received = asyncio.Event(), asyncio.Event()
        self.received: list[dict[str, Any]] = []
        self.close_codes: list[int] = []
        self.is_broken = False

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, event: dict[str, Any]) -> None:
        if self.is_broken:
            raise ConnectionResetError
        if event["type"] == "websocket.close":
            self.close_codes.append(event["code"])
            return
        self.is_blocked.set()
        await self.unblock.wait()
        self.received.append(json.loads(event["text"]))
        self.has_received.set()


@contextmanager
def slow_browser() -> Iterator[SlowBrowser]:
    browser = SlowBrowser()
    yield browser
    browser.unblock.set()
