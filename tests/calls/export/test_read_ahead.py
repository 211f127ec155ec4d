"""Reading ahead: in order, bounded, once, and not after the reader has left."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from unittest import TestCase

import numpy as np

from calls.export.axis import SegmentRef
from calls.export.errors import StoreUnavailable
from calls.export.formats import Layout
from calls.export.read_ahead import AHEAD, ReadAhead
from calls.export.rendering import Renderer
from tests.calls.sealed import Sealed

TIMEOUT_SECONDS = 10


class Store:
    """Answers when it is allowed to, and records requests."""

    def __init__(self, sealed: Sealed, *, answers: bool = True) -> None:
        self._sealed = sealed
        self.requested: list[SegmentRef] = []
        self.threads: set[str] = set()
        self.answers = threading.Event()
        self.met = threading.Barrier(AHEAD)
        if answers:
            self.answers.set()

    def read(self, segment: SegmentRef) -> Any:
        self.requested.append(segment)
        self.threads.add(threading.current_thread().name)
        self.answers.wait(TIMEOUT_SECONDS)
        return self._sealed.samples[segment.segment_id]

    def read_together(self, segment: SegmentRef) -> Any:
        """Answers only when `AHEAD` segments are requested at the same time."""
        self.met.wait(TIMEOUT_SECONDS)
        return self._sealed.samples[segment.segment_id]

    def fail(self, _segment: SegmentRef) -> Any:
        raise StoreUnavailable


def track(seconds: int, rate: int = 16_000) -> Any:
    """One segment for each second, filled with its number."""
    return rate, [(number * rate, np.full(rate, number, np.int16)) for number in range(seconds)]


def segments_of(sealed: Sealed) -> Sequence[SegmentRef]:
    return next(iter(sealed.recording.segments.values()))


class ReadAheadTests(TestCase):
    def test_segments_are_read_at_the_same_time(self) -> None:
        sealed = Sealed([track(AHEAD)])
        with ReadAhead(Store(sealed).read_together) as ahead:
            ahead.announce(iter(segments_of(sealed)))
            values = [int(ahead.read(segment)[0]) for segment in segments_of(sealed)]
        self.assertEqual(values, list(range(AHEAD)))

    def test_the_number_read_ahead_is_bounded(self) -> None:
        sealed = Sealed([track(20)])
        store = Store(sealed)
        with ReadAhead(store.read) as ahead:
            ahead.announce(iter(segments_of(sealed)))
            ahead.read(segments_of(sealed)[0])
            ahead.read(segments_of(sealed)[1])
        self.assertLessEqual(len(store.requested), AHEAD + 2)
        self.assertTrue(all(name.startswith("segments") for name in store.threads), store.threads)

    def test_a_segment_that_was_not_announced_is_read_too(self) -> None:
        sealed = Sealed([track(3)])
        with ReadAhead(Store(sealed).read) as ahead:
            self.assertEqual(int(ahead.read(segments_of(sealed)[2])[0]), 2)

    def test_an_error_is_raised_where_the_segment_is_used(self) -> None:
        sealed = Sealed([track(3)])
        with ReadAhead(Store(sealed).fail) as ahead:
            ahead.announce(iter(segments_of(sealed)))
            with self.assertRaises(StoreUnavailable):
                ahead.read(segments_of(sealed)[0])

    def test_reads_that_have_not_started_are_cancelled_on_exit(self) -> None:
        sealed = Sealed([track(3 * AHEAD)])
        store = Store(sealed, answers=False)
        with ReadAhead(store.read) as first, ReadAhead(store.read) as second:
            first.announce(iter(segments_of(sealed)))
            second.announce(iter(segments_of(sealed)[AHEAD:]))  # all threads are busy: these wait
        store.answers.set()
        with ReadAhead(store.read) as third:
            third.announce(iter(segments_of(sealed)[2 * AHEAD :]))
            third.read(segments_of(sealed)[2 * AHEAD])
        requested = {segment.start_sample for segment in store.requested}
        cancelled = {segment.start_sample for segment in segments_of(sealed)[AHEAD : 2 * AHEAD]}
        self.assertFalse(requested & cancelled)


class AnnouncedTests(TestCase):
    def test_blocks_announce_their_segments_in_the_order_of_use(self) -> None:
        for tracks in ([track(25), track(30)], [track(25), track(30, 24_000)]):
            sealed = Sealed(tracks)
            announced: list[SegmentRef] = []
            plan = sealed.plan(layout=Layout.TRACKS)
            read: list[SegmentRef] = []

            def reader(
                segment: SegmentRef, sealed: Sealed = sealed, read: list[SegmentRef] = read
            ) -> Any:
                read.append(segment)
                return sealed.samples[segment.segment_id]

            blocks = Renderer(plan, reader, announced.extend).blocks(
                plan.sample_rate * 12, plan.sample_rate * 23
            )
            for _ in blocks:
                pass
            with self.subTest(rates=plan.sample_rate):
                self.assertEqual(len(announced), len(set(announced)))
                self.assertLessEqual(set(announced), set(read))
                if plan.sample_rate == 16_000:  # resampling also reads the margins
                    self.assertEqual(set(announced), set(read))
                seconds = [each.start_sample / each.sample_rate for each in announced]
                self.assertEqual(seconds, sorted(seconds))
