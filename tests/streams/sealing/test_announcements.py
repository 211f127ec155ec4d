"""Rows of live calls: at once, again when voices are heard, and a heartbeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls import storage
from calls.models import Call, Participant, Subscription
from calls.times import EPOCH, from_microseconds
from streams.sealing import rows
from streams.sealing.announcements import (
    ANNOUNCE_BYTES,
    HEARTBEAT_SECONDS,
    Heartbeat,
    OpenJournals,
)
from streams.sealing.rows import Announcement
from streams.sealing.sealer import Sealer
from tests.streams.journals import Socket, metadata_of
from tests.streams.packets import RATE, START_US, speech
from tests.streams.spools import SpoolTest, database_away
from tests.waiting import wait_until

PACKET_BYTES = 670


class LiveCalls(SpoolTest):
    def facts(self) -> tuple[int, list[str]]:
        names = Participant.objects.order_by("raw_id").values_list("raw_id", flat=True)
        return Subscription.objects.count(), list(names)

    def test_a_call_is_a_row_before_any_of_it_is_sealed(self) -> None:
        now = timezone.now()
        connected_us = (now - EPOCH) // timedelta(microseconds=1)
        socket = Socket(self.process.folder, connected_us=connected_us)
        self.process.round()
        self.assertEqual(Call.objects.live(timezone.now()).get().id, socket.call_id)
        self.assertEqual(Call.objects.with_state(timezone.now()).get().state, "live")
        self.assertEqual(self.subscription(socket.stream_id).sample_rate, RATE)

    def test_voices_are_added_as_they_are_first_heard(self) -> None:
        socket = Socket(self.process.folder)
        self.process.round()
        self.assertEqual(self.facts(), (1, []))
        socket.say(speech(1))
        self.process.round()
        self.assertEqual(self.facts(), (1, ["p"]))
        socket.say(speech(1, participant="q"))
        socket.announce(metadata_of(1, 24_000, START_US + 5))
        self.process.round()
        self.assertEqual(self.facts(), (2, ["p", "q"]))

    def test_nothing_is_written_when_nothing_has_changed(self) -> None:
        socket = Socket(self.process.folder).say(speech(1))
        self.process.round()
        with CaptureQueriesContext(connection) as queries:
            self.process.round()
            socket.say(speech(10)[1:])
            self.process.round()
            socket.rotate()
            self.assertEqual(list(queries), [])
        self.process.round()
        with CaptureQueriesContext(connection) as queries:
            self.process.round()
            socket.say(speech(20)[10:])
            self.process.round()
        self.assertEqual(list(queries), [])

    def test_a_file_that_was_read_far_enough_is_not_read_again(self) -> None:
        socket = Socket(self.process.folder).say(speech(ANNOUNCE_BYTES // PACKET_BYTES + 1))
        self.process.round()
        socket.say(speech(1, participant="q"))
        with patch.object(OpenJournals, "read", side_effect=AssertionError("read again")):
            self.assertTrue(self.process.round())
        self.assertEqual(self.process.sealer.failures["journal"], 0)

    def test_not_even_the_size_of_such_a_file_is_asked_for(self) -> None:
        Socket(self.process.folder).say(speech(ANNOUNCE_BYTES // PACKET_BYTES + 1))
        self.process.round()
        with patch(
            "streams.sealing.announcements.size_of", side_effect=AssertionError("asked again")
        ):
            self.assertTrue(self.process.round())
        self.assertEqual(self.process.sealer.failures["journal"], 0)

    def test_a_later_file_begins_with_all_known_facts_and_is_read_once(self) -> None:
        socket = Socket(self.process.folder).say(speech(200))
        self.process.round()
        socket.rotate()
        self.process.round()
        socket.say(speech(201)[200:])
        with patch.object(OpenJournals, "read", side_effect=AssertionError("read again")):
            self.process.round()
        self.assertEqual(self.process.sealer.failures["journal"], 0)

    def test_calls_that_begin_at_the_same_time_are_announced_together(self) -> None:
        for number in range(10):
            Socket(self.process.folder, f"call-{number}").say(speech(1))
        with patch.object(rows, "announce", wraps=rows.announce) as announce:
            self.process.round()
        self.assertEqual(
            (announce.call_count, Call.objects.count(), Participant.objects.count()), (1, 10, 10)
        )

    def test_a_rotated_file_announces_its_second_metadata_and_not_the_first_again(self) -> None:
        socket = Socket(self.process.folder)
        socket.announce(metadata_of(1, 24_000, START_US + 5))
        socket.rotate()
        self.process.sealer._announce_open_streams()
        row = self.subscription(socket.stream_id, 1)
        self.assertEqual((Subscription.objects.count(), row.sample_rate), (1, 24_000))

    def test_the_heartbeat_is_written_while_the_process_lives(self) -> None:
        socket = Socket(self.process.folder)
        self.process.round()
        first = self.subscription(socket.stream_id).seen_at
        self.process.round(after_seconds=HEARTBEAT_SECONDS - 0.1)
        self.assertEqual(self.subscription(socket.stream_id).seen_at, first)
        self.process.round(after_seconds=0.1)
        self.assertGreater(self.subscription(socket.stream_id).seen_at, first)

    def test_the_heartbeat_has_a_thread_of_its_own(self) -> None:
        """The sealer may be busy with a large file, a slow store or a sweep."""
        socket = Socket(self.process.folder)
        self.process.round()
        first = self.subscription(socket.stream_id).seen_at
        heartbeat = Heartbeat(self.process.folder, self.clock, lambda: 0.0)
        with patch("streams.sealing.announcements.CHECK_SECONDS", 0.02):
            heartbeat.start()
            self.addCleanup(heartbeat.stop)
            wait_until(
                lambda: self.subscription(socket.stream_id).seen_at > first,
                what=lambda: "no heartbeat was written",
            )

    def test_the_heartbeat_is_written_at_once_after_a_step_of_the_clock(self) -> None:
        leads = [0.0]
        sealer = Sealer(self.spool, self.process.folder, self.clock, lambda: leads[-1])
        socket = Socket(self.process.folder)
        sealer.round()
        for lead in (-3600.0, 0.0):
            leads.append(lead)
            long_ago = from_microseconds(START_US)
            Subscription.objects.update(seen_at=long_ago)
            sealer.round()
            renewed = self.subscription(socket.stream_id).seen_at
            self.assertGreater(renewed, long_ago)
            sealer.round()
            self.assertEqual(self.subscription(socket.stream_id).seen_at, renewed)

    def test_a_socket_is_seen_when_it_becomes_a_row(self) -> None:
        """Its own clock may be that of a call that began before a step."""
        socket = Socket(self.process.folder)
        before = timezone.now()
        with patch.object(rows, "vouch_for"):
            self.process.round()
        self.assertGreaterEqual(
            self.subscription(socket.stream_id).seen_at, before - timedelta(seconds=1)
        )

    def test_a_closed_subscription_gets_no_heartbeat(self) -> None:
        socket = Socket(self.process.folder)
        socket.close()
        self.process.round()
        Socket(self.process.folder)
        before = self.subscription(socket.stream_id).seen_at
        self.process.round(after_seconds=HEARTBEAT_SECONDS)
        self.assertEqual(self.subscription(socket.stream_id).seen_at, before)

    def test_live_calls_stay_live_while_a_backlog_is_sealed(self) -> None:
        """Each file takes longer than a heartbeat."""
        dead, self.process = self.process, self.new_process()
        for number in range(5):
            Socket(dead.folder, f"call-{number}").say(speech(5)).die()
        dead.die()
        live = Socket(self.process.folder, "live")
        heartbeats: list[list[str]] = []
        write_object, vouch_for = storage.write_object, rows.vouch_for

        def slowly(*arguments: Any) -> None:
            self.clock.forward(HEARTBEAT_SECONDS + 0.1)
            write_object(*arguments)

        def note(stream_ids: list[str], now: Any) -> None:
            heartbeats.append(stream_ids)
            vouch_for(stream_ids, now)

        with patch.object(storage, "write_object", slowly), patch.object(rows, "vouch_for", note):
            for _ in range(5):
                self.process.round()
        self.assertGreaterEqual(len(heartbeats), 5)
        self.assertEqual(heartbeats[0], [str(live.stream_id)])

    def test_an_announcement_that_fails_is_repeated(self) -> None:
        socket = Socket(self.process.folder)
        with self.expected(), database_away():
            self.assertFalse(self.process.round())
        self.process.round()
        self.assertEqual(Call.objects.get().id, socket.call_id)

    def test_a_file_that_has_just_been_finished_is_left_to_sealing(self) -> None:
        name = Socket(self.process.folder).path(".journal").name
        self.assertIsNone(OpenJournals(self.process.folder).read(name))

    def test_a_file_that_cannot_be_announced_delays_no_other(self) -> None:
        for number in range(5):
            Socket(self.process.folder, f"call-{number}")
        announce, broken = rows.announce, Socket(self.process.folder, "broken")

        def fail(announcements: list[Announcement]) -> None:
            if any(one.handshake.stream_id == str(broken.stream_id) for one in announcements):
                raise DataError("no")
            announce(announcements)

        with self.expected(), patch.object(rows, "announce", fail):
            self.assertTrue(self.process.round())
        self.assertEqual(Call.objects.count(), 5)
        self.process.round()
        self.assertEqual(Call.objects.count(), 6)
