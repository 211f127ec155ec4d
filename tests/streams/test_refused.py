"""Rows of refused handshakes: bounded in a flood, none uncounted, none lost on the way."""

from __future__ import annotations

import random
import time
from unittest import TestCase
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from streams import refused
from streams.refused import (
    LINE_BYTES,
    NOBODY,
    Origin,
    ReceivedRows,
    RefusedHandshakes,
    RefusedRow,
    lines_of,
    rows_in,
)

PROCESS = UUID("7c1d2f6c-3f4b-4a57-9e0c-5b6c8a1f2e3d")
NOON = 1_800_000_000.0  # a full minute


def call(number: int) -> Origin:
    return Origin("20.51.10.7", f"connection-{number}", f"correlation-{number}")


class Rows(TestCase):
    def setUp(self) -> None:
        self.handshakes = RefusedHandshakes(PROCESS)

    def add(
        self, reason: str = "expired", *, origin: Origin = NOBODY, acs: bool = True, at: float = 0
    ) -> None:
        self.handshakes.add(reason, from_acs=acs, origin=origin, now=NOON + at)

    def rows(self) -> list[RefusedRow]:
        return self.handshakes.unwritten()

    def total(self) -> int:
        return sum(row.count for row in self.rows())

    def test_one_per_minute_reason_call_and_address(self) -> None:
        for at in (0.0, 1.0, 59.9):
            self.add(origin=call(1), at=at)
        self.add("wrong_issuer", origin=call(1), at=1)
        self.add(origin=call(2), at=1)
        self.add(origin=Origin("20.51.10.8", *call(1)[1:]), at=1)
        self.add(origin=call(1), at=60.0)
        counts = sorted(row.count for row in self.rows())
        self.assertEqual(counts, [1, 1, 1, 1, 3])
        [first] = [row for row in self.rows() if row.count == 3]
        self.assertEqual(first.origin, call(1))
        self.assertEqual((first.first_at, first.last_at), (NOON, NOON + 59.9))
        self.assertEqual(len({row.id for row in self.rows()}), 5)

    def test_strangers_have_neither_address_nor_call(self) -> None:
        for number in range(10_000):
            self.add("no_header", origin=call(number), acs=False)
        [row] = self.rows()
        self.assertEqual((row.count, row.origin, row.from_acs), (10_000, NOBODY, False))

    def test_a_flood_with_invented_calls_is_counted_without_them(self) -> None:
        for number in range(3 * refused.DETAILED_PER_MINUTE):
            self.add("wrong_stream_token", origin=call(number))
        self.add("expired", origin=call(1), at=1)  # only Microsoft can cause this one
        self.assertEqual(len(self.rows()), refused.DETAILED_PER_MINUTE + 2)
        self.assertEqual(self.total(), 3 * refused.DETAILED_PER_MINUTE + 1)
        self.assertIn(call(1), [row.origin for row in self.rows() if row.reason == "expired"])
        self.add("wrong_stream_token", origin=call(-1), at=61)
        self.assertEqual(self.rows()[-1].origin, call(-1), "the next minute has rows again")

    def test_an_outage_of_the_database_costs_bounded_memory_and_no_count(self) -> None:
        added = 0
        for minute in range(3 * refused.MOST_ROWS):
            self.add(origin=call(minute), at=60.0 * minute)
            self.add("no_header", acs=False, at=60.0 * minute)
            added += 2
        self.assertLessEqual(len(self.rows()), refused.MOST_ROWS + 2)
        self.assertEqual(self.total(), added)
        self.assertEqual(self.rows()[-1].last_at, NOON + 60.0 * (3 * refused.MOST_ROWS - 1))

    def test_are_forgotten_when_written_and_their_minute_is_over(self) -> None:
        self.add(origin=call(1))
        self.handshakes.confirm(self.rows()[-1].revision)
        self.assertEqual(self.rows(), [])
        self.add(origin=call(1), at=1)
        [row] = self.rows()
        self.assertEqual((row.count, row.first_at), (2, NOON), "it still grows")
        self.add(origin=call(1), at=60)
        self.handshakes.confirm(row.revision)
        self.assertEqual(len(self.handshakes._rows), 1)
        [later] = self.rows()
        self.assertNotEqual(later.id, row.id)

    def test_a_refusal_after_the_rows_were_read_is_not_confirmed_with_them(self) -> None:
        self.add(origin=call(1))
        self.add(origin=call(2))
        read = self.rows()
        self.add(origin=call(1), at=1)
        self.add(origin=call(3), at=60)
        self.handshakes.confirm(read[-1].revision)
        self.assertEqual([row.origin for row in self.rows()], [call(1), call(3)])
        self.assertEqual([row.count for row in self.rows()], [2, 1])

    def test_a_clock_that_is_set_back_makes_another_row_or_extends_one(self) -> None:
        self.add(origin=call(1), at=300)
        self.add(origin=call(1), at=0)
        self.add(origin=call(1), at=301)
        self.assertEqual(self.total(), 3)
        for row in self.rows():
            self.assertLessEqual(row.first_at, row.last_at)

    def test_cost_little(self) -> None:
        """10,000 a second must leave the event loop its time."""
        origins = [call(number) for number in range(10_000)]
        began = time.process_time()
        for origin in origins:
            self.add("wrong_stream_token", origin=origin)
        self.assertLess(time.process_time() - began, 0.5)


