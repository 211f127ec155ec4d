"""Read coalescing: with many sockets the event loop pauses once per iteration, with few it does
not.
"""

from __future__ import annotations

import asyncio

from django.test import SimpleTestCase

from streams.ingest.read_coalescing import MANY_SOCKETS, PAUSE_SECONDS, ReadCoalescing


class Pauses(SimpleTestCase):
    def setUp(self) -> None:
        self.pauses: list[float] = []
        self.coalescing = ReadCoalescing(sleep=self.pauses.append)

    async def iterations(self, count: int) -> int:
        """Returns the number of pauses in that many loop iterations."""
        before = len(self.pauses)
        for _ in range(count):
            await asyncio.sleep(0)
        return len(self.pauses) - before

    async def test_few_sockets_cause_no_pause(self) -> None:
        self.coalescing.adjust(MANY_SOCKETS - 1)
        self.assertEqual(await self.iterations(10), 0)

    async def test_many_sockets_cause_a_pause_per_iteration(self) -> None:
        self.coalescing.adjust(MANY_SOCKETS)
        self.assertEqual(await self.iterations(10), 10)
        self.assertEqual(set(self.pauses), {PAUSE_SECONDS})

    async def test_repeated_adjusting_causes_one_pause_per_iteration(self) -> None:
        for _ in range(5):
            self.coalescing.adjust(MANY_SOCKETS)
        self.assertEqual(await self.iterations(10), 10)

    async def test_pauses_end_when_sockets_become_few(self) -> None:
        self.coalescing.adjust(MANY_SOCKETS)
        await self.iterations(2)
        self.coalescing.adjust(0)
        await self.iterations(1)
        self.assertEqual(await self.iterations(10), 0)

    async def test_pauses_start_again(self) -> None:
        for sockets in (MANY_SOCKETS, 0, MANY_SOCKETS):
            self.coalescing.adjust(sockets)
            await self.iterations(3)
        self.assertEqual(await self.iterations(10), 10)

    def test_another_event_loop_is_paused_too(self) -> None:
        async def pauses() -> int:
            self.coalescing.adjust(MANY_SOCKETS)
            return await self.iterations(5)

        self.assertEqual([asyncio.run(pauses()), asyncio.run(pauses())], [5, 5])
