"""One of a crowd goes on in each turn of the event loop, in the order of coming; the crowd has a
bound.
"""

from __future__ import annotations

import asyncio

from django.test import SimpleTestCase

from streams.ingest.loop_limiter import LoopLimiter, Overloaded


async def turns_of_the_loop(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class OneByOne(SimpleTestCase):
    async def test_nobody_waits_who_is_alone(self) -> None:
        turns = LoopLimiter(max_waiting=0)
        for _ in range(3):
            await turns.acquire()
            await asyncio.sleep(0)

    async def test_a_crowd_goes_on_one_in_each_turn_in_the_order_of_coming(self) -> None:
        turns, gone = LoopLimiter(), list[int]()

        async def one(number: int) -> None:
            await turns.acquire()
            gone.append(number)

        async with asyncio.TaskGroup() as crowd:
            for number in range(20):
                crowd.create_task(one(number))
            while len(gone) < 20:
                before = len(gone)
                await asyncio.sleep(0)
                self.assertLessEqual(len(gone) - before, 1)
        self.assertEqual(gone, list(range(20)))

    async def test_who_comes_while_others_wait_goes_after_them(self) -> None:
        turns, gone = LoopLimiter(), list[str]()

        async def one(name: str) -> None:
            await turns.acquire()
            gone.append(name)

        async with asyncio.TaskGroup() as crowd:
            for name in "abc":
                crowd.create_task(one(name))
            while not gone:  # noqa: ASYNC110 - turns of the loop, no time
                await asyncio.sleep(0)
            crowd.create_task(one("late"))
        self.assertEqual(gone, ["a", "b", "c", "late"])

    async def test_who_gives_up_costs_the_others_no_turn(self) -> None:
        turns = LoopLimiter()
        crowd = [asyncio.create_task(turns.acquire()) for _ in range(6)]
        await asyncio.sleep(0)  # the first has gone on, the others wait
        for task in crowd[1:-1]:
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.assertEqual([task.cancelled() for task in crowd], [False, *[True] * 4, False])
        self.assertTrue(crowd[-1].done())


class TheBound(SimpleTestCase):
    async def test_of_how_many_wait(self) -> None:
        turns = LoopLimiter(max_waiting=2)
        crowd = [asyncio.create_task(turns.acquire()) for _ in range(4)]  # one goes on, two wait
        await asyncio.wait(crowd)
        self.assertEqual(
            [type(task.exception()) for task in crowd], [type(None)] * 3 + [Overloaded]
        )

    async def test_of_how_long_one_waits(self) -> None:
        turns = LoopLimiter(max_seconds=0)
        await turns.acquire()
        with self.assertRaises(Overloaded):
            await turns.acquire()

    async def test_leaves_nothing_behind(self) -> None:
        turns = LoopLimiter(max_waiting=1, max_seconds=0)
        await turns.acquire()
        with self.assertRaises(Overloaded):
            await turns.acquire()
        await turns_of_the_loop(3)
        await turns.acquire()
        self.assertFalse(turns._waiters)