class Lines(TestCase):
    def row(self, revision: int, text: str = "x") -> RefusedRow:
        origin = Origin("10.0.0.1", text, text)
        return RefusedRow(uuid4(), revision, "expired", True, origin, NOON, NOON, 1)

    @given(st.lists(st.text("aé\\\"'.!ÿ\x80", max_size=256), max_size=40))
    def test_fit_into_a_pipe_and_have_all_rows_in_order(self, texts: list[str]) -> None:
        rows = [self.row(number, text) for number, text in enumerate(texts, 1)]
        read: list[RefusedRow] = []
        for line, revision in lines_of(rows):
            self.assertLessEqual(len(line), LINE_BYTES)
            self.assertEqual(line.count(b"\n"), 1)
            read += rows_in(line)
            self.assertEqual(read[-1].revision, revision)
        self.assertEqual(read, rows)


class Way:
    """A recorder, a pipe that may be full, and a sealer that may die, as `dice` says."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.now = dice, NOON
        self.sender, self.receiver = RefusedHandshakes(PROCESS), ReceivedRows()
        self.table: dict[UUID, RefusedRow] = {}
        self.sent = self.added = 0

    def refuse(self) -> None:
        origin = call(self.dice.randrange(30))
        self.sender.add("expired", from_acs=True, origin=origin, now=self.now)
        self.added += 1

    def send(self) -> None:
        for line, revision in lines_of(self.sender.unwritten(self.sent)):
            if self.dice.random() < 0.3:  # the pipe is full
                return
            self.receiver.receive(rows_in(line))
            self.sent = revision

    def write(self) -> None:
        rows = self.receiver.unwritten()
        self.table.update((row.id, row) for row in rows)
        if rows and self.dice.random() < 0.8:  # else it dies before it confirms them
            self.receiver.confirm(rows[-1].revision)

    def report(self) -> None:
        self.sender.confirm(self.receiver.written)
        self.now += self.dice.choice((0.0, 20.0, 60.0))

    def die(self) -> None:
        self.receiver, self.sent = ReceivedRows(), 0


class OnTheWay(TestCase):
    @given(st.integers(0, 2**32))
    def test_each_is_written_once_whatever_fails(self, seed: int) -> None:
        way = Way(random.Random(seed))
        steps = (way.refuse, way.refuse, way.refuse, way.send, way.send, way.write, way.report)
        for _step in range(60):
            way.dice.choice(steps)()
            if way.dice.random() < 0.05:
                way.die()
        way.die()
        for line, _revision in lines_of(way.sender.unwritten()):
            way.receiver.receive(rows_in(line))
        way.write()
        self.assertEqual(sum(row.count for row in way.table.values()), way.added)
