"""A reconnect while the old socket is open: each sample once, in its place, without a gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from calls import identity, storage
from calls.models import LedgerEntry, Participant, Segment, Subscription
from calls.times import from_sample
from streams.journal import spool
from streams.sealing import rows, steps
from streams.sealing.overlaps.placement import Placement, without_overlaps
from streams.sealing.rows import Announcement
from tests.streams.journals import Socket
from tests.streams.packets import PACKET_SAMPLES, PACKET_US, RATE, START_US, Sent
from tests.streams.spools import Process, SpoolTest

TOLERANCE_US = 60_000
FILE_PACKETS = 250
RATES_PPM = (0, 100, 300, 500, -300)


def voice(count: int, ppm: int = 0) -> list[Sent]:
    """Returns packets of a sound card that runs `ppm` fast: their timestamps advance more slowly
    than their samples.
    """
    places = [START_US + round(number * PACKET_US * (1 - ppm / 1e6)) for number in range(count)]
    return [Sent(number, place, place) for number, place in enumerate(places)]


class TwoSockets(SpoolTest):
    def setUp(self) -> None:
        super().setUp()
        self.other = self.new_process()
        for process in (self.process, self.other):
            process.sealer._is_due("takeover", 3600.0)

    def open(self, process: Process, connection: str, packets: Sequence[Sent]) -> Socket:
        return Socket(
            process.folder, connection, connected_us=packets[0].spoken_us, segment_seconds=5.0
        )

    def assert_in_place(
        self, connection: str, packets: Sequence[Sent], *, within_us: int = TOLERANCE_US
    ) -> None:
        """Checks that each packet is stored once, near its timestamp, and that nothing overlaps."""
        call_id = identity.call_id_of(connection, uuid4())
        runs = self.recorded(call_id)
        for (start, pcm), (after, _) in pairwise(runs):
            self.assertLess(start + len(pcm) // 2, after)
        size = PACKET_SAMPLES * 2
        found = [
            (pcm[at : at + size], start + at // 2)
            for start, pcm in runs
            for at in range(0, len(pcm), size)
        ]
        self.assertEqual(sorted(pcm for pcm, _ in found), sorted(one.pcm for one in packets))
        places = dict(found)
        for packet in packets:
            error_us = places[packet.pcm] * 1_000_000 / RATE - (packet.timestamp_us or 0)
            self.assertLessEqual(abs(error_us), within_us, f"packet {packet.number}")
        self.assert_heard(connection)

    def assert_heard(self, connection: str) -> None:
        segments = Segment.objects.filter(participant__call__call_connection_id=connection)
        last = segments.order_by("-start_sample")[0]
        participant = Participant.objects.get(call__call_connection_id=connection)
        end = from_sample(last.start_sample + last.sample_count, RATE)
        self.assertEqual(participant.heard_until, end)

    def gaps(self, connection: str) -> list[tuple[str, int, int]]:
        """Returns (reason, ms from the start of the call, ms) of each gap."""
        found = LedgerEntry.objects.filter(
            kind="gap", call__call_connection_id=connection
        ).order_by("start_sample")
        return [
            (reason, round((start or 0) / 16) - START_US // 1000, round((count or 0) / 16))
            for reason, start, count in found.values_list("reason", "start_sample", "sample_count")
        ]


class Reconnect(TwoSockets):
    """The old socket hears 16 s, the new one the 16 s after them. Each file is sealed when it is
    finished.
    """

    def record(self, ppm: int, closes_after: float, rounds: Sequence[Process]) -> None:
        """The old socket is closed so many seconds after the new one was opened. `rounds`: the
        order in which the processes seal; the old socket is in the first process.
        """
        connection, packets = str(uuid4()), voice(1600, ppm)
        old = self.open(self.process, connection, packets)
        sockets = [old]
        closes_at = 800 + round(closes_after * 50)
        for number, packet in enumerate(packets):
            if number == 800:
                process = rounds[-1 - rounds.index(self.process)]
                sockets.append(self.open(process, connection, packets[800:]))
            if number == closes_at:
                sockets.remove(old)
                old.close(at_us=packet.spoken_us)
            sockets[-1].say([packet])
            if number % FILE_PACKETS == FILE_PACKETS - 1:
                for socket in sockets:
                    socket.rotate()
            if number % FILE_PACKETS == FILE_PACKETS - 1 or number == closes_at:
                self.seal(rounds)
        for socket in reversed(sockets):
            socket.close(at_us=packets[-1].spoken_us + PACKET_US)
            self.seal(rounds)
        self.seal(rounds)
        self.assert_in_place(connection, packets)
        self.assertEqual(self.gaps(connection), [])

    def seal(self, rounds: Iterable[Process]) -> None:
        for process in rounds:
            process.round()

    def check(self, rounds: Sequence[Process]) -> None:
        for ppm in RATES_PPM:
            for closes_after in (0, 0.2, 6, 20):
                with self.subTest(ppm=ppm, closes_after=closes_after):
                    self.record(ppm, closes_after, rounds)

    def test_in_one_process_lies_in_its_place(self) -> None:
        self.check([self.process])

    def test_with_the_old_socket_sealed_first_lies_in_its_place(self) -> None:
        self.check([self.process, self.other])

    def test_with_the_new_socket_sealed_first_lies_in_its_place(self) -> None:
        self.check([self.other, self.process])


Part = tuple[int, int, frozenset[int]]
"""One socket, in packets: the first that it hears, the first that it no longer hears, and those in
between that it loses.
"""


class EqualPackets(TwoSockets):
    """Two or three sockets carry the same packets for some seconds; some are lost on one of them.
    Each is recorded by a process of its own, in files of 5 s.
    """

    def setUp(self) -> None:
        super().setUp()
        self.processes = [self.process, self.other, self.new_process()]
        self.processes[2].sealer._is_due("takeover", 3600.0)

    def record(self, parts: Sequence[Part], order: Iterable[int], ppm: int = 0) -> str:
        """Records the sockets and seals them, a file of each at a time, in the `order` of their
        numbers; returns the connection.
        """
        connection = str(uuid4())
        packets = voice(max(last for _, last, _ in parts), ppm)
        heard = [
            [packet for packet in packets[first:last] if packet.number not in lost]
            for first, last, lost in parts
        ]
        sockets = [
            self.open(process, connection, of)
            for process, of in zip(self.processes, heard, strict=False)
        ]
        for number in order:
            of, socket = heard[number], sockets[number]
            if of:
                socket.say(of[:FILE_PACKETS])
                del of[:FILE_PACKETS]
                _ = socket.rotate() if of else socket.close()
                self.processes[number].round()
        assert not any(heard), "the order is long enough"
        self.processes[0].round()
        stored = {
            packet.number
            for packet in packets
            if any(a <= packet.number < b and packet.number not in lost for a, b, lost in parts)
        }
        self.assert_in_place(connection, [packets[number] for number in sorted(stored)])
        return connection

    def duplicates(self, connection: str) -> int:
        rows = Subscription.objects.filter(call__call_connection_id=connection)
        return sum(rows.values_list("duplicate", flat=True))

    def orders(self) -> list[list[int]]:
        return [[0] * 9 + [1] * 9, [1] * 9 + [0] * 9, [0, 1] * 9, [1, 0] * 9]

    def check(self, old_lost: Iterable[int] = (), new_lost: Iterable[int] = ()) -> None:
        """The sockets have packets 500 to 800 in common."""
        parts = [(0, 800, frozenset(old_lost)), (500, 1300, frozenset(new_lost))]
        both = set(range(500, 800)) - parts[0][2] - parts[1][2]
        for ppm in (0, 500, -300):
            for order in self.orders():
                with self.subTest(ppm=ppm, order=order):
                    connection = self.record(parts, order, ppm)
                    self.assertEqual(self.gaps(connection), [])
                    self.assertEqual(self.duplicates(connection), len(both))

    def test_are_stored_once(self) -> None:
        self.check()

    def test_that_one_socket_has_lost_are_taken_from_the_other(self) -> None:
        self.check(range(600, 650), range(700, 720))

    def test_that_one_socket_has_lost_singly_are_inserted(self) -> None:
        self.check([550, 551, 640, 760], [590, 592, 700])

    def test_on_three_sockets_are_stored_once_in_any_order_of_sealing(self) -> None:
        parts = [
            (0, 700, frozenset(range(560, 570))),
            (500, 1000, frozenset([600, 601, 650])),
            (550, 1200, frozenset(range(560, 565))),
        ]
        for order in permutations(range(3)):
            for seal_order in (order * 9, [number for number in order for _ in range(9)]):
                with self.subTest(order=seal_order):
                    self.assertEqual(self.gaps(self.record(parts, seal_order)), [])

    def test_in_any_order_of_sealing_are_stored_once(self) -> None:
        part = st.tuples(st.integers(0, 300), st.integers(50, 300))

        @settings(max_examples=30)
        @given(st.lists(part, min_size=2, max_size=3), st.sampled_from(RATES_PPM), st.data())
        def check(parts: list[tuple[int, int]], ppm: int, data: st.DataObject) -> None:
            of: list[Part] = [(first, first + count, frozenset()) for first, count in parts]
            order = data.draw(st.permutations([*range(len(of))] * 2))
            self.record(of, order, ppm)

        check()

    def test_at_the_seam_are_lost_on_one_socket(self) -> None:
        self.check(range(790, 800), range(500, 510))

    def assert_stored_once(self, connection: str, packets: Sequence[Sent]) -> None:
        runs = self.recorded(identity.call_id_of(connection, uuid4()))
        self.assertEqual(b"".join(pcm for _, pcm in runs), b"".join(one.pcm for one in packets))

    def test_that_adjoin_each_other_are_stored_once(self) -> None:
        """A pause of 50 ms before the packets puts those of the old socket early."""
        packets = [
            replace(one, timestamp_us=one.spoken_us + 50_000, spoken_us=one.spoken_us + 50_000)
            if one.number >= 98
            else one
            for one in voice(400)
        ]
        for order in ((0, 1), (1, 0)):
            with self.subTest(order=order):
                connection = str(uuid4())
                old = self.open(self.process, connection, packets)
                new = self.open(self.other, connection, packets[98:])
                old.say(packets[:100]).close(at_us=packets[100].spoken_us)
                new.say(packets[98:]).close()
                for number in order:
                    self.processes[number].round()
                self.assert_stored_once(connection, packets)
                self.assertEqual(self.duplicates(connection), 2)

    def test_with_a_coarse_clock_are_stored_once(self) -> None:
        """Each socket begins within another whole second."""
        packets = [
            replace(one, timestamp_us=one.spoken_us // 1_000_000 * 1_000_000) for one in voice(300)
        ]
        for order in ((0, 1), (1, 0)):
            with self.subTest(order=order):
                connection = str(uuid4())
                old = self.open(self.process, connection, packets)
                new = self.open(self.other, connection, packets[90:])
                old.say(packets[:110]).close(at_us=packets[110].spoken_us)
                new.say(packets[90:]).close()
                for number in order:
                    self.processes[number].round()
                self.assert_stored_once(connection, packets)


class Crash(BaseException):
    """The process is gone at this point."""


class Crashes(TwoSockets):
    """The sealer of the old socket is killed while its end moves and cuts the new one's audio."""

    POINTS = (
        (storage, "write_object", False),
        (storage, "write_object", True),
        (rows, "write", False),
        (rows, "_change_rows", True),
        (rows, "write", True),
        (spool, "replace_files", False),
        (spool, "replace_files", True),
        (Path, "unlink", False),
        (Path, "unlink", True),
    )

    def test_at_any_point_lose_and_repeat_nothing(self) -> None:
        for where, name, after in self.POINTS:
            with self.subTest(name, after=after):
                connection, packets = str(uuid4()), voice(1000, 500)
                new = self.open(self.other, connection, packets[400:])
                new.say(packets[400:450] + packets[452:]).close()
                self.other.round()
                old = self.open(self.process, connection, packets)
                old.say(packets[:480]).close()
                self.crash_at(where, name, after=after)
                self.process.die()
                self.process = self.new_process()
                self.process.round()
                self.process.sealer._is_due("takeover", 3600.0)
                self.assert_in_place(connection, packets)
                self.assertEqual(self.gaps(connection), [])

    def crash_at(self, where: Any, name: str, *, after: bool) -> None:
        original = getattr(where, name)

        def crashing(*arguments: Any, **named: Any) -> Any:
            if after:
                original(*arguments, **named)
            raise Crash

        with patch.object(where, name, crashing), self.assertRaises(Crash):
            self.process.round()


