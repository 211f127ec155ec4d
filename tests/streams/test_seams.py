"""Gaps between sockets whose journals were not sealed in the order in which they were recorded."""

from __future__ import annotations

from unittest import TestCase
from unittest.mock import patch

from calls.models import LedgerEntry
from streams import recorded, spool
from streams.sealer import TAKEOVER_SECONDS
from streams.seams import gap_between
from streams.timeline import Gap, Timeline
from tests.streams.journals import Socket
from tests.streams.packets import RATE, START_US, Sent, speech
from tests.streams.spools import Process, SpoolTest

START = START_US * RATE // 1_000_000
PACKET_SAMPLES = 320


class SealedOutOfOrder(SpoolTest):
    """One process dies in mid-call; another has recorded and sealed the call's next socket before it finds that out."""

    packets = speech(400)

    def setUp(self) -> None:
        super().setUp()
        self.survivor = self.new_process()
        self.survivor.round()  # it has just looked for folders of dead processes

    def gaps(self) -> list[tuple[str, int, int]]:
        """(reason, first packet that is missing, how many)."""
        found = LedgerEntry.objects.filter(kind="gap").order_by("start_sample")
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

    def test_time_between_them_is_a_gap_once_the_first_is_sealed_too(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).die()
        self.seal_later_socket(self.packets[250:])
        self.assertEqual(self.gaps(), [], "what the dead one has recorded is not known yet")
        self.take_over()
        self.assertEqual(self.gaps(), [("recorder_stopped", 200, 50)])
        self.assert_recorded(self.packets[:200] + self.packets[250:])

    def test_the_gap_begins_where_the_last_file_of_the_first_ends(self) -> None:
        socket = Socket(self.process.folder).say(self.packets[:100])
        socket.rotate()
        self.process.round()
        socket.say(self.packets[100:200]).die()
        self.seal_later_socket(self.packets[300:])
        self.assertEqual(self.gaps(), [])
        self.take_over()
        self.assertEqual(self.gaps(), [("recorder_stopped", 200, 100)])

    def test_one_that_closed_in_good_order_had_nobody_connected_behind_it(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.seal_later_socket(self.packets[250:])
        self.process.round()
        self.assertEqual(self.gaps(), [("not_connected", 200, 50)])

    def test_a_few_packets_are_no_gap(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).die()
        self.seal_later_socket(self.packets[203:])
        self.take_over()
        self.assertEqual(self.gaps(), [])

    def test_two_that_seal_at_one_moment_find_it_all_the_same(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.process.round()
        for axis in (self.spool / spool.AXES).iterdir():
            axis.unlink()
        with patch.object(recorded, "axes_of", side_effect=lambda asked: [Timeline() for _ in asked]):
            self.seal_later_socket(self.packets[250:])  # asked before the first was committed
        self.assertEqual(self.gaps(), [("not_connected", 200, 50)])

    def test_found_twice_it_is_there_once(self) -> None:
        Socket(self.process.folder).say(self.packets[:200]).close()
        self.process.round()
        self.seal_later_socket(self.packets[250:])
        self.assertEqual(self.gaps(), [("not_connected", 200, 50)])

    def test_every_voice_of_the_first_is_looked_at(self) -> None:
        both = sorted(self.packets[:200] + speech(100, participant="q"), key=lambda packet: packet.spoken_us)
        Socket(self.process.folder).say(both).die()
        later = self.packets[250:] + speech(400, participant="q")[250:]
        self.seal_later_socket(sorted(later, key=lambda packet: packet.spoken_us))
        self.take_over()
        self.assertEqual(sorted(self.gaps()), [("recorder_stopped", 100, 150), ("recorder_stopped", 200, 50)])


class Between(TestCase):
    def test_the_gap_is_counted_at_the_rate_of_the_audio_before_it(self) -> None:
        self.assertEqual(gap_between(16_000, 16_000, 48_000, 24_000, "why"), Gap(16_000, 16_000, 16_000, "why"))

    def test_sixty_milliseconds_are_none(self) -> None:
        self.assertIsNone(gap_between(0, 16_000, 960, 16_000, "why"))
        self.assertEqual(gap_between(0, 16_000, 961, 16_000, "why"), Gap(0, 961, 16_000, "why"))

    def test_audio_that_overlaps_is_none(self) -> None:
        self.assertIsNone(gap_between(16_000, 16_000, 15_000, 16_000, "why"))
