"""Several sockets of one call, in one process or in several: one axis, no copies, no loss."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from uuid import uuid4

from calls.models import LedgerEntry, Segment
from streams.journal import spool
from streams.sealing.sealer import TAKEOVER_SECONDS
from tests.streams.journals import Socket
from tests.streams.packets import PACKET_US, RATE, START_US, Sent, speech
from tests.streams.sealing.sealer.test_two_sockets import TwoSockets, voice
from tests.streams.spools import SpoolTest

START = START_US * RATE // 1_000_000


class Reconnect(SpoolTest):
    """A second socket of the call continues after the first."""

    packets = speech(600)

    def two_sockets(self, first: list[Sent], second: list[Sent], code: int = 1006) -> Socket:
        Socket(self.process.folder).say(first).close(code)
        self.process.round()
        socket = Socket(self.process.folder, connected_us=second[0].spoken_us).say(second)
        socket.close()
        return socket

    def test_time_without_a_socket_is_a_gap_with_its_reason(self) -> None:
        self.two_sockets(self.packets[:200], self.packets[300:])
        self.process.round()
        self.assert_recorded(self.packets[:200] + self.packets[300:])
        self.assertEqual(
            self.ledger("gap", "reconnect"), [("gap", "not_connected"), ("reconnect", "")]
        )
        gap = LedgerEntry.objects.get(kind="gap")
        self.assertEqual((gap.start_sample, gap.sample_count), (START + 200 * 320, 100 * 320))

    def reconnect_to_another_host(self, packets: list[Sent], *, keeps_axis: bool) -> Socket:
        """The clock of the other host is an hour behind."""
        Socket(self.process.folder).say(self.packets[:200]).close(1006)
        self.process.round()
        if not keeps_axis:
            (axis,) = (self.spool / spool.AXES).iterdir()
            axis.unlink()
        other = self.new_process()
        connected_us = packets[0].spoken_us - 3_600_000_000
        socket = Socket(other.folder, connected_us=connected_us).say(packets)
        other.round()
        socket.close()
        other.round()
        return socket

    def test_the_clock_of_the_second_host_may_be_behind(self) -> None:
        socket = self.reconnect_to_another_host(self.packets[150:], keeps_axis=True)
        self.assert_recorded(self.packets)
        self.assertEqual(self.subscription(socket.stream_id).duplicate, 50)
        self.assertEqual(self.ledger("gap", "reconnect"), [("reconnect", "")])

    def test_the_clock_of_the_second_host_may_be_behind_without_the_file(self) -> None:
        self.reconnect_to_another_host(self.packets[300:], keeps_axis=False)
        self.assert_recorded(self.packets[:200] + self.packets[300:])
        expected = [("gap", "not_connected"), ("reconnect", "")]
        self.assertEqual(sorted(self.ledger("gap", "reconnect")), expected)

    def test_after_a_step_of_the_sender_s_clock_the_axis_continues_without_the_file(self) -> None:
        stepped = [
            replace(one, timestamp_us=one.spoken_us + 10_000_000 * (one.number >= 100))
            for one in self.packets
        ]
        Socket(self.process.folder).say(stepped[:200]).close(1006)
        self.process.round()
        (axis,) = (self.spool / spool.AXES).iterdir()
        axis.unlink()
        other = self.new_process()
        Socket(other.folder, connected_us=stepped[250].spoken_us).say(stepped[250:]).close()
        other.round()
        self.assertEqual([start for start, _ in self.recorded()], [START, START + 250 * 320])
        self.assert_recorded(self.packets[:200] + self.packets[250:])
        self.assertEqual(len(self.ledger("clock_jump")), 1)

    def test_the_reason_of_the_gap_is_known_if_the_second_clock_is_a_little_behind(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).die()
        self.process.die()
        other = self.new_process()
        other.round(after_seconds=TAKEOVER_SECONDS)
        behind = [replace(one, spoken_us=one.spoken_us - 2_000_000) for one in self.packets[250:]]
        Socket(other.folder, connected_us=behind[0].spoken_us).say(behind).close()
        other.round()
        self.assert_recorded(self.packets[:200] + self.packets[250:])
        self.assertEqual(self.ledger("gap"), [("gap", "recorder_stopped")])

    def test_audio_that_the_second_socket_repeats_is_dropped_and_counted(self) -> None:
        socket = self.two_sockets(self.packets[:200], self.packets[150:])
        self.process.round()
        self.assert_recorded(self.packets)
        self.assertEqual(self.subscription(socket.stream_id).duplicate, 50)
        self.assertEqual(len(self.recorded()), 1)

    def test_without_its_file_the_axis_is_read_from_the_database(self) -> None:
        self.two_sockets(self.packets[:200], self.packets[300:])
        (axis,) = (self.spool / spool.AXES).iterdir()
        axis.unlink()
        self.process.round()
        self.assert_recorded(self.packets[:200] + self.packets[300:])
        self.assertEqual(self.ledger("gap"), [("gap", "not_connected")])

    def test_an_unreadable_axis_is_replaced_from_the_database(self) -> None:
        self.two_sockets(self.packets[:200], self.packets[300:])
        (axis,) = (self.spool / spool.AXES).iterdir()
        axis.write_bytes(b"\xff")
        with self.assertLogs("streams.sealing.steps", "ERROR"):
            self.process.round()
        self.assertEqual(self.ledger("gap"), [("gap", "not_connected")])

    def test_a_socket_that_is_sealed_after_a_younger_one_is_placed_before_it(self) -> None:
        """Its process died, and the call continued in another one, which was sealed first."""
        older = Socket(self.process.folder).say(self.packets[:200])
        other = self.new_process()
        other.round()
        Socket(other.folder, connected_us=self.packets[300].spoken_us).say(
            self.packets[300:]
        ).close()
        other.round()
        older.die()
        self.process.die()
        other.round(after_seconds=TAKEOVER_SECONDS)
        self.assert_recorded(self.packets[:200] + self.packets[300:])
        self.assertEqual([start for start, _ in self.recorded()], [START, START + 300 * 320])
        self.assertEqual(self.ledger("clock_jump"), [])

    def test_two_sockets_with_the_same_audio_at_the_same_time_keep_it_once(self) -> None:
        other = self.new_process()
        sockets = [Socket(process.folder).say(self.packets) for process in (self.process, other)]
        for socket in sockets:
            socket.close()
        self.process.round()
        (self.spool / spool.AXES / str(sockets[0].call_id)).unlink()
        other.round()
        self.assert_recorded(self.packets)
        self.assertEqual(self.subscription(sockets[1].stream_id).duplicate, 600)

    def test_two_sockets_with_different_audio_at_the_same_time_keep_both_one_after_the_other(
        self,
    ) -> None:
        other = self.new_process()
        theirs = [
            Sent(packet.number + 5000, packet.spoken_us, packet.timestamp_us)
            for packet in self.packets[100:]
        ]
        first, second = Socket(self.process.folder), Socket(other.folder)
        for start in range(0, 500, 100):
            first.say(self.packets[start : start + 100]).rotate()
            second.say(theirs[start : start + 100]).rotate()
            self.process.round()
            other.round()
        first.say(self.packets[500:]).close()
        second.close()
        other.round()
        self.process.round()
        segments = list(Segment.objects.on_axis())
        for before, after in pairwise(segments):
            self.assertLessEqual(before.start_sample + before.sample_count, after.start_sample)
        heard = b"".join(pcm for _, pcm in self.recorded())
        for packet in [*self.packets, *theirs]:
            self.assertEqual(heard.count(packet.pcm), 1)


class InTurn(TwoSockets):
    """Two open sockets carry a voice in turn."""

    def test_packets_without_timestamp_that_wait_for_the_next_file_stay_in_order(self) -> None:
        connection, packets = str(uuid4()), voice(100)
        sent = [
            replace(one, timestamp_us=None) if 26 <= one.number < 32 else one for one in packets
        ]
        old = self.open(self.process, connection, packets)
        following = self.open(self.other, connection, packets)
        for socket, first, last in (
            (old, 0, 10),
            (following, 10, 25),
            (old, 25, 30),
            (following, 30, 35),
            (old, 35, 50),
            (following, 50, 60),
        ):
            socket.say(sent[first:last])
        following.rotate()
        following.say(sent[60:])
        for socket in (old, following):
            socket.close(at_us=packets[-1].spoken_us + PACKET_US)
        for process in (self.process, self.other):
            process.round()
        self.assert_in_place(connection, packets)
        self.assertEqual(self.gaps(connection), [])
