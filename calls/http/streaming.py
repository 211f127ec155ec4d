"""Response bodies made in export threads, at most one chunk ahead of the client.

Under ASGI, Django reads a synchronous iterator into memory as a whole, so the body is asynchronous.
Decoding, encoding and the audio store have their own threads, so that neither the event loop nor a
journal ever waits for an export. When the client disconnects, Django closes the response, which
stops the work.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack, closing
from threading import Event, Lock
from typing import IO, TypeVar

from calls.http.access import Access
from calls.http.fair_threads import FairThreads
from calls.storage.threads import call_and_disconnect

T = TypeVar("T")

THREADS = 4
"""Exports that work at the same time; others wait for their next chunk."""

THREADS_OF_A_USER = 2
"""Exports of one user that work at the same time, so that some are left for others."""

FILE_CHUNK_BYTES = 1 << 18

_threads = FairThreads(THREADS, each=THREADS_OF_A_USER, name="export")


class Abandoned(Exception):
    """The client has disconnected: the result is no longer needed."""


async def in_thread(work: Callable[[Event], T], owner: Hashable = None) -> T:
    """Runs `work` of a user in an export thread. The event that it is given is set when the caller
    is cancelled.
    """
    stop = Event()
    try:
        return await asyncio.wrap_future(_submit(owner, lambda: work(stop)))
    except asyncio.CancelledError:
        stop.set()
        raise


class Body(AsyncIterator[bytes]):
    """The chunks of a generator, each made in an export thread of its `owner`, a user. `close` ends
    the generator once the current chunk is made.

    An empty chunk is not sent: a generator yields it so that it can be ended, and others can work,
    while it skips what comes before a range. `access` is checked now and then before a chunk is
    sent.
    """

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self.owner: Hashable = None
        self.access: Access | None = None
        self._chunks = chunks
        self._next: Future[bytes | None] | None = None
        self._closed = False
        self._running = Lock()

    async def begin(self) -> None:
        """Makes the first chunk, so that an error in it can still be sent with its status."""
        assert self._next is None, "a body begins once"
        self._next = self._submit()
        while await asyncio.wrap_future(self._next) == b"":
            self._next = self._submit()

    async def __anext__(self) -> bytes:
        while (chunk := await asyncio.wrap_future(self._next or self._submit())) == b"":
            self._next = self._submit()
        if chunk is None:
            raise StopAsyncIteration
        if self.access and self.access.is_due:
            await asyncio.wrap_future(_submit(self.owner, self.access.check))
        self._next = self._submit()
        return chunk

    def close(self) -> None:
        self._closed = True
        _submit(self.owner, self._end)

    def _submit(self) -> Future[bytes | None]:
        return _submit(self.owner, self._step)

    def _step(self) -> bytes | None:
        with self._running:
            return None if self._closed else next(self._chunks, None)

    def _end(self) -> None:
        with self._running:
            self._chunks.close()


def render_to_file(chunks: Iterable[bytes], stop: Event) -> IO[bytes]:
    """Writes all chunks to a temporary file without a name, which disappears when it is closed.
    Raises `Abandoned` once `stop` is set.
    """
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(prefix="acsmedia-export-"))
        for chunk in chunks:
            if stop.is_set():
                raise Abandoned
            file.write(chunk)
        stack.pop_all()  # the caller closes it
    return file


def file_size(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def file_chunks(file: IO[bytes], first: int, last: int) -> Generator[bytes, None, None]:
    """Yields bytes [first, last) of a file and closes it."""
    with closing(file):
        file.seek(first)
        while first < last:
            chunk = file.read(min(FILE_CHUNK_BYTES, last - first))
            assert chunk, "the file is as long as was measured"
            first += len(chunk)
            yield chunk


def _submit(owner: Hashable, work: Callable[[], T]) -> Future[T]:
    return _threads.submit(owner, lambda: call_and_disconnect(work))
