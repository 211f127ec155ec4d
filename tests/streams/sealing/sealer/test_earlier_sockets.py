"""A socket waits for an earlier one of its call that has ended, but is not sealed: its audio
belongs on the axis that that one leaves.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.test import SimpleTestCase
from msgspec import structs

from calls.times import from_microseconds
from streams.journal import spool
from streams.journal.records import Handshake
from streams.sealing import queries
from streams.sealing.queries import Socket as Row
from streams.sealing.sealer import LONGEST_BACKOFF_SECONDS, TAKEOVER_SECONDS, WAIT_SECONDS
from tests.streams.journals import Socket, handshake_of
from tests.streams.packets import PACKET_US, RATE, START_US, speech
from tests.streams.spools import Process, SpoolTest
from tests.streams.written import announce, later, open_facts

START = START_US * RATE // 1_000_000
STEP_US = 10_000_000


class TwoProcesses(SpoolTest):
    """The sender's clock steps back on the first socket; the second one is in another process."""

    def setUp(self) -> None:
        super().setUp()
        self.packets = speech(400)
        stepped = [
            replace(one, timestamp_us=one.spoken_us - STEP_US * (one.number >= 100))
            for one in self.packets
        ]
        self.other = self.new_process()
        self.other.round()
        self.first = self.open(self.process, START_US).say(stepped[:200])
        self.second = self.open(self.other, START_US + 200 * PACKET_US).say(stepped[200:])
        self.second.close()

    def open(self, process: Process, connected_us: int) -> Socket:
        socket = Socket(process.folder, connected_us=connected_us)
        announce(socket.handshake, [open_facts(socket.handshake)])
        return socket

    def assert_waits(self) -> None:
        self.assertEqual(self.recorded(self.first.call_id), [])

    def assert_in_place(self) -> None:
        call_id = self.first.call_id
        self.assert_recorded(self.packets, call_id=call_id)
        self.assertEqual([start for start, _ in self.recorded(call_id)], [START])

    def test_the_earlier_socket_is_sealed_first(self) -> None:
        self.first.close()
        self.other.round()
        self.assert_waits()
        self.process.round()
        self.other.round()
        self.assert_in_place()

    def test_that_of_a_dead_process_is_sealed_first(self) -> None:
        self.first.die()
        self.process.die()
        self.other.round()
        self.assert_waits()
        self.other.round(after_seconds=TAKEOVER_SECONDS)
        self.other.round()
        self.assert_in_place()

    def test_that_of_a_dead_process_is_sealed_first_also_by_a_third_one(self) -> None:
        self.first.die()
        self.process.die()
        (taken,) = spool.abandoned(self.spool)
        self.other.round()
        self.assert_waits()
        taken.release()  # the third one dies too: still nobody writes the folder
        self.other.round()
        self.assert_waits()
        self.other.round(after_seconds=TAKEOVER_SECONDS)
        self.other.round()
        self.assert_in_place()

    def test_an_open_socket_keeps_no_other_waiting(self) -> None:
        self.other.round()
        self.assert_recorded(self.packets[200:])

    def test_none_waits_longer_than_a_minute(self) -> None:
        self.first.close()
        self.other.round()
        self.other.round(after_seconds=WAIT_SECONDS - 1)
        self.assert_waits()
        self.other.round(after_seconds=1)
        self.assert_recorded(self.packets[200:])

    def test_what_has_waited_is_forgotten_once_it_is_sealed(self) -> None:
        self.first.close()
        self.other.round()
        self.assertEqual(len(self.other.sealer._waits_until), 1)
        self.other.round(after_seconds=WAIT_SECONDS)
        self.assert_recorded(self.packets[200:])
        self.assertEqual(self.other.sealer._waits_until, {})

    def test_the_minute_begins_when_an_outage_ends(self) -> None:
        self.first.close()
        Socket(self.other.folder, "another").say(speech(50)).close()
        self.store.away = True
        for _ in range(10):
            with self.expected():
                self.other.round(after_seconds=LONGEST_BACKOFF_SECONDS)
        self.store.away = False
        self.other.round()
        self.assert_waits()
        self.process.round()
        self.other.round()
        self.assert_in_place()


class Unended(SimpleTestCase):
    """Which sockets of a call connected before another one, and have no end yet."""

    def setUp(self) -> None:
        self.opening = handshake_of(connected_us=START_US)

    def row(self, one: Handshake, position: int | None = None, *, is_over: bool = False) -> Row:
        connected_at = from_microseconds(one.connected_at_us)
        ended_at = connected_at if is_over else None
        return Row(UUID(one.call_id), UUID(one.stream_id), position, connected_at, ended_at)

    def test_positions_show_the_order(self) -> None:
        before, after = later(self.opening, 70), later(self.opening, -70)
        rows = [self.row(self.opening, 2), self.row(before, 1), self.row(after, 3)]
        self.assertEqual(queries.unended_before(self.opening, rows), {before.stream_id})

    def test_without_positions_the_clock_shows_the_order(self) -> None:
        before, after = later(self.opening, -5), later(self.opening, 5)
        rows = [self.row(before, 7), self.row(after, 3)]
        self.assertEqual(queries.unended_before(self.opening, rows), {before.stream_id})
        rows = [self.row(self.opening, 1), self.row(before), self.row(after)]
        self.assertEqual(queries.unended_before(self.opening, rows), {before.stream_id})

    def test_a_socket_with_two_subscriptions_has_ended_with_the_last_one(self) -> None:
        before = later(self.opening, -5)
        for is_over in (True, False):
            second = structs.replace(before, connected_at_us=START_US + 5_000_000)
            rows = [self.row(before, is_over=True), self.row(second, is_over=is_over)]
            expected = set() if is_over else {before.stream_id}
            with self.subTest(is_over=is_over):
                self.assertEqual(queries.unended_before(self.opening, rows), expected)

    def test_sockets_of_other_calls_do_not_count(self) -> None:
        another = handshake_of("another", connected_us=START_US - 1)
        self.assertEqual(queries.unended_before(self.opening, [self.row(another)]), set())
