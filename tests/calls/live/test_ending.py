"""The end of a dashboard's socket: no task survives, even if its event is set meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import IsolatedAsyncioTestCase

from calls.live.consumer import LiveSocket


async def silent() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def taken(_event: dict[str, Any]) -> None:
    """A browser that takes every message at once."""


class Ending(IsolatedAsyncioTestCase):
    async def test_a_task_that_is_cancelled_when_its_event_is_set_ends(self) -> None:
        """Some iterations of the event loop lie between an event and the waiting task: the
        cancellation may come in any of them.
        """
        for iterations in range(6):
            with self.subTest(iterations=iterations):
                socket = LiveSocket("key", silent, taken)
                sending = asyncio.create_task(socket._send_outbox())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                socket._outbox_filled.set()
                for _ in range(iterations):
                    await asyncio.sleep(0)
                sending.cancel()
                done, _ = await asyncio.wait({sending}, timeout=1)
                self.assertEqual(done, {sending})
