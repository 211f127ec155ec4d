"""The sealer: store first, rows second, journal last; journals wait during an outage."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from calls.models import Call, Segment, Subscription
from calls.times import EPOCH
from streams.journal.records import Counts
from streams.sealing import rows
from streams.sealing.announcements import HEARTBEAT_SECONDS
from streams.sealing.sealer import (
    LONGEST_BACKOFF_SECONDS,
)
from tests.streams.journals import Socket
from tests.streams.packets import RATE, START_US, speech
from tests.streams.spools import SpoolTest, database_away
from tests.waiting import wait_until

START = START_US * RATE // 1_000_000


class Rounds(SpoolTest):
    def test_a_closed_socket_becomes_a_call_with_its_audio_and_nothing_is_left_on_disk(
        self,
    ) -> None:
        packets = speech(700)
        socket = Socket(self.process.folder).say(packets)
        socket.close()
        self.assertTrue(self.process.round())
        self.assert_recorded(packets)
        self.assertEqual(self.files(), [])
        call = Call.objects.get()
        self.assertEqual(
            (call.id, call.call_connection_id, call.correlation_id),
            (socket.call_id, "connection", "correlation"),
        )
        self.assertEqual(self.recorded()[0][0], START)
        self.assertEqual(self.process.sealer.segments_sealed, Segment.objects.count())

    def test_a_socket_in_several_files_is_one_track_without_a_seam(self) -> None:
        packets = speech(900)
        socket = Socket(self.process.folder)
        for start in range(0, 900, 300):
            socket.say(packets[start : start + 300]).rotate()
            self.assertTrue(self.process.round())
        self.assertEqual(self.files(), ["000003.open", "000003.state"])
        self.assertEqual(sum(len(pcm) for _, pcm in self.recorded()), (900 - 125) * 640)
        socket.close()
        self.process.round()
        self.assert_recorded(packets)
        self.assertEqual(len(self.recorded()), 1)
        self.assertEqual(self.files(), [])

    def test_files_that_have_waited_are_sealed_in_one_round(self) -> None:
        packets = speech(900)
        socket = Socket(self.process.folder)
        for start in range(0, 900, 300):
            socket.say(packets[start : start + 300]).rotate()
        socket.close()
        self.process.round()
        self.assert_recorded(packets)
        self.assertEqual(set(Segment.objects.values_list("journal", flat=True)), {0, 1, 2, 3})

    def test_an_open_file_is_left_alone(self) -> None:
        Socket(self.process.folder).say(speech(300))
        self.process.round()
        self.assertEqual((self.files(), Segment.objects.count()), (["000000.open"], 0))

    def test_audio_is_in_the_store_before_its_row_and_its_journal_goes_after_both(self) -> None:
        socket = Socket(self.process.folder).say(speech(300))
        path = socket.close()
        seen: list[tuple[int, int, bool]] = []
        write = rows.write

        def check_and_write(*arguments: Any) -> None:
            seen.append((len(self.store.held), Segment.objects.count(), path.exists()))
            write(*arguments)
            seen.append((len(self.store.held), Segment.objects.count(), path.exists()))

        with patch.object(rows, "write", check_and_write):
            self.process.round()
        self.assertEqual(seen, [(1, 0, True), (1, 1, True)])

    def test_the_subscription_has_its_counts_and_its_close(self) -> None:
        socket = Socket(self.process.folder).say(speech(50))
        socket.press("5", START_US + 1)
        socket.count(Counts(0, 50, 1, 2, 3, {"not JSON": 3}, odd_timestamp=4))
        socket.close(1001, at_us=START_US + 5_000_000)
        self.process.round()
        row = self.subscription(socket.stream_id)
        self.assertEqual(
            row.counts,
            {"audio": 50, "dtmf": 1, "unknown": 2, "malformed": 3, "duplicate": 0, "late": 0}
            | {"odd_timestamp": 4},
        )
        self.assertEqual(
            (row.close_code, row.disconnected_at),
            (1001, EPOCH + timedelta(microseconds=START_US + 5_000_000)),
        )
        self.assertEqual(self.ledger(), [("dtmf", "")])

    def test_a_socket_without_messages_is_a_call_without_audio(self) -> None:
        Socket(self.process.folder, announced=False).close()
        self.process.round()
        self.assertEqual(
            (Call.objects.count(), Subscription.objects.count(), Segment.objects.count()), (1, 1, 0)
        )
        self.assertEqual(self.files(), [])


class Outages(SpoolTest):
    def test_without_a_store_journals_wait_and_are_sealed_later(self) -> None:
        packets = speech(900)
        socket = Socket(self.process.folder)
        self.store.away = True
        with self.expected():
            for start in range(0, 900, 300):
                socket.say(packets[start : start + 300]).rotate()
                self.assertFalse(self.process.round())
        socket.close()
        self.assertEqual(Segment.objects.count(), 0)
        self.assertEqual(self.files(), [f"00000{number}.journal" for number in range(4)])
        self.assertEqual(self.process.sealer.failures, {"store": 3, "database": 0, "journal": 0})
        self.store.away = False
        self.assertTrue(self.process.round())
        self.assert_recorded(packets)
        self.assertEqual(len(self.recorded()), 1)

    def test_a_store_that_fails_within_a_file_leaves_no_row(self) -> None:
        packets = [*speech(50), *speech(50, participant="q")]
        Socket(self.process.folder).say(packets).close()
        self.store.fails_after = 1
        with self.expected():
            self.assertFalse(self.process.round())
        self.assertEqual((Segment.objects.count(), len(self.store.held)), (0, 1))
        self.store.fails_after = None
        self.process.round()
        self.assert_recorded(packets[:50])
        self.assert_recorded(packets[50:], raw_id="q")
        self.assertEqual(len(self.store.held), 2)

    def test_without_a_database_journals_wait_and_are_sealed_later(self) -> None:
        packets = speech(600)
        socket = Socket(self.process.folder).say(packets[:300])
        socket.rotate()
        with self.expected(), database_away():
            self.assertFalse(self.process.round())
            self.assertFalse(self.process.round())
        self.assertEqual(self.files(), ["000000.journal", "000001.open"])
        self.assertGreaterEqual(self.process.sealer.failures["database"], 2)
        socket.say(packets[300:]).close()
        self.assertTrue(self.process.round())
        self.assert_recorded(packets)

    def test_an_outage_costs_a_few_attempts_per_round_for_any_number_of_sockets(self) -> None:
        for number in range(20):
            Socket(self.process.folder, f"call-{number}").say(speech(10)).close()
        self.store.away = True
        with self.expected():
            self.process.round()
        self.assertEqual(self.process.sealer.failures["store"], 3)
        self.store.away = False
        self.process.round()
        self.assertEqual(Segment.objects.count(), 20)

    def test_heartbeats_continue_while_the_store_is_unreachable(self) -> None:
        open_socket = Socket(self.process.folder, "live").say(speech(10))
        dead = self.new_process()
        for number in range(5):
            Socket(dead.folder, f"call-{number}").say(speech(10)).close()
        dead.die()
        self.store.away = True
        with self.expected():
            self.process.round()
            before = self.subscription(open_socket.stream_id).seen_at
            self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.assertGreater(self.subscription(open_socket.stream_id).seen_at, before)

    def test_the_thread_waits_longer_after_each_failure_and_recovers_at_once(self) -> None:
        """Runs the thread in real time: the waits are shortened and recorded."""
        Socket(self.process.folder).say(speech(10)).close()
        sealer, waits, enough = self.process.sealer, list[float](), threading.Event()
        wait = sealer._stopping.wait

        def note(seconds: float | None = None) -> bool:
            waits.append(seconds or 0.0)
            if len(waits) == 7:
                self.store.away = False
                enough.set()
            return wait(0.001)

        self.store.away = True
        with self.expected(), patch.object(sealer._stopping, "wait", note):
            sealer.start()
            self.assertTrue(enough.wait(30))
            wait_until(Segment.objects.exists, what=lambda: "the segment")
            sealer.stop(30)
        self.assertEqual(waits[:7], [1.0, 2.0, 4.0, 8.0, *[LONGEST_BACKOFF_SECONDS] * 3])
