"""Reads and decodes segments before they are needed, in its own threads.

Decoding is most of the work of an export, and a remote store takes tens of milliseconds to answer:
reading one segment after the other would use one core at most. The number of segments read ahead is
bounded, so memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self
from uuid import UUID

from calls.audio.codec import Samples
from calls.export.axis import SegmentRef
from calls.export.rendering import Reader
from calls.storage.threads import call_and_disconnect

THREADS = 4
"""Segments read at the same time by all exports together: each may need a database connection."""

AHEAD = 4
"""Segments of one export that are being read or wait to be used."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="segments")


class ReadAhead:
    """Reads the announced segments in order while earlier ones are being used.

    with ReadAhead(read_segment) as ahead:
        ahead.announce(segments)
        samples = ahead.read(segment)
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._announced: Iterator[SegmentRef] = iter(())
        self._reads: dict[UUID, Future[Samples]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancels reads that have not started; results of running ones are discarded."""
        self._announced = iter(())
        for pending in self._reads.values():
            pending.cancel()
        self._reads.clear()

    def announce(self, segments: Iterator[SegmentRef]) -> None:
        """Starts to read `segments`, which are given in the order of their use."""
        self._announced = segments
        self._fill()

    def read(self, segment: SegmentRef) -> Samples:
        """Returns the samples as a `Reader` does, also of segments that were not announced."""
        pending = self._reads.pop(segment.segment_id, None)
        if pending is None:
            return self._read(segment)
        self._fill()
        return pending.result()

    def _fill(self) -> None:
        while len(self._reads) < AHEAD:
            segment = next(self._announced, None)
            if segment is None:
                return
            self._reads[segment.segment_id] = _threads.submit(
                call_and_disconnect, self._read, segment
            )
