"""Events that the simulator sends about its calls, received by a real HTTP server."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from unittest import IsolatedAsyncioTestCase

from streams.acs.webhooks.parsing import parse
from streams.simulator.call import CallPlayer
from streams.simulator.pacing import Pace
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.report import CallReport
from streams.simulator.scenario.schedule import Absence
from tests.calls.notifications.webhooks.receiver import Receiver, status
from tests.servers import free_port
from tests.streams.fake_recorder import FakeRecorder, recording
from tests.streams.simulator.test_play import conversation


class EventTests(IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.receiver = self.enterContext(Receiver())

    async def played(
        self, recorder: FakeRecorder, url: str | None = None, **settings: Any
    ) -> CallReport:
        """Plays one call and returns its report."""
        self.call = PlannedCall(conversation(**settings))
        address = self.receiver.url if url is None else url
        async with recording(recorder):
            plan = Plan(recorder.url, (self.call,), 0, events_url=address, events_token="s&t")
            player = CallPlayer(plan, self.call)
            await player.play(Pace(0.0, 0))
        return player.report

    async def test_the_beginning_and_the_end_are_reported_as_the_door_reads_them(self) -> None:
        report = await self.played(FakeRecorder())
        self.assertTrue(report.complete, report.problem)
        self.assertEqual([one.path for one in self.receiver.requests], ["/hook?token=s%26t"] * 2)
        events = [event for one in self.receiver.requests for event in parse(one.body).events]
        ended, started = sorted(events, key=lambda event: event.type)
        self.assertEqual((started.type, ended.type), ("CallStarted", "CallEnded"))
        self.assertEqual({one.correlation_id for one in events}, {self.call.correlation_id})
        self.assertEqual({one.server_call_id for one in events}, {started.server_call_id})
        self.assertNotEqual(started.event_id, ended.event_id)
        lasted = (ended.occurred_at - started.occurred_at).total_seconds()
        self.assertAlmostEqual(ended.data["durationOfCall"], lasted, delta=0.002)

    async def test_a_reconnect_is_no_second_beginning(self) -> None:
        absence = Absence(200_000, 100_000)
        report = await self.played(FakeRecorder(), absences=(absence,))
        self.assertEqual((report.sockets, len(self.receiver.requests)), (2, 2))

    async def test_a_call_that_is_refused_has_not_begun(self) -> None:
        report = await self.played(FakeRecorder(refuse=[HTTPStatus.FORBIDDEN]))
        self.assertEqual((report.refused, self.receiver.requests), (1, []))

    async def test_an_event_that_is_refused_is_a_problem_of_the_call(self) -> None:
        self.receiver.reply(status(403))
        report = await self.played(FakeRecorder())
        self.assertEqual(report.problem, "an event was refused with HTTP 403")
        self.assertEqual((report.lost, report.complete), (0, False))

    async def test_an_address_without_a_server_costs_no_audio(self) -> None:
        report = await self.played(FakeRecorder(), f"http://127.0.0.1:{free_port()}/hook")
        self.assertIn("no event sent", report.problem)
        self.assertEqual(report.lost, 0)

    async def test_without_an_address_nothing_is_sent(self) -> None:
        report = await self.played(FakeRecorder(), "")
        self.assertTrue(report.complete)
        self.assertEqual(self.receiver.requests, [])
