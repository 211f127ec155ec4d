"""Two processes, Daphne and uvicorn, on one Postgres and one Redis: a call over both, a dashboard that sees both."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from django.test import SimpleTestCase, tag
from websockets.asyncio.client import ClientConnection, connect

from streams.simulator.plan import Call, Plan
from streams.simulator.play import play
from streams.simulator.report import Report
from tests.backends import Redis, postgres
from tests.end_to_end import AGENT, CALLER, QUICK, Account, Rest, make_account, noises, pcm_of
from tests.servers import Server
from tests.waiting import PATIENCE_SECONDS

SECOND = 1_000_000
FIRST, SECOND_HALF = noises(3.0, seed=11), noises(3.0, seed=12)
ON_DAPHNE, ON_UVICORN = noises(3.0, seed=13), noises(3.0, seed=14)
AWAY_SECONDS = 0.8  # shorter than the grace time


class Dashboard:
    """A browser's live socket: what it has been told so far."""

    def __init__(self, socket: ClientConnection) -> None:
        self.messages: list[dict[str, Any]] = []
        self._socket = socket
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        async for text in self._socket:
            async with self._news:
                self.messages.append(json.loads(text))
                self._news.notify_all()

    async def shown(self) -> None:
        """Waits for the first picture: what begins from now on is told, and not part of it."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: any(one["type"] == "snapshot" for one in self.messages))

    async def told(self, kind: str, connection_id: str) -> dict[str, Any]:
        """The first message of that kind on the call; waits for it."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: self.of(kind, connection_id))
        return self.of(kind, connection_id)[0]

    def of(self, kind: str, connection_id: str) -> list[dict[str, Any]]:
        calls = (one["call"] for one in self.messages if one["type"] == kind)
        return [call for call in calls if call["call_connection_id"] == connection_id]

    def heard(self) -> set[str]:
        """Participants whose level was above silence at some time."""
        levels = (one["levels"] for one in self.messages if one["type"] == "levels")
        return {participant for level in levels for participant, (rms, _peak) in level.items() if rms > -96.0}


@asynccontextmanager
async def dashboard(server: Server, account: Account) -> AsyncIterator[Dashboard]:
    """Logged in by cookie, on a page of that server."""
    headers = {"Cookie": f"sessionid={account.session}"}
    async with connect(f"{server.ws_url}/ws/live", origin=server.url, additional_headers=headers) as socket:  # type: ignore[arg-type]
        board = Dashboard(socket)
        listening = asyncio.create_task(board.listen())
        try:
            await board.shown()
            yield board
        finally:
            listening.cancel()


@tag("once")
class TwoProcesses(SimpleTestCase):
    daphne: ClassVar[Server]
    uvicorn: ClassVar[Server]
    account: ClassVar[Account]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        shared = {
            **QUICK,
            "RECONNECT_GRACE_SECONDS": "2",
            "DATABASE_URL": cls.enterClassContext(postgres()),
            "REDIS_URL": cls.enterClassContext(Redis()).url,
            "AUDIO_STORE": "database",
        }
        cls.daphne, cls.uvicorn = (Server(kind, environment=shared) for kind in ("daphne", "uvicorn"))
        cls.daphne.manage("migrate", "--verbosity", "0")
        cls.account = make_account(cls.daphne)
        for server in (cls.daphne, cls.uvicorn):
            cls.enterClassContext(server)

    async def played(self, server: Server, script: Any, connection_id: str, **settings: Any) -> Report:
        report = await play(Plan(server.media_url, (Call(script, connection_id=connection_id),), **settings))
        self.assertTrue(report.complete, [call.problem for call in report.calls])
        return report

    async def test_one_dashboard_sees_the_calls_of_both(self) -> None:
        async with dashboard(self.daphne, self.account) as board:
            await asyncio.gather(
                self.played(self.daphne, ON_DAPHNE, "on-daphne"), self.played(self.uvicorn, ON_UVICORN, "on-uvicorn")
            )
            for connection_id in ("on-daphne", "on-uvicorn"):
                with self.subTest(connection_id):
                    await board.told("call.started", connection_id)
                    ended = await board.told("call.ended", connection_id)
                    self.assertEqual((ended["state"], len(ended["participants"])), ("ended", 2))
                    self.assertLessEqual({one["id"] for one in ended["participants"]}, board.heard())
            self.assertEqual(len([one for one in board.messages if one["type"] == "snapshot"]), 1, "nothing was lost")

    async def test_a_call_that_reconnects_to_the_other_process_stays_one_call(self) -> None:
        began_us = int(time.time() * SECOND)
        async with dashboard(self.uvicorn, self.account) as board:
            await self.played(self.daphne, FIRST, "both", started_us=began_us)
            await asyncio.sleep(AWAY_SECONDS)  # as long as ACS needs to connect again
            await self.played(self.uvicorn, SECOND_HALF, "both", started_us=began_us + 4 * SECOND)
            ended = await board.told("call.ended", "both")
            self.assertEqual(len(board.of("call.started", "both")), 1)
            self.assertEqual(len(board.of("call.ended", "both")), 1)
            self.assertEqual((ended["state"], len(ended["participants"]), len(ended["subscriptions"])), ("ended", 2, 2))
        await asyncio.to_thread(self.is_whole)

    def is_whole(self) -> None:
        for server in (self.daphne, self.uvicorn):  # each answers alike, whoever recorded
            rest = Rest(server, self.account)
            call = rest.over("both")
            self.assertEqual((call["state"], len(call["subscriptions"])), ("ended", 2))
            for raw_id in (CALLER, AGENT):
                spoken = pcm_of(FIRST, raw_id) + bytes(32_000) + pcm_of(SECOND_HALF, raw_id)
                self.assertEqual(rest.track(call, raw_id), spoken)
                [gap] = rest.manifest(call)[raw_id]["gaps"]
                self.assertEqual((gap["start"], gap["end"], gap["reason"]), (3.0, 4.0, "not_connected"))
