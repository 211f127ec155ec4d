"""A task that is to end while it waits for the channel layer ends, also where the layer keeps that from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from unittest import mock

from django.test import SimpleTestCase

from calls import live


class SwallowingLayer:
    """Takes a cancellation for its own affair, as sending to Redis may; no message ever comes."""

    def __init__(self) -> None:
        self.waited_for = asyncio.Event()
        self.members: set[str] = set()

    async def new_channel(self) -> str:
        return "channel"

    async def group_add(self, _group: str, channel: str) -> None:
        await self._swallow()
        self.members.add(channel)

    async def group_send(self, _group: str, _message: dict[str, Any]) -> None:
        await self._swallow()

    async def group_discard(self, _group: str, channel: str) -> None:
        self.members.discard(channel)

    async def receive(self, _channel: str) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    async def _swallow(self) -> None:
        self.waited_for.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


class Waiting(SimpleTestCase):
    async def test_who_joins_waits_for_no_message(self) -> None:
        async def listen() -> None:
            async with live.messages_of("group") as next_message:
                await next_message()

        layer = await self._insist_it_ends(listen)
        self.assertEqual(layer.members, set())

    async def test_who_sends_again_and_again_stops(self) -> None:
        async def repeat() -> None:
            while True:
                await live.send("group", {"type": "live.word"})
                await asyncio.sleep(3600)

        await self._insist_it_ends(repeat)

    async def test_who_gives_the_layer_only_so_long_is_told_that_it_took_longer(self) -> None:
        layer = SwallowingLayer()
        with mock.patch.object(live, "_layer", return_value=layer), self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.01):
                await live.send("group", {"type": "live.word"})

    async def _insist_it_ends(self, work: Callable[[], Coroutine[Any, Any, None]]) -> SwallowingLayer:
        layer = SwallowingLayer()
        with mock.patch.object(live, "_layer", return_value=layer):
            task = asyncio.create_task(work())
            await layer.waited_for.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            is_over = task.done()
            task.cancel()  # the test ends whatever comes out of it
        self.assertTrue(is_over)
        return layer
