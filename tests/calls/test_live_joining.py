"""A task that is to end while it joins the channel layer ends, also where the layer keeps that from it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from unittest import mock

from django.test import SimpleTestCase

from calls import live


class SwallowingLayer:
    """Joining takes a cancellation for its own affair, as connecting to Redis may; no message ever comes."""

    def __init__(self) -> None:
        self.joining = asyncio.Event()
        self.members: set[str] = set()

    async def new_channel(self) -> str:
        return "channel"

    async def group_add(self, _group: str, channel: str) -> None:
        self.joining.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        self.members.add(channel)

    async def group_discard(self, _group: str, channel: str) -> None:
        self.members.discard(channel)

    async def receive(self, _channel: str) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")


class Joining(SimpleTestCase):
    async def test_whose_end_was_swallowed_waits_for_no_message(self) -> None:
        layer = SwallowingLayer()

        async def listen() -> None:
            async with live.messages_of("group") as next_message:
                await next_message()

        with mock.patch.object(live, "_layer", return_value=layer):
            task = asyncio.create_task(listen())
            await layer.joining.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            is_over = task.done()
            task.cancel()  # the test ends whatever comes out of it
        self.assertTrue(is_over)
        self.assertEqual(layer.members, set())
