"""Loop limiter: one caller proceeds per event-loop iteration, in FIFO order; the queue
is bounded.
"""

from __future__ import annotations

import asyncio

from django.test import SimpleTestCase

from streams.ingest.loop_limiter import LoopLimiter, Overloaded


async def iterate(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class OnePerIteration(SimpleTestCase):
    async def test_a_single_caller_does_not_wait(self) -> None:
        limiter = LoopLimiter(max_waiting=0)
        for _ in range(3):
            await limiter.acquire()
            await asyncio.sleep(0)

    async def test_a_burst_proceeds_one_per_iteration_in_order(self) -> None:
        limiter, done = LoopLimiter(), list[int]()

        async def one(number: int) -> None:
            await limiter.acquire()
            done.append(number)

        async with asyncio.TaskGroup() as burst:
            for number in range(20):
                burst.create_task(one(number))
            while len(done) < 20:
                before = len(done)
                await asyncio.sleep(0)
                self.assertLessEqual(len(done) - before, 1)
        self.assertEqual(done, list(range(20)))

    async def test_later_callers_queue_behind_earlier_ones(self) -> None:
        limiter, done = LoopLimiter(), list[str]()

        async def one(name: str) -> None:
            await limiter.acquire()
            done.append(name)

        async with asyncio.TaskGroup() as burst:
            for name in "abc":
                burst.create_task(one(name))
            while not done:  # noqa: ASYNC110 - counts loop iterations, not time
                await asyncio.sleep(0)
            burst.create_task(one("late"))
        self.assertEqual(done, ["a", "b", "c", "late"])

    async def test_a_cancelled_waiter_uses_no_iteration(self) -> None:
        limiter = LoopLimiter()
        burst = [asyncio.create_task(limiter.acquire()) for _ in range(6)]
        await asyncio.sleep(0)  # the first has proceeded, the others wait
        for task in burst[1:-1]:
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.assertEqual([task.cancelled() for task in burst], [False, *[True] * 4, False])
        self.assertTrue(burst[-1].done())


class Bounds(SimpleTestCase):
    async def test_limit_the_queue(self) -> None:
        limiter = LoopLimiter(max_waiting=2)
        burst = [asyncio.create_task(limiter.acquire()) for _ in range(4)]  # 1 proceeds, 2 wait
        await asyncio.wait(burst)
        self.assertEqual(
            [type(task.exception()) for task in burst], [type(None)] * 3 + [Overloaded]
        )

    async def test_limit_the_wait(self) -> None:
        limiter = LoopLimiter(max_seconds=0)
        await limiter.acquire()
        with self.assertRaises(Overloaded):
            await limiter.acquire()

    async def test_leave_no_waiter_behind(self) -> None:
        limiter = LoopLimiter(max_waiting=1, max_seconds=0)
        await limiter.acquire()
        with self.assertRaises(Overloaded):
            await limiter.acquire()
        await iterate(3)
        await limiter.acquire()
        self.assertFalse(limiter._waiters)
