"""Cancellation of a task that waits for the channel layer, even if the layer swallows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from unittest import mock

from django.test import SimpleTestCase

from calls.live import channel


class SwallowingLayer:
    """A layer without messages whose method `swallows` ignores a cancellation, as redis-py may."""

    def __init__(self, swallows: str) -> None:
        self._swallows = swallows
        self.is_called = asyncio.Event()
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
        raise AssertionError("there are no messages")

    async def _swallow(self, method: str) -> None:
        if method == self._swallows:
            self.is_called.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def _join_and_receive() -> None:
    async with channel.messages_of("group", "live.word") as next_message:
        await next_message()


async def _join_and_leave() -> None:
    async with channel.messages_of("group", "live.word"):
        pass
    await asyncio.sleep(3600)


async def _send_repeatedly() -> None:
    while True:
        await channel.send("group", {"type": "live.word"})
        await asyncio.sleep(3600)


class ACancelledTask(SimpleTestCase):
    """Ends, whichever call to the layer it waits for."""

    async def test_ends_while_it_joins(self) -> None:
        for swallows in ("new_channel", "group_add"):
            with self.subTest(swallows):
                await self._assert_ends(_join_and_receive, swallows)

    async def test_ends_while_it_leaves(self) -> None:
        await self._assert_ends(_join_and_leave, "group_discard")

    async def test_ends_while_it_sends(self) -> None:
        await self._assert_ends(_send_repeatedly, "group_send")

    async def test_a_time_out_is_raised_although_the_cancellation_was_swallowed(self) -> None:
        layer = SwallowingLayer("group_send")
        with (
            mock.patch.object(channel, "_layer", return_value=layer),
            self.assertRaises(TimeoutError),
        ):
            async with asyncio.timeout(0.01):
                await channel.send("group", {"type": "live.word"})

    async def _assert_ends(
        self, work: Callable[[], Coroutine[Any, Any, None]], swallows: str
    ) -> None:
        layer = SwallowingLayer(swallows)
        with mock.patch.object(channel, "_layer", return_value=layer):
            task = asyncio.create_task(work())
            await layer.is_called.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            has_ended = task.done()
            task.cancel()  # the test ends in any case
        self.assertTrue(has_ended)
        self.assertEqual(layer.members, set())
