"""Reading ahead: in order, bounded, once, and never what nobody wants."""

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

PATIENCE = 10


class Store:
    """Answers when it is told to; says what it was asked for."""

    def __init__(self, sealed: Sealed, *, answers: bool = True) -> None:
        self._sealed = sealed
        self.asked: list[SegmentRef] = []
        self.threads: set[str] = set()
        self.answers = threading.Event()
        self.met = threading.Barrier(AHEAD)
        if answers:
            self.answers.set()

    def read(self, stretch: SegmentRef) -> Any:
        self.asked.append(stretch)
        self.threads.add(threading.current_thread().name)
        self.answers.wait(PATIENCE)
        return self._sealed.samples[stretch.segment_id]

    def read_together(self, stretch: SegmentRef) -> Any:
        """Answers when `AHEAD` are asked for at the same time, and never otherwise."""
        self.met.wait(PATIENCE)
        return self._sealed.samples[stretch.segment_id]

    def fail(self, _stretch: SegmentRef) -> Any:
        raise StoreUnavailable


def track(segments: int, rate: int = 16_000) -> Any:
    return rate, [(number * rate, np.full(rate, number, np.int16)) for number in range(segments)]


def stretches(sealed: Sealed) -> Sequence[SegmentRef]:
    return next(iter(sealed.recording.stretches.values()))


class ReadAheadTests(TestCase):
    def test_segments_are_read_at_the_same_time(self) -> None:
        sealed = Sealed([track(AHEAD)])
        with ReadAhead(Store(sealed).read_together) as reading:
            reading.expect(iter(stretches(sealed)))
            heard = [int(reading.read(stretch)[0]) for stretch in stretches(sealed)]
        self.assertEqual(heard, list(range(AHEAD)))

    def test_no_more_are_read_than_may_wait(self) -> None:
        sealed = Sealed([track(20)])
        store = Store(sealed)
        with ReadAhead(store.read) as reading:
            reading.expect(iter(stretches(sealed)))
            reading.read(stretches(sealed)[0])
            reading.read(stretches(sealed)[1])
        self.assertLessEqual(len(store.asked), AHEAD + 2)
        self.assertTrue(all(name.startswith("segments") for name in store.threads), store.threads)

    def test_what_was_not_expected_is_read_all_the_same(self) -> None:
        sealed = Sealed([track(3)])
        with ReadAhead(Store(sealed).read) as reading:
            self.assertEqual(int(reading.read(stretches(sealed)[2])[0]), 2)

    def test_what_fails_fails_where_it_is_wanted(self) -> None:
        sealed = Sealed([track(3)])
        with ReadAhead(Store(sealed).fail) as reading:
            reading.expect(iter(stretches(sealed)))
            with self.assertRaises(StoreUnavailable):
                reading.read(stretches(sealed)[0])

    def test_what_has_not_begun_when_nobody_wants_it_any_more_never_begins(self) -> None:
        sealed = Sealed([track(3 * AHEAD)])
        store = Store(sealed, answers=False)
        with ReadAhead(store.read) as first, ReadAhead(store.read) as second:
            first.expect(iter(stretches(sealed)))
            second.expect(iter(stretches(sealed)[AHEAD:]))  # all threads are taken: these wait
        store.answers.set()
        with ReadAhead(store.read) as third:
            third.expect(iter(stretches(sealed)[2 * AHEAD :]))
            third.read(stretches(sealed)[2 * AHEAD])
        asked = {stretch.start_sample for stretch in store.asked}
        self.assertFalse(
            asked & {stretch.start_sample for stretch in stretches(sealed)[AHEAD : 2 * AHEAD]}
        )


class ExpectedTests(TestCase):
    def test_blocks_tell_beforehand_what_they_will_read_in_the_order_of_their_reading(self) -> None:
        for tracks in ([track(25), track(30)], [track(25), track(30, 24_000)]):
            sealed = Sealed(tracks)
            expected: list[SegmentRef] = []
            plan = sealed.plan(layout=Layout.TRACKS)
            read: list[SegmentRef] = []

            def reader(
                stretch: SegmentRef, sealed: Sealed = sealed, read: list[SegmentRef] = read
            ) -> Any:
                read.append(stretch)
                return sealed.samples[stretch.segment_id]

            blocks = Renderer(plan, reader, expected.extend).blocks(
                plan.sample_rate * 12, plan.sample_rate * 23
            )
            for _ in blocks:
                pass
            with self.subTest(rates=plan.sample_rate):
                wanted = set(expected)
                self.assertEqual(len(expected), len(wanted))
                self.assertLessEqual(wanted, set(read))
                if plan.sample_rate == 16_000:  # resampling also reads what lies around
                    self.assertEqual(wanted, set(read))
                self.assertEqual(
                    [each.start_sample / each.sample_rate for each in expected],
                    sorted(each.start_sample / each.sample_rate for each in expected),
                )
