"""Two processes that seal different audio for the same positions at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch
from uuid import UUID

from streams.sealing import rows, steps
from streams.sealing.announcements import HEARTBEAT_SECONDS
from streams.sealing.overlaps.placement import without_overlaps
from streams.sealing.rows import Announcement
from streams.sealing.sealer import TAKEOVER_SECONDS
from tests.streams.journals import Socket
from tests.streams.packets import START_US, Sent, speech
from tests.streams.spools import SpoolTest

NO_FAILURES = {"store": 0, "database": 0, "journal": 0}


class TwoProcesses(SpoolTest):
    """Each has a socket of the same calls. Both query the rows before either has written, so the
    second to write must not overwrite the audio of the first.
    """

    packets = speech(60)

    def setUp(self) -> None:
        super().setUp()
        self.other = self.new_process()
        self.other.sealer._is_due("takeover", 3600.0)

    @property
    def theirs(self) -> list[Sent]:
        return [
            Sent(packet.number + 5000, packet.spoken_us, packet.timestamp_us)
            for packet in self.packets
        ]

    def call(self, connection: str) -> Socket:
        """Writes a closed socket of a call for each process, and announces a third one."""
        ours = Socket(self.process.folder, connection).say(self.packets)
        ours.close()
        Socket(self.other.folder, connection, connected_us=START_US + 1).say(self.theirs).close()
        third = Socket(self.other.folder, connection, connected_us=START_US - 9)
        rows.announce([Announcement(third.handshake, [], [])])
        return ours

    def seal_first(self, *arguments: Any) -> Any:
        """Replaces `without_overlaps` in the other process: ours seals everything after its
        query.
        """
        result = without_overlaps(*arguments)
        with patch.object(steps, "without_overlaps", without_overlaps):
            self.process.round()
        return result

    def assert_all_once(self, call_id: UUID) -> None:
        heard = b"".join(pcm for _, pcm in self.recorded(call_id))
        for packet in [*self.packets, *self.theirs]:
            self.assertEqual(heard.count(packet.pcm), 1)

    def test_lose_nothing_in_one_call(self) -> None:
        self.packets = speech(600)
        ours = self.call("call")
        with patch.object(steps, "without_overlaps", self.seal_first):
            self.assertTrue(self.other.round())
        self.assertEqual(self.other.sealer.failures, NO_FAILURES)
        self.assert_recorded(self.packets)
        self.other.round()
        self.assert_all_once(ours.call_id)

    def test_lose_nothing_in_several_calls_and_keep_their_heartbeat(self) -> None:
        ours = [self.call(f"call-{number}") for number in range(4)]
        heartbeats: list[Sequence[str]] = []
        notes = patch.object(rows, "vouch_for", lambda stream_ids, _: heartbeats.append(stream_ids))
        with patch.object(steps, "without_overlaps", self.seal_first), notes:
            self.assertTrue(self.other.round())
            self.clock.forward(HEARTBEAT_SECONDS)
            self.other.sealer._announce_open_streams()
        self.assertEqual(self.other.sealer.failures, NO_FAILURES, "no outage")
        self.assertEqual(len(heartbeats), 2, "in the same round, after the overlap")
        for _ in range(3):
            self.other.round(after_seconds=TAKEOVER_SECONDS)
        for socket in ours:
            self.assert_all_once(socket.call_id)
