"""A dashboard's socket ends whatever comes at the same moment: no task of it stays behind."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import IsolatedAsyncioTestCase

from calls.live.consumer import LiveSocket


async def silent() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def taken(_event: dict[str, Any]) -> None:
    """The browser takes everything at once."""


class Ending(IsolatedAsyncioTestCase):
    async def test_a_task_that_is_cancelled_as_its_event_comes_ends(self) -> None:
        """Some turns of the loop lie between an event and who waits for it: the end may come in any
        of them.
        """
        for turns in range(6):
            with self.subTest(turns=turns):
                socket = LiveSocket("key", silent, taken)
                sending = asyncio.create_task(socket._send_outbox())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                socket._mail.set()
                for _ in range(turns):
                    await asyncio.sleep(0)
                sending.cancel()
                done, _ = await asyncio.wait({sending}, timeout=1)
                self.assertEqual(done, {sending})
