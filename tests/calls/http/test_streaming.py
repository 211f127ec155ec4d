"""Bodies: made in threads, one chunk ahead, stopped when the client disconnects."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from unittest import IsolatedAsyncioTestCase

from calls.export.errors import AccessEnded
from calls.http.access import Access
from calls.http.streaming import (
    THREADS,
    THREADS_OF_A_USER,
    Abandoned,
    Body,
    file_chunks,
    file_size,
    in_thread,
    render_to_file,
)


class Source:
    """Makes chunks on demand and records their number, their threads and its own closing."""

    def __init__(self, count: int = 10**9, fails_at: int = -1) -> None:
        self.count, self.fails_at = count, fails_at
        self.made = 0
        self.threads: set[str] = set()
        self.closed = threading.Event()
        self.may_continue = threading.Event()
        self.may_continue.set()
        self.working = threading.Event()

    def chunks(self) -> Generator[bytes, None, None]:
        try:
            while self.made < self.count:
                self.working.set()
                self.may_continue.wait()
                if self.made == self.fails_at:
                    raise ValueError("broken")
                self.made += 1
                self.threads.add(threading.current_thread().name)
                yield b"%d " % self.made
        finally:
            self.closed.set()


class FakeAccess(Access):
    """Access whose checks are counted."""

    is_due = False

    def __init__(self) -> None:
        self.checks, self.has_ended = 0, False

    def check(self) -> None:
        self.checks += 1
        if self.has_ended:
            raise AccessEnded


async def is_set(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, 10)


class BodyTests(IsolatedAsyncioTestCase):
    async def test_chunks_come_in_order_from_export_threads(self) -> None:
        source = Source(5)
        body = Body(source.chunks())
        self.assertEqual(b"".join([chunk async for chunk in body]), b"1 2 3 4 5 ")
        self.assertTrue(source.closed.is_set())
        self.assertTrue(all(name.startswith("export") for name in source.threads), source.threads)

    async def test_at_most_one_chunk_is_made_ahead(self) -> None:
        source = Source()
        body = Body(source.chunks())
        await body.begin()
        self.assertEqual(source.made, 1)
        self.assertEqual(await anext(body), b"1 ")
        self.assertEqual(await anext(body), b"2 ")
        self.assertLessEqual(source.made, 3)
        body.close()
        self.assertTrue(await is_set(source.closed))
        self.assertLessEqual(source.made, 3)

    async def test_an_error_in_the_first_chunk_is_raised_before_anything_is_sent(self) -> None:
        def seek() -> Generator[bytes, None, None]:
            yield from [b""] * 3
            raise ValueError("broken")

        for source in (Source(fails_at=0).chunks(), seek()):
            with self.assertRaisesRegex(ValueError, "broken"):
                await Body(source).begin()

    async def test_a_later_error_is_raised_by_the_body(self) -> None:
        body = Body(Source(fails_at=2).chunks())
        self.assertEqual([await anext(body), await anext(body)], [b"1 ", b"2 "])
        with self.assertRaisesRegex(ValueError, "broken"):
            await anext(body)

    async def test_closing_while_a_chunk_is_made_ends_the_source_after_it(self) -> None:
        source = Source()
        source.may_continue.clear()
        reading = asyncio.create_task(anext(Body(source.chunks())))
        self.assertTrue(await is_set(source.working))
        reading.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await reading
        body = Body(source.chunks())
        body.close()
        source.may_continue.set()
        self.assertTrue(await is_set(source.closed))
        with self.assertRaises(StopAsyncIteration):
            await anext(body)

    async def test_empty_chunks_are_not_sent_and_let_others_work(self) -> None:
        def seek() -> Generator[bytes, None, None]:
            yield from [b""] * 50
            yield from [b"a", b"", b"b"]

        body = Body(seek())
        await body.begin()
        self.assertEqual([chunk async for chunk in body], [b"a", b"b"])

    async def test_access_is_checked_when_due_and_its_end_cuts_the_body_off(self) -> None:
        access = FakeAccess()
        body = Body(Source().chunks())
        body.access = access
        self.assertEqual([await anext(body), await anext(body)], [b"1 ", b"2 "])
        self.assertEqual(access.checks, 0)
        access.is_due = True
        self.assertEqual(await anext(body), b"3 ")
        self.assertEqual(access.checks, 1)
        access.has_ended = True
        with self.assertRaises(AccessEnded):
            await anext(body)
        body.close()

    async def test_a_seek_ends_when_its_client_leaves_before_the_first_byte(self) -> None:
        """Bodies of abandoned seeks, more than there are threads, delay no other export."""
        begun, ended = ([threading.Event() for _ in range(2 * THREADS)] for _ in range(2))

        def seek(begin: threading.Event, end: threading.Event) -> Generator[bytes, None, None]:
            begin.set()
            try:
                while True:
                    yield b""
            finally:
                end.set()

        for begin, end in zip(begun, ended, strict=True):
            body = Body(seek(begin, end))
            beginning = asyncio.create_task(body.begin())
            self.assertTrue(await is_set(begin))
            beginning.cancel()
            body.close()
        for end in ended:
            self.assertTrue(await is_set(end))
        self.assertEqual([chunk async for chunk in Body(Source(2).chunks())], [b"1 ", b"2 "])

    async def test_a_chunk_that_waits_for_a_thread_is_not_made_after_the_close(self) -> None:
        may_end, source = threading.Event(), Source()
        self.addCleanup(may_end.set)
        others = [
            asyncio.create_task(in_thread(lambda _stop: may_end.wait(10), "one"))
            for _ in range(THREADS_OF_A_USER)
        ]
        body = Body(source.chunks())
        body.owner = "one"
        beginning = asyncio.create_task(body.begin())
        await asyncio.sleep(0)
        body.close()
        may_end.set()
        await asyncio.gather(beginning, *others)
        self.assertEqual(source.made, 0)

    async def test_the_exports_of_one_user_leave_threads_to_others(self) -> None:
        sources = [Source() for _ in range(2 * THREADS)]
        bodies = [Body(source.chunks()) for source in sources]
        beginnings = []
        for source, body in zip(sources, bodies, strict=True):
            source.may_continue.clear()
            body.owner = "greedy"
            beginnings.append(asyncio.create_task(body.begin()))
        for source in sources[:THREADS_OF_A_USER]:
            self.assertTrue(await is_set(source.working))
        other = Body(Source(2).chunks())
        other.owner = "other"
        async with asyncio.timeout(10):
            self.assertEqual([chunk async for chunk in other], [b"1 ", b"2 "])
        self.assertEqual(sum(one.working.is_set() for one in sources), THREADS_OF_A_USER)
        for source, body in zip(sources, bodies, strict=True):
            source.may_continue.set()
            body.close()
        await asyncio.gather(*beginnings)

    async def test_cancelling_the_caller_stops_the_work(self) -> None:
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

    async def test_rendering_stops_at_the_chunk_after_the_client_disconnects(self) -> None:
        source, stop = Source(), threading.Event()
        stop.set()
        chunks = source.chunks()
        with self.assertRaises(Abandoned):
            render_to_file(chunks, stop)
        self.assertEqual(source.made, 1)

    async def test_a_range_of_a_rendered_file_is_sent_and_the_file_closed(self) -> None:
        file = render_to_file(Source(5).chunks(), threading.Event())
        self.assertEqual(file_size(file), 10)
        self.assertEqual(b"".join([chunk async for chunk in Body(file_chunks(file, 2, 5))]), b"2 3")
        self.assertTrue(file.closed)
