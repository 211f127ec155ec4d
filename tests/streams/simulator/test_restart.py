"""A server that restarts: as ACS does, the call continues on a new socket."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from unittest import IsolatedAsyncioTestCase

from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.report import Report
from streams.simulator.scenario.schedule import Absence, Conversation, ScriptedVoice
from tests.streams.fake_recorder import FakeRecorder, recording
from tests.streams.simulator.test_play import AGENT, CALLER, conversation, noise, pcm_of

RESTART = 1012
REFUSED = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY]


class RestartingRecorder(FakeRecorder):
    """Closes its first socket with 1012 after 21 messages; then `refused` handshakes fail."""

    def __init__(self, refused: list[HTTPStatus]) -> None:
        super().__init__(close_after=21, close_code=RESTART)
        self.refused = refused
        self.heard = self._note

    async def _note(self, messages: int) -> None:
        if len(self.sockets) > 1:
            self.close_after = None
        elif messages == self.close_after:
            self.refuse = list(self.refused)


async def played(recorder: FakeRecorder, script: Conversation, **settings: Any) -> Report:
    async with recording(recorder):
        return await play(Plan(recorder.url, (PlannedCall(script),), **settings))


class RestartTests(IsolatedAsyncioTestCase):
    async def test_a_call_continues_on_a_new_socket_without_what_was_spoken_meanwhile(
        self,
    ) -> None:
        recorder, script = RestartingRecorder(REFUSED), conversation(seconds=8.0)
        report = await played(recorder, script, speed=4, restart_seconds=30)
        self.assertTrue(report.complete, report.ledger())
        (call,), (first, second) = report.calls, recorder.sockets
        self.assertEqual((call.restarts, call.sockets, call.close_code), (1, 2, 1000))
        name = "x-ms-call-connection-id"
        self.assertEqual(first.header(name), second.header(name))
        self.assertEqual(second.messages[0]["kind"], "AudioMetadata")
        for number, raw_id in enumerate((CALLER, AGENT)):
            spoken, heard = pcm_of(script, number), second.pcm(raw_id)
            self.assertTrue(heard)
            self.assertTrue(spoken.endswith(heard), "from the restart to the end")
            away_packets = (len(spoken) - len(first.pcm(raw_id)) - len(heard)) // 640
            self.assertGreater(away_packets, 50, "two attempts took half a second: two of the call")
            self.assertGreater(call.voices[number].lost, 50)

    async def test_without_waiting_the_call_fails(self) -> None:
        report = await played(RestartingRecorder([]), conversation(), speed=0)
        self.assertEqual(report.calls[0].problem, "the server closed the socket: 1012 enough")

    async def test_a_server_that_does_not_come_back_in_time_is_a_failure(self) -> None:
        recorder = RestartingRecorder(REFUSED * 50)
        report = await played(recorder, conversation(), speed=0, restart_seconds=0.3)
        self.assertFalse(report.complete)
        self.assertRegex(report.calls[0].problem, "^refused with HTTP 50[23]$")

    async def test_a_restart_after_the_last_packet_ends_the_call(self) -> None:
        one_packet = Conversation(
            (ScriptedVoice(CALLER, noise(1, 0.02)),), 16000, absences=(Absence(300_000, 0),)
        )
        recorder = FakeRecorder(close_after=2, close_code=RESTART)
        report = await played(recorder, one_packet, speed=1, restart_seconds=5)
        self.assertEqual((report.calls[0].problem, report.complete), ("", True))
