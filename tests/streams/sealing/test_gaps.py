"""Gaps between sockets whose journals were not sealed in the order in which they were recorded."""

from __future__ import annotations

from itertools import pairwise, permutations
from unittest import TestCase
from unittest.mock import patch
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from calls.models import LedgerEntry, Segment
from streams.journal import spool
from streams.sealing import queries
from streams.sealing.digest import SubscriptionFacts
from streams.sealing.gaps import gap_between
from streams.sealing.sealer import LONGEST_BACKOFF_SECONDS, TAKEOVER_SECONDS
from streams.timeline.timeline import Gap, Timeline
from tests.streams.journals import Socket
from tests.streams.packets import RATE, START_US, Sent, speech
from tests.streams.spools import Process, SpoolTest
from tests.streams.written import announce

START = START_US * RATE // 1_000_000
PACKET_SAMPLES = 320


class OutOfOrder(SpoolTest):
    packets = speech(600)

    def setUp(self) -> None:
        super().setUp()
        self.survivor = self.new_process()
        self.survivor.round()  # it has just searched for folders of dead processes

    def gaps(self, **of: str) -> list[tuple[str, int, int]]:
        """Returns (reason, first missing packet, number of packets) of each gap."""
        found = LedgerEntry.objects.filter(kind="gap", **of).order_by("start_sample")
        return [
            (reason, ((start or 0) - START) // PACKET_SAMPLES, (count or 0) // PACKET_SAMPLES)
            for reason, start, count in found.values_list("reason", "start_sample", "sample_count")
        ]

    def seal_later_socket(self, packets: list[Sent], process: Process | None = None) -> None:
        process = process or self.survivor
        Socket(process.folder, connected_us=packets[0].spoken_us).say(packets).close()
        process.round()

    def take_over(self) -> None:
        self.process.die()
        self.survivor.round(after_seconds=TAKEOVER_SECONDS)


class SealedOutOfOrder(OutOfOrder):
    """One process dies in mid-call; another has recorded and sealed the call's next socket before
    it takes the folder over.
    """

    def test_the_time_between_them_is_a_gap_once_the_first_is_sealed_too(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).die()
        self.seal_later_socket(self.packets[250:400])
        self.assertEqual(self.gaps(), [], "the recording of the dead process is not known yet")
        self.take_over()
        self.assertEqual(self.gaps(), [("recorder_stopped", 200, 50)])
        self.assert_recorded(self.packets[:200] + self.packets[250:400])

    def test_the_gap_begins_where_the_last_file_of_the_first_ends(self) -> None:
        socket = Socket(self.process.folder).say(self.packets[:100])
        socket.rotate()
        self.process.round()
        socket.say(self.packets[100:200]).die()
        self.seal_later_socket(self.packets[300:400])
        self.assertEqual(self.gaps(), [])
        self.take_over()
        self.assertEqual(self.gaps(), [("recorder_stopped", 200, 100)])

    def test_after_a_socket_that_closed_normally_the_gap_is_not_connected(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.seal_later_socket(self.packets[250:400])
        self.process.round()
        self.assertEqual(self.gaps(), [("not_connected", 200, 50)])

    def test_a_few_packets_are_no_gap(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).die()
        self.seal_later_socket(self.packets[203:])
        self.take_over()
        self.assertEqual(self.gaps(), [])

    def test_processes_that_seal_at_the_same_moment_find_it_all_the_same(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.process.round()
        for axis in (self.spool / spool.AXES).iterdir():
            axis.unlink()
        with patch.object(
            queries, "axes_of", side_effect=lambda asked: [Timeline() for _ in asked]
        ):
            self.seal_later_socket(self.packets[250:400])  # queried before the first was committed
        self.assertEqual(self.gaps(), [("not_connected", 200, 50)])

    def test_a_gap_that_is_found_twice_is_one_entry(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.process.round()
        self.seal_later_socket(self.packets[250:400])
        self.assertEqual(self.gaps(), [("not_connected", 200, 50)])

    def test_every_voice_of_the_first_socket_is_checked(self) -> None:
        both = sorted(
            self.packets[:200] + speech(100, participant="q"), key=lambda packet: packet.spoken_us
        )
        Socket(self.process.folder).say(both).die()
        later = self.packets[250:] + speech(400, participant="q")[250:]
        self.seal_later_socket(sorted(later, key=lambda packet: packet.spoken_us))
        self.take_over()
        self.assertEqual(
            sorted(self.gaps()), [("recorder_stopped", 100, 150), ("recorder_stopped", 200, 50)]
        )


class ThreeSockets(OutOfOrder):
    """A: packets 0 to 200, closed. C: 250 to 450, its process died. B: 500 to 600, closed."""

    expected_gaps = (("not_connected", 200, 50), ("recorder_stopped", 450, 50))

    def seal(self, order: str) -> None:
        parts = {"A": self.packets[:200], "C": self.packets[250:450], "B": self.packets[500:]}
        for name in order:
            socket = Socket(self.process.folder, order, connected_us=parts[name][0].spoken_us).say(
                parts[name]
            )
            _ = socket.end() if name == "C" else socket.close()
            self.process.round()

    def test_whatever_the_order_the_gaps_are_the_same(self) -> None:
        for order in map("".join, permutations("ABC")):
            with self.subTest(order=order):
                self.seal(order)
                self.assertEqual(
                    self.gaps(call__call_connection_id=order), list(self.expected_gaps)
                )

    def test_the_process_of_the_one_between_dies_and_is_taken_over_last(self) -> None:
        dead = self.process
        between = Socket(dead.folder, connected_us=self.packets[250].spoken_us).say(
            self.packets[250:450]
        )
        dead.round()
        self.seal_later_socket(self.packets[:200])
        self.seal_later_socket(self.packets[500:])
        self.assertEqual(self.gaps(), [("not_connected", 200, 300)])
        between.die()
        self.take_over()
        self.assertEqual(self.gaps(), list(self.expected_gaps))

    def test_one_that_goes_on_fills_it_file_by_file(self) -> None:
        self.seal_later_socket(self.packets[:200])
        self.seal_later_socket(self.packets[500:])
        between = Socket(self.survivor.folder, connected_us=self.packets[250].spoken_us).say(
            self.packets[250:400]
        )
        between.rotate()
        self.survivor.round()
        self.assertEqual(self.gaps(), [("not_connected", 200, 50), ("not_connected", 275, 225)])
        between.say(self.packets[400:450]).end()
        self.survivor.round()
        self.assertEqual(self.gaps(), list(self.expected_gaps))

    def test_audio_that_fits_exactly_leaves_no_gap(self) -> None:
        self.seal_later_socket(self.packets[:200])
        self.seal_later_socket(self.packets[500:])
        self.seal_later_socket(self.packets[200:500])
        self.assertEqual(self.gaps(), [])
        self.assert_recorded(self.packets)

    def test_audio_of_another_socket_is_missing_in_neither(self) -> None:
        """The second one's digest finds a gap where the first one's audio is stored."""
        self.seal_later_socket(self.packets[150:250])
        self.seal_later_socket(self.packets[:100] + self.packets[300:])
        self.assertEqual(self.gaps(), [("not_received", 100, 50), ("not_received", 250, 50)])
        self.assert_recorded(self.packets[:100] + self.packets[150:250] + self.packets[300:])

    def test_a_gap_that_no_audio_contradicts_stays_with_its_reason(self) -> None:
        self.seal_later_socket(self.packets[:50] + self.packets[100:200])
        self.seal_later_socket(self.packets[500:])
        self.seal_later_socket(self.packets[300:500])
        self.assertEqual(self.gaps(), [("not_received", 50, 50), ("not_connected", 200, 100)])

    def test_the_gaps_of_other_voices_stay_with_the_reason_that_is_right_now(self) -> None:
        """A socket was open after all, but did not carry this voice."""
        other = speech(600, participant="q")
        both = sorted(self.packets[:200] + other[:200], key=lambda packet: packet.spoken_us)
        self.seal_later_socket(both)
        self.seal_later_socket(
            sorted(self.packets[500:] + other[500:], key=lambda packet: packet.spoken_us)
        )
        self.assertEqual(self.gaps(participant__raw_id="q"), [("not_connected", 200, 300)])
        self.seal_later_socket(self.packets[200:500])
        self.assertEqual(self.gaps(participant__raw_id="p"), [])
        self.assertEqual(self.gaps(participant__raw_id="q"), [("not_received", 200, 300)])

    def test_sealing_again_after_a_crash_restores_no_gap(self) -> None:
        """Its journal was not deleted; before it is read again, the audio it was missing is
        sealed.
        """
        self.seal_later_socket(self.packets[:200])
        with self.expected(), patch.object(spool, "replace_files", side_effect=OSError("no")):
            self.seal_later_socket(self.packets[500:])
        self.assertEqual(self.gaps(), [("not_connected", 200, 300)])
        self.seal_later_socket(self.packets[200:450])
        self.survivor.round(after_seconds=LONGEST_BACKOFF_SECONDS)
        self.assertEqual((self.files(), self.gaps()), ([], [("not_connected", 450, 50)]))


class Lingering(OutOfOrder):
    """The new socket opens while the old one is open; then the voice pauses."""

    def seal(
        self, order: str, connection: str = "once", *, dies: bool = False, closes_at: int = 300
    ) -> None:
        """A: packets 0 to 200, then closed at `closes_at`, or its process dies there. B: opened at
        250; packets from 400 on, and of another voice from 260 on.
        """
        for name in order:
            connected_us = self.packets[250].spoken_us if name == "B" else START_US
            socket = Socket(self.process.folder, connection, connected_us=connected_us)
            if name == "A":
                other = speech(600, participant="q")[closes_at - 1 : closes_at]
                socket.say(self.packets[:200] + other)
                _ = socket.end() if dies else socket.close(at_us=self.packets[closes_at].spoken_us)
            else:
                socket.say(self.packets[400:]).close()
            self.process.round()

    def test_a_pause_across_both_is_not_received(self) -> None:
        for order in ("AB", "BA"):
            for dies in (False, True):
                with self.subTest(order=order, dies=dies):
                    connection = f"{order} {dies}"
                    self.seal(order, connection, dies=dies)
                    found = self.gaps(call__call_connection_id=connection, participant__raw_id="p")
                    self.assertEqual(found, [("not_received", 200, 200)])

    def test_a_pause_with_20_ms_without_a_socket_is_not_connected(self) -> None:
        self.seal("AB", closes_at=248)
        self.assertEqual(self.gaps(participant__raw_id="p"), [("not_connected", 200, 200)])

    def test_a_socket_without_audio_between_two_others_was_open(self) -> None:
        for name, first, last in (("A", 0, 200), ("C", 400, 600), ("B", 199, 401)):
            socket = Socket(self.process.folder, connected_us=self.packets[first].spoken_us)
            heard = [] if name == "B" else self.packets[first:last]
            socket.say(heard).close(at_us=self.packets[last - 1].spoken_us)
            self.process.round()
            expected = "not_received" if name == "B" else "not_connected"
            found = [reason for reason, _, _ in self.gaps()]
            self.assertEqual(found, [expected] if name != "A" else [])

    def test_a_first_socket_that_is_sealed_last_does_not_stay_open(self) -> None:
        """Its row is announced long before its end is known."""
        first = Socket(self.process.folder)
        announce(first.handshake, [SubscriptionFacts(0, START_US)])
        for number, last in ((200, 300), (350, 450)):
            self.seal_later_socket(self.packets[number:last])
        self.assertEqual([reason for reason, _, _ in self.gaps()], ["not_received"])
        first.say(self.packets[:100]).close()
        self.process.round()
        self.assertEqual(self.gaps(), [("not_connected", 100, 100), ("not_connected", 300, 50)])


Story = tuple[int, int, int, int, bool]
"""One socket, in packets: its first packet, the number it hears (and one more), a pause, the number
after it; whether it closes normally.
"""


class InAnyOrder(OutOfOrder):
    """Sockets of one track, each in two files, sealed in any order; their audio may overlap."""

    packets = speech(800)
    sockets = st.lists(st.tuples(*[st.integers(0, 199)] * 4, st.booleans()), min_size=2, max_size=4)

    def test_the_gaps_are_the_time_that_no_segment_covers(self) -> None:
        @settings(max_examples=15)
        @given(sockets=self.sockets, forgets=st.booleans(), data=st.data())
        def check(sockets: list[Story], forgets: bool, data: st.DataObject) -> None:
            connection = str(uuid4())
            order = data.draw(st.permutations([*range(len(sockets))] * 2))
            self.seal_in(order, connection, sockets, forgets=forgets)
            self.assert_covered(connection)

        check()

    def seal_in(
        self, order: list[int], connection: str, stories: list[Story], *, forgets: bool
    ) -> None:
        opened: dict[int, Socket] = {}
        for number in order:
            first, count, pause, more, closes = stories[number]
            pause_at, resume_at = first + count + 1, first + count + 1 + pause
            if number in opened:
                socket = opened[number].say(self.packets[resume_at : resume_at + more])
                _ = socket.close() if closes else socket.end()
            else:
                opened[number] = self.open(connection, self.packets[first:pause_at])
            self.survivor.round()
            for axis in (self.spool / spool.AXES).glob("*") if forgets else ():
                axis.unlink()

    def open(self, connection: str, heard: list[Sent]) -> Socket:
        socket = Socket(self.survivor.folder, connection, connected_us=heard[0].spoken_us).say(
            heard
        )
        socket.rotate()
        return socket

    def assert_covered(self, connection: str) -> None:
        segments = Segment.objects.filter(
            participant__call__call_connection_id=connection
        ).order_by("start_sample")
        ends = [(one.start_sample, one.start_sample + one.sample_count) for one in segments]
        missing = [
            (end, start - end) for (_, end), (start, _) in pairwise(ends) if start - end > 960
        ]
        entries = LedgerEntry.objects.filter(kind="gap", call__call_connection_id=connection)
        found = entries.order_by("start_sample").values_list("start_sample", "sample_count")
        self.assertEqual(list(found), missing)


class Between(TestCase):
    def test_the_gap_is_counted_at_the_rate_of_the_audio_before_it(self) -> None:
        self.assertEqual(
            gap_between(16_000, 16_000, 48_000, 24_000, "why"), Gap(16_000, 16_000, 16_000, "why")
        )

    def test_sixty_milliseconds_are_none(self) -> None:
        self.assertIsNone(gap_between(0, 16_000, 960, 16_000, "why"))
        self.assertEqual(gap_between(0, 16_000, 961, 16_000, "why"), Gap(0, 961, 16_000, "why"))

    def test_audio_that_overlaps_is_none(self) -> None:
        self.assertIsNone(gap_between(16_000, 16_000, 15_000, 16_000, "why"))
