"""Reasons of gaps between two sockets: a full disk, and a process that dies."""

from __future__ import annotations

from dataclasses import replace

from streams.journal.records import Unwritten, Voice
from streams.sealing.sealer import TAKEOVER_SECONDS
from tests.streams.journals import Socket
from tests.streams.packets import START_US
from tests.streams.sealing.test_gaps import OutOfOrder


class DiskFull(OutOfOrder):
    """The new socket opens while the old one lingers; the disk is full for a while."""

    def seal(self, order: str, connection: str, lost: str, first: int) -> None:
        """A: packets 0 to 200, closed at 400. B: opened at 220, packets from `first` on. `lost`:
        the sockets that could not write packets, A 10 after its audio, B 10 before its audio.
        """
        noted = Unwritten(START_US, START_US + 1, 10, {0: 10})
        for name in order:
            connected_us = self.packets[220].spoken_us if name == "B" else START_US
            socket = Socket(self.process.folder, connection, connected_us=connected_us)
            heard = self.packets[first:] if name == "B" else self.packets[:200]
            socket.say(heard[:0] if name == "B" and name in lost else heard)
            if name in lost:
                if name == "B":
                    socket.journal.append(Voice(0, "p"))
                socket.journal.append(noted)
                socket.say(heard if name == "B" else ())
            socket.close(at_us=self.packets[400 if name == "A" else 599].spoken_us)
            self.process.round()

    def test_the_packets_of_either_socket_are_the_reason_of_the_gap(self) -> None:
        """Not those of B if it is sealed first: then there is no gap yet that could have them."""
        for order, lost in (("AB", "A"), ("AB", "B"), ("BA", "A"), ("AB", ""), ("BA", "")):
            with self.subTest(order=order, lost=lost):
                connection = f"{order} {lost}"
                self.seal(order, connection, lost, 230)
                found = self.gaps(call__call_connection_id=connection)
                reason = "not_written" if lost else "not_received"
                self.assertEqual(found, [(reason, 200, 30)])

    def test_they_are_not_the_reason_of_another_part_of_a_gap(self) -> None:
        """Between the two, a third socket has recorded the voice, but is sealed last."""
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.process.round()
        last = Socket(self.process.folder, connected_us=self.packets[500].spoken_us)
        last.journal.append(Voice(0, "p"))
        last.journal.append(Unwritten(START_US, START_US + 1, 10, {0: 10}))
        last.say(self.packets[520:]).close()
        self.process.round()
        self.assertEqual(self.gaps(), [("not_written", 200, 320)])
        self.seal_later_socket(self.packets[250:500])
        self.assertEqual(self.gaps(), [("not_connected", 200, 50), ("not_written", 500, 20)])

    def test_they_are_not_the_reason_while_the_audio_around_them_is_not_sealed(self) -> None:
        old = Socket(self.process.folder).say(self.packets[:200])
        old.journal.append(Unwritten(START_US, START_US + 1, 2, {0: 2}))
        old.say(self.packets[202:320])
        old.rotate()
        new = Socket(self.process.folder, connected_us=self.packets[300].spoken_us)
        new.say(self.packets[400:]).close()
        self.process.round()
        old.say(self.packets[320:350]).close()
        self.process.round()
        self.assertEqual([reason for reason, _, _ in self.gaps()], ["not_received"])


class AudioAfterTheEnd(OutOfOrder):
    def test_of_a_socket_with_a_wrong_timestamp_says_nothing_about_the_gap(self) -> None:
        """The first packet of the socket whose process died has the place of a later one."""
        stray = replace(self.packets[0], timestamp_us=self.packets[110].spoken_us)
        Socket(self.process.folder).say([stray, *self.packets[1:60]]).die()
        self.seal_later_socket(self.packets[80:200])
        self.process.die()
        self.survivor.round(after_seconds=TAKEOVER_SECONDS)
        self.assertEqual(self.gaps(), [("recorder_stopped", 60, 20)])
