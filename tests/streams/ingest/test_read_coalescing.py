"""With many sockets the event loop rests between its turns, so that their packets gather; with few
it does not.
"""

from __future__ import annotations

import asyncio

from django.test import SimpleTestCase

from streams.ingest.read_coalescing import MANY_SOCKETS, PAUSE_SECONDS, ReadCoalescing


class Rests(SimpleTestCase):
    def setUp(self) -> None:
        self.rests: list[float] = []
        self.gathering = ReadCoalescing(sleep=self.rests.append)

    async def turns(self, number: int) -> int:
        """How often the loop rested in so many turns."""
        before = len(self.rests)
        for _ in range(number):
            await asyncio.sleep(0)
        return len(self.rests) - before

    async def test_few_sockets_are_read_at_once(self) -> None:
        self.gathering.adjust(MANY_SOCKETS - 1)
        self.assertEqual(await self.turns(10), 0)

    async def test_many_sockets_gather_for_a_moment_in_each_turn(self) -> None:
        self.gathering.adjust(MANY_SOCKETS)
        self.assertEqual(await self.turns(10), 10)
        self.assertEqual(set(self.rests), {PAUSE_SECONDS})

    async def test_there_is_one_rest_in_a_turn_however_often_it_is_suited(self) -> None:
        for _ in range(5):
            self.gathering.adjust(MANY_SOCKETS)
        self.assertEqual(await self.turns(10), 10)

    async def test_it_ends_when_sockets_have_become_few(self) -> None:
        self.gathering.adjust(MANY_SOCKETS)
        await self.turns(2)
        self.gathering.adjust(0)
        await self.turns(1)
        self.assertEqual(await self.turns(10), 0)

    async def test_it_begins_again(self) -> None:
        for sockets in (MANY_SOCKETS, 0, MANY_SOCKETS):
            self.gathering.adjust(sockets)
            await self.turns(3)
        self.assertEqual(await self.turns(10), 10)

    def test_it_goes_on_in_another_loop(self) -> None:
        async def rests() -> int:
            self.gathering.adjust(MANY_SOCKETS)
            return await self.turns(5)

        self.assertEqual([asyncio.run(rests()), asyncio.run(rests())], [5, 5])
