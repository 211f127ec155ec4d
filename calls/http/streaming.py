"""The bytes of an export on their way to the client: made in threads, one piece ahead at most.

Django reads a plain iterator whole into memory under ASGI, so the body is asynchronous; decoding,
encoding and the audio store are in threads of their own, so that neither the event loop nor a
journal ever waits for an export. When the client goes away Django closes the response, and with it
the work.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Event, Lock
from typing import IO, TypeVar

from django.db import connections

T = TypeVar("T")

THREADS = 4
"""Exports that work at the same time; others wait for their next piece."""

FILE_PIECE_BYTES = 1 << 18

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="export")


class Abandoned(Exception):
    """The client has gone away: nobody waits for the result."""


async def in_thread(work: Callable[[Event], T]) -> T:
    """`work` in an export thread; when the caller is cancelled, the event that it was given is
    set.
    """
    stop = Event()
    try:
        return await asyncio.wrap_future(_submit(lambda: work(stop)))
    except asyncio.CancelledError:
        stop.set()
        raise


class Body(AsyncIterator[bytes]):
    """Pieces of a generator, each made in an export thread. `close` ends the generator, whatever it
    is doing.
    """

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces = pieces
        self._ahead: Future[bytes | None] | None = None
        self._closed = False
        self._working = Lock()

    async def begin(self) -> None:
        """Makes the first piece, so that what fails at once can still be answered with a status."""
        assert self._ahead is None, "a body begins once"
        ahead = self._ahead = _submit(self._step)
        await asyncio.wrap_future(ahead)

    async def __anext__(self) -> bytes:
        piece = await asyncio.wrap_future(self._ahead or _submit(self._step))
        if piece is None:
            raise StopAsyncIteration
        self._ahead = _submit(self._step)
        return piece

    def close(self) -> None:
        self._closed = True
        _submit(self._end)

    def _step(self) -> bytes | None:
        with self._working:
            return None if self._closed else next(self._pieces, None)

    def _end(self) -> None:
        with self._working:
            self._pieces.close()


def rendered(pieces: Iterator[bytes], stop: Event) -> IO[bytes]:
    """All pieces in a temporary file without a name: it is gone when it is closed. Raises
    `Abandoned`.
    """
    # The caller closes it, or here what goes wrong does.
    file = tempfile.TemporaryFile(prefix="acsmedia-export-")  # noqa: SIM115
    try:
        for piece in _until(stop, pieces):
            file.write(piece)
    except BaseException:
        file.close()
        raise
    return file


def _until(stop: Event, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if stop.is_set():
            raise Abandoned
        yield piece


def size_of(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def pieces_of_file(file: IO[bytes], first: int, last: int) -> Generator[bytes, None, None]:
    """Bytes [first, last) of a file, which is closed after them."""
    with closing(file):
        file.seek(first)
        while first < last:
            piece = file.read(min(FILE_PIECE_BYTES, last - first))
            assert piece, "the file is as long as was measured"
            first += len(piece)
            yield piece


def _submit(work: Callable[[], T]) -> Future[T]:
    return _threads.submit(_without_connection, work)


def _without_connection(work: Callable[[], T]) -> T:
    """A store in the database opens a connection in this thread: it does not outlive the piece."""
    try:
        return work()
    finally:
        connections.close_all()
