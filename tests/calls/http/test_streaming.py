"""The body: made in threads, one piece ahead, ended when nobody wants it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from unittest import IsolatedAsyncioTestCase

from calls.http.streaming import Abandoned, Body, in_thread, pieces_of_file, rendered, size_of


class Source:
    """Pieces on demand; says how many were made, in which threads, and whether it was closed."""

    def __init__(self, count: int = 10**9, fails_at: int = -1) -> None:
        self.count, self.fails_at = count, fails_at
        self.made = 0
        self.threads: set[str] = set()
        self.closed = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.working = threading.Event()

    def pieces(self) -> Generator[bytes, None, None]:
        try:
            while self.made < self.count:
                self.working.set()
                self.may_go_on.wait()
                if self.made == self.fails_at:
                    raise ValueError("broken")
                self.made += 1
                self.threads.add(threading.current_thread().name)
                yield b"%d " % self.made
        finally:
            self.closed.set()


async def is_set(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, 10)


class BodyTests(IsolatedAsyncioTestCase):
    async def test_all_pieces_come_in_order_from_export_threads(self) -> None:
        source = Source(5)
        body = Body(source.pieces())
        self.assertEqual(b"".join([piece async for piece in body]), b"1 2 3 4 5 ")
        self.assertTrue(source.closed.is_set())
        self.assertTrue(all(name.startswith("export") for name in source.threads), source.threads)

    async def test_no_more_than_one_piece_is_made_ahead(self) -> None:
        source = Source()
        body = Body(source.pieces())
        await body.begin()
        self.assertEqual(source.made, 1)
        self.assertEqual(await anext(body), b"1 ")
        self.assertEqual(await anext(body), b"2 ")
        self.assertLessEqual(source.made, 3)
        body.close()
        self.assertTrue(await is_set(source.closed))
        self.assertLessEqual(source.made, 3)

    async def test_what_fails_at_once_fails_before_anything_is_sent(self) -> None:
        with self.assertRaisesRegex(ValueError, "broken"):
            await Body(Source(fails_at=0).pieces()).begin()

    async def test_what_fails_later_breaks_the_body(self) -> None:
        body = Body(Source(fails_at=2).pieces())
        self.assertEqual([await anext(body), await anext(body)], [b"1 ", b"2 "])
        with self.assertRaisesRegex(ValueError, "broken"):
            await anext(body)

    async def test_closing_in_the_middle_of_a_piece_ends_the_source_after_it(self) -> None:
        source = Source()
        source.may_go_on.clear()
        reading = asyncio.create_task(anext(Body(source.pieces())))
        self.assertTrue(await is_set(source.working))
        reading.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await reading
        body = Body(source.pieces())
        body.close()
        source.may_go_on.set()
        self.assertTrue(await is_set(source.closed))
        with self.assertRaises(StopAsyncIteration):
            await anext(body)

    async def test_a_caller_that_leaves_stops_the_work(self) -> None:
        stopped, started = threading.Event(), threading.Event()

        def work(stop: threading.Event) -> None:
            started.set()
            if stop.wait(10):
                stopped.set()

        task = asyncio.create_task(in_thread(work))
        self.assertTrue(await is_set(started))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertTrue(await is_set(stopped))

    async def test_rendering_ends_at_the_piece_after_the_client_has_left(self) -> None:
        source, stop = Source(), threading.Event()
        stop.set()
        pieces = source.pieces()
        with self.assertRaises(Abandoned):
            rendered(pieces, stop)
        self.assertEqual(source.made, 1)

    async def test_a_part_of_a_rendered_file_is_sent_and_the_file_is_gone(self) -> None:
        file = rendered(Source(5).pieces(), threading.Event())
        self.assertEqual(size_of(file), 10)
        self.assertEqual(
            b"".join([piece async for piece in Body(pieces_of_file(file, 2, 5))]), b"2 3"
        )
        self.assertTrue(file.closed)