class AtTheSameTime(TwoSockets):
    """Both processes query the rows before either of them has written its own."""

    def test_the_second_to_write_seals_again(self) -> None:
        for first, second in ((self.process, self.other), (self.other, self.process)):
            with self.subTest(old_first=first is self.process):
                connection, packets = str(uuid4()), voice(1000, 500)
                new = self.open(self.other, connection, packets[400:])
                old = self.open(self.process, connection, packets)
                for socket, of in ((old, packets[:450]), (new, packets[400:])):
                    rows.announce([Announcement(socket.handshake, [], [])])
                    socket.say(of).close()

                def seal_first(*arguments: Any, first: Process = first) -> Placement:
                    placement = without_overlaps(*arguments)
                    with patch.object(steps, "without_overlaps", without_overlaps):
                        first.round()
                    return placement

                with patch.object(steps, "without_overlaps", seal_first):
                    second.round()
                second.round()
                self.assert_in_place(connection, packets)
                self.assertEqual(self.gaps(connection), [])


class DifferentAudio(TwoSockets):
    """Two sockets carry different audio for the same time."""

    def test_keeps_what_does_not_overlap_in_its_place(self) -> None:
        """The clock of the new socket is 3 s behind."""
        connection, packets = str(uuid4()), voice(1000)
        late = [replace(one, timestamp_us=one.spoken_us - 3_000_000) for one in packets[500:]]
        new = self.open(self.other, connection, packets[500:])
        new.say(late).close()
        self.other.round()
        self.open(self.process, connection, packets).say(packets[:500]).close()
        self.process.round()
        ((start, pcm),) = self.recorded(identity.call_id_of(connection, uuid4()))
        order = [*packets[:350], *packets[500:], *packets[350:500]]
        self.assertEqual(start, START_US * RATE // 1_000_000)
        self.assertTrue(pcm == b"".join(one.pcm for one in order))
        self.assertEqual(self.gaps(connection), [])

    def test_that_cuts_the_audio_before_a_pause_moves_the_gap(self) -> None:
        """The packet of the old socket belongs into the audio before the pause, which it cuts."""
        connection, packets = str(uuid4()), voice(60)
        old, new = (
            self.open(process, connection, packets) for process in (self.process, self.other)
        )
        # The new socket lacks packet 5, and lies 20 ms early until the pause.
        new.say([*packets[:5], *packets[6:20], *packets[30:40], *packets[50:]])
        new.close(at_us=packets[-1].spoken_us)
        self.other.round()
        old.say([packets[5]])
        old.close(at_us=packets[-1].spoken_us)
        self.process.round()
        self.assert_in_place(connection, [*packets[:20], *packets[30:40], *packets[50:]])
        self.assertEqual(
            self.gaps(connection), [("not_received", 400, 200), ("not_received", 800, 200)]
        )
