"""A step of the sender's clock before a second socket opens, which is then sealed first."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from calls.models import Participant
from tests.streams.packets import PACKET_US, START_US, speech
from tests.streams.sealing.sealer.test_two_sockets import TwoSockets

MINUTE_US = 60_000_000


class AStepBeforeTheSecondSocket(TwoSockets):
    """The sockets have packets 300 to 400 in common, but each has lost two of them; the clock steps
    at packet 250.
    """

    def record(self, step_us: int, *, pause: bool = False) -> str:
        connection, packets = str(uuid4()), speech(500)
        if pause:  # the end of the second socket's audio is a part of its own
            packets = [one for one in packets if not 420 <= one.number < 450]
        stepped = [
            one if one.number < 250 else replace(one, timestamp_us=one.spoken_us + step_us)
            for one in packets
        ]
        first = [one for one in stepped if one.number < 400 and one.number not in (330, 331)]
        second = [one for one in stepped if one.number >= 300 and one.number not in (350, 351)]
        old = self.open(self.process, connection, first)
        young = self.open(self.other, connection, second)
        young.say(second).close(at_us=second[-1].spoken_us + PACKET_US)
        self.other.round()
        old.say(first).close(at_us=first[-1].spoken_us + PACKET_US)
        self.process.round()
        self.assert_in_place(connection, packets)
        return connection

    def test_ahead_or_back_moves_its_audio(self) -> None:
        for step_us in (MINUTE_US, -MINUTE_US, 1_500_000):
            with self.subTest(step_us=step_us):
                self.assertEqual(self.gaps(self.record(step_us)), [])

    def test_leaves_no_gap_where_its_audio_was(self) -> None:
        for step_us in (MINUTE_US, -MINUTE_US):
            with self.subTest(step_us=step_us):
                gaps = self.gaps(self.record(step_us, pause=True))
                self.assertEqual(gaps, [("not_received", 420 * 20, 30 * 20)])

    def test_leaves_no_time_at_which_nobody_was_heard(self) -> None:
        connection = self.record(-MINUTE_US)
        participant = Participant.objects.get(call__call_connection_id=connection)
        assert participant.heard_at is not None, "it has audio"
        self.assertEqual(round(participant.heard_at.timestamp() * 1_000_000), START_US)
