"""Segments that are read and decoded before they are wanted, in threads of their own.

Decoding is most of an export, and a store far away answers in tens of milliseconds: one segment
after the other would use one core, or none. What is read ahead is bounded, so that memory stays
flat.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self
from uuid import UUID

from django.db import connections

from calls.audio.codec import Samples
from calls.export.axis import SegmentRef
from calls.export.segments import Reader

THREADS = 4
"""Segments that are read at the same time, by all exports together: each may need a connection to
the database.
"""

AHEAD = 4
"""Segments of one export that are being read, or wait to be used."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="segments")


class ReadAhead:
    """Reads what is expected, in that order, while what came before is being used.

    with ReadAhead(read_stretch) as reading:
        reading.expect(stretches)
        samples = reading.read(stretch)
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._expected: Iterator[SegmentRef] = iter(())
        self._reads: dict[UUID, Future[Samples]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """What has not begun never begins; what has is nobody's."""
        self._expected = iter(())
        for reading in self._reads.values():
            reading.cancel()
        self._reads.clear()

    def expect(self, stretches: Iterator[SegmentRef]) -> None:
        """What will be read, in the order of its being needed."""
        self._expected = stretches
        self._read_on()

    def read(self, stretch: SegmentRef) -> Samples:
        """As a `Reader`, and what was not expected as well."""
        reading = self._reads.pop(stretch.segment_id, None)
        if reading is None:
            return self._read(stretch)
        self._read_on()
        return reading.result()

    def _read_on(self) -> None:
        while len(self._reads) < AHEAD:
            stretch = next(self._expected, None)
            if stretch is None:
                return
            self._reads[stretch.segment_id] = _threads.submit(
                _without_connection, self._read, stretch
            )


def _without_connection(read: Reader, stretch: SegmentRef) -> Samples:
    """A store in the database opens a connection in this thread: it does not outlive the
    segment.
    """
    try:
        return read(stretch)
    finally:
        connections.close_all()
