"""Rows that two processes write at the same time: no overlap, no deadlock."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any
from unittest.mock import patch

from django.db import DatabaseError, connection, connections, transaction
from django.test import TransactionTestCase, skipUnlessDBFeature

from calls.models import (
    Call,
    Segment,
    Subscription,
)
from streams.journal.records import Handshake
from streams.sealing import participants, queries, rows
from streams.sealing.queries import Socket
from streams.sealing.rows import OverlapFound
from tests.streams.journals import handshake_of
from tests.streams.written import (
    NOW,
    addition,
    announce,
    everything,
    later,
    open_facts,
    segment,
    write,
)
from tests.waiting import wait_until


class Overlaps(TransactionTestCase):
    def test_with_overlapping_audio_nothing_is_written(self) -> None:
        first = handshake_of()
        write(first, [segment(0, 100)])
        before = everything()
        for start in (-50, 0, 50, 99):
            with self.assertRaises(OverlapFound):
                write(later(first, 1), [segment(start, 100, fill=2)])
            self.assertEqual(everything(), before)

    def test_adjacent_audio_and_audio_of_another_voice_is_written(self) -> None:
        first = handshake_of()
        write(first, [segment(0, 100)])
        write(
            later(first, 1),
            [segment(-100, 100, 2), segment(100, 100, 3), segment(0, 100, 4, raw_id="q")],
        )
        self.assertEqual(Segment.objects.count(), 4)

    def test_of_two_simultaneous_writers_the_second_sees_the_first(self) -> None:
        """The first has inserted but not committed when the second begins."""
        first = handshake_of()
        second = SecondWriter(later(first, 1))
        for handshake in (first, second.handshake):
            announce(handshake, [open_facts(handshake)], [])
        write_participants = participants.write

        def start_second(heard: Any) -> None:
            write_participants(heard)
            if threading.current_thread() is not second:
                second.start()
                self.assertFalse(second.queried.wait(0.3), "it must wait for our commit")

        with (
            patch.object(participants, "write", start_second),
            patch.object(queries, "sockets_of", second.sockets_of),
        ):
            write(first, [segment(0, 100)])
            second.join(30)
        self.assertEqual((len(second.errors), Segment.objects.count()), (1, 1))


class SecondWriter(threading.Thread):
    """Writes overlapping audio of another socket; `queried` is set once it has seen the rows."""

    def __init__(self, handshake: Handshake) -> None:
        super().__init__()
        self.handshake = handshake
        self.queried = threading.Event()
        self.errors: list[OverlapFound] = []
        self._sockets_of = queries.sockets_of

    def run(self) -> None:
        try:
            write(self.handshake, [segment(50, 100, fill=2)])
        except OverlapFound as error:
            self.errors.append(error)
        finally:
            self.queried.set()
            connections.close_all()

    def sockets_of(self, call_ids: Collection[str]) -> list[Socket]:
        found = self._sockets_of(call_ids)
        if threading.current_thread() is self:
            self.queried.set()
        return found


@skipUnlessDBFeature("has_select_for_no_key_update")  # SQLite has one writer at a time
class Deadlocks(TransactionTestCase):
    def test_two_that_create_the_same_calls_in_opposite_order_do_not_deadlock(self) -> None:
        """A third transaction creates the middle call: both have begun, and neither can end."""
        ours = sorted(
            (handshake_of(f"call-{number}") for number in range(3)), key=lambda one: one.call_id
        )
        theirs = [later(handshake, 1) for handshake in reversed(ours)]
        errors: list[DatabaseError] = []

        def write_all(handshakes: list[Handshake]) -> None:
            try:
                rows.write([addition(one, voices=["p"]) for one in handshakes], NOW)
            except DatabaseError as error:
                errors.append(error)
            finally:
                connections.close_all()

        threads = [
            threading.Thread(target=write_all, args=(handshakes,)) for handshakes in (ours, theirs)
        ]
        with transaction.atomic():
            Call.objects.create(id=ours[1].call_id, started_at=NOW)
            for thread in threads:
                thread.start()
            wait_until(self.both_wait, what=lambda: "two waiting processes")
            transaction.set_rollback(True)
        for thread in threads:
            thread.join()
        self.assertEqual((errors, Subscription.objects.count()), ([], 6))

    def both_wait(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone() == (2,))
