"""Listening for requests ends in order: it has left the channel layer when the recorder ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import IsolatedAsyncioTestCase
from unittest.mock import patch

from calls.live import channel
from streams.live import requests
from streams.live.requests import RequestListener
from tests.streams.media_sockets import MediaSocketTestCase

Accept = Callable[[dict[str, Any]], None]


class Layer:
    """Stands in for `serve_requests`: leaving the layer takes some iterations of the loop."""

    def __init__(self) -> None:
        self.joined, self.left, self.interrupted = asyncio.Event(), 0, 0

    async def serve(self, _accept: Accept) -> None:
        self.joined.set()
        try:
            await asyncio.sleep(3600)
        finally:
            try:
                for _ in range(5):
                    await asyncio.sleep(0)
                self.left += 1
            except asyncio.CancelledError:
                self.interrupted += 1
                raise

    @property
    def outcome(self) -> tuple[int, int]:
        return self.left, self.interrupted


class Listening(IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.layer = Layer()
        self.enterContext(patch.object(requests, "serve_requests", self.layer.serve))
        self.listener = RequestListener(lambda _message: None)

    async def test_ends_once_it_has_left(self) -> None:
        await self.listener.wait()
        self.listener.stop()
        self.listener.start()
        await self.layer.joined.wait()
        self.listener.stop()
        self.listener.stop()
        await self.listener.wait()
        self.assertEqual(self.layer.outcome, (1, 0))

    async def test_is_not_interrupted_when_the_loop_has_cancelled_it(self) -> None:
        self.listener.start()
        await self.layer.joined.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        self.listener.stop()
        await self.listener.wait()
        self.assertEqual(self.layer.outcome, (1, 0))

    async def test_is_not_waited_for_longer_than_a_second(self) -> None:
        hanging = asyncio.Event()

        async def hang(_accept: Accept) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await hanging.wait()

        with (
            patch.object(requests, "serve_requests", hang),
            patch.object(channel, "LEAVE_SECONDS", 0.01),
        ):
            self.listener.start()
            await asyncio.sleep(0)
            self.listener.stop()
            await self.listener.wait()
        hanging.set()


class OfARecorder(MediaSocketTestCase):
    async def test_has_ended_when_the_recorder_is_closed(self) -> None:
        layer = Layer()
        with patch.object(requests, "serve_requests", layer.serve):
            async with self.connected():
                await layer.joined.wait()
                await self.recorder.aclose()
                self.assertEqual(layer.outcome, (1, 0))
