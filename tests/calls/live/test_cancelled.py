"""A task that is to end while it waits for the channel layer ends, also where the layer keeps that
from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from unittest import mock

from django.test import SimpleTestCase

from calls.live import channel as live


class SwallowingLayer:
    """`swallows` is what takes a cancellation for its own affair, as sending to Redis may; no
    message ever comes.
    """

    def __init__(self, swallows: str) -> None:
        self._swallows = swallows
        self.waited_for = asyncio.Event()
        self.members: set[str] = set()

    async def new_channel(self) -> str:
        await self._swallow("new_channel")
        return "channel"

    async def group_add(self, _group: str, channel: str) -> None:
        await self._swallow("group_add")
        self.members.add(channel)

    async def group_send(self, _group: str, _message: dict[str, Any]) -> None:
        await self._swallow("group_send")

    async def group_discard(self, _group: str, channel: str) -> None:
        await self._swallow("group_discard")
        self.members.discard(channel)

    async def receive(self, _channel: str) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    async def _swallow(self, what: str) -> None:
        if what == self._swallows:
            self.waited_for.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def _listen() -> None:
    async with live.messages_of("group") as next_message:
        await next_message()


async def _come_and_go() -> None:
    async with live.messages_of("group"):
        pass
    await asyncio.sleep(3600)


async def _repeat() -> None:
    while True:
        await live.send("group", {"type": "live.word"})
        await asyncio.sleep(3600)


class Waiting(SimpleTestCase):
    """A task that is cancelled while it waits for the layer ends, wherever that is."""

    async def test_to_join(self) -> None:
        for swallows in ("new_channel", "group_add"):
            with self.subTest(swallows):
                await self._insist_it_ends(_listen, swallows)

    async def test_to_leave(self) -> None:
        await self._insist_it_ends(_come_and_go, "group_discard")

    async def test_to_send(self) -> None:
        await self._insist_it_ends(_repeat, "group_send")

    async def test_and_who_gives_it_only_so_long_is_told_that_it_took_longer(self) -> None:
        layer = SwallowingLayer("group_send")
        with mock.patch.object(live, "_layer", return_value=layer), self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.01):
                await live.send("group", {"type": "live.word"})

    async def _insist_it_ends(
        self, work: Callable[[], Coroutine[Any, Any, None]], swallows: str
    ) -> None:
        layer = SwallowingLayer(swallows)
        with mock.patch.object(live, "_layer", return_value=layer):
            task = asyncio.create_task(work())
            await layer.waited_for.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            is_over = task.done()
            task.cancel()  # the test ends whatever comes out of it
        self.assertTrue(is_over)
        self.assertEqual(layer.members, set())
