"""Two processes, Daphne and uvicorn, on one Postgres and one Redis: a call over both, a dashboard
that sees both, and somebody who listens in by the one on what the other records.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, ClassVar
from uuid import UUID

from django.test import SimpleTestCase, tag
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from calls.identity import participant_id_of
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.report import Report
from tests.backends import Redis, postgres
from tests.end_to_end.installation import (
    AGENT,
    CALLER,
    QUICK,
    Account,
    Rest,
    make_account,
    noises,
    pcm_of,
)
from tests.servers import Server
from tests.waiting import LONG_PAUSE_SECONDS, PATIENCE_SECONDS

SECOND = 1_000_000
RATE = 16_000
FIRST, SECOND_HALF = noises(3.0, seed=11), noises(3.0, seed=12)
ON_DAPHNE, ON_UVICORN = noises(3.0, seed=13), noises(3.0, seed=14)
AWAY_SECONDS = 0.8  # shorter than the grace time
LONG_ENOUGH = noises(14.0, seed=15)  # for whoever listens, and for a lease that runs out


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
            await self._news.wait_for(
                lambda: any(one["type"] == "snapshot" for one in self.messages)
            )

    async def told(self, kind: str, connection_id: str) -> dict[str, Any]:
        """The first message of that kind on the call; waits for it."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: self.of(kind, connection_id))
        return self.of(kind, connection_id)[0]

    def of(self, kind: str, connection_id: str) -> list[dict[str, Any]]:
        calls = (one["call"] for one in self.messages if one["type"] == kind)
        return [call for call in calls if call["call_connection_id"] == connection_id]

    async def marks(self, calls: dict[str, int]) -> None:
        """Waits until it is said that so many listen, and on nothing else."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: self.listening == calls)

    @property
    def listening(self) -> dict[str, int]:
        """As it was said last."""
        said = {"snapshot": "listening", "listening": "calls"}
        found: list[dict[str, int]] = [
            one[said[one["type"]]] for one in self.messages if one["type"] in said
        ]
        return found[-1] if found else {}

    def heard(self) -> set[str]:
        """Participants whose level was above silence at some time."""
        levels = (one["levels"] for one in self.messages if one["type"] == "levels")
        return {
            participant
            for level in levels
            for participant, (rms, _peak) in level.items()
            if rms > -96.0
        }


@asynccontextmanager
async def dashboard(server: Server, account: Account) -> AsyncIterator[Dashboard]:
    """Logged in by cookie, on a page of that server."""
    headers = {"Cookie": f"sessionid={account.session}"}
    async with connect(
        f"{server.ws_url}/ws/live",
        origin=server.url,  # type: ignore[arg-type]
        additional_headers=headers,
    ) as socket:
        board = Dashboard(socket)
        listening = asyncio.create_task(board.listen())
        try:
            await board.shown()
            yield board
        finally:
            listening.cancel()


@dataclass(frozen=True)
class Heard:
    """One message of a listening socket with audio: of whom, from when, and how long after that
    moment it came.
    """

    participant: str
    at_us: int
    pcm: bytes
    delay_seconds: float


@asynccontextmanager
async def listening(
    server: Server, account: Account, call_id: str
) -> AsyncIterator[ClientConnection]:
    """A listener's socket; the call is live when its row is written, so the first ones may be
    refused.
    """
    headers = {"Cookie": f"sessionid={account.session}"}
    address = f"{server.ws_url}/ws/listen/{call_id}"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                socket = await connect(address, origin=server.url, additional_headers=headers)  # type: ignore[arg-type]
                break
            except InvalidStatus:
                await asyncio.sleep(LONG_PAUSE_SECONDS)
    async with socket:
        yield socket


async def hear(socket: ClientConnection, parts: int) -> list[Heard]:
    """So many messages with audio."""
    heard: list[Heard] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(heard) < parts:
            message = await socket.recv()
            if isinstance(message, bytes):
                at_us = int.from_bytes(message[8:16], "little")
                delay_seconds = time.time() - at_us / SECOND
                heard.append(
                    Heard(str(UUID(bytes=message[16:32])), at_us, message[32:], delay_seconds)
                )
    return heard


@tag("once")
class TwoProcessesTestCase(SimpleTestCase):
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
        cls.daphne, cls.uvicorn = (
            Server(kind, environment=shared) for kind in ("daphne", "uvicorn")
        )
        cls.daphne.manage("migrate", "--verbosity", "0")
        cls.account = make_account(cls.daphne)
        for server in (cls.daphne, cls.uvicorn):
            cls.enterClassContext(server)

    async def played(
        self, server: Server, script: Any, connection_id: str, **settings: Any
    ) -> Report:
        report = await play(
            Plan(server.media_url, (PlannedCall(script, connection_id=connection_id),), **settings)
        )
        self.assertTrue(report.complete, [call.problem for call in report.calls])
        return report


class ACall(TwoProcessesTestCase):
    async def test_one_dashboard_sees_the_calls_of_both(self) -> None:
        async with dashboard(self.daphne, self.account) as board:
            await asyncio.gather(
                self.played(self.daphne, ON_DAPHNE, "on-daphne"),
                self.played(self.uvicorn, ON_UVICORN, "on-uvicorn"),
            )
            for connection_id in ("on-daphne", "on-uvicorn"):
                with self.subTest(connection_id):
                    await board.told("call.started", connection_id)
                    ended = await board.told("call.ended", connection_id)
                    self.assertEqual((ended["state"], len(ended["participants"])), ("ended", 2))
                    self.assertLessEqual(
                        {one["id"] for one in ended["participants"]}, board.heard()
                    )
            self.assertEqual(
                len([one for one in board.messages if one["type"] == "snapshot"]),
                1,
                "nothing was lost",
            )

    async def test_a_call_that_reconnects_to_the_other_process_stays_one_call(self) -> None:
        began_us = int(time.time() * SECOND)
        async with dashboard(self.uvicorn, self.account) as board:
            await self.played(self.daphne, FIRST, "both", started_us=began_us)
            await asyncio.sleep(AWAY_SECONDS)  # as long as ACS needs to connect again
            await self.played(self.uvicorn, SECOND_HALF, "both", started_us=began_us + 4 * SECOND)
            ended = await board.told("call.ended", "both")
            self.assertEqual(len(board.of("call.started", "both")), 1)
            self.assertEqual(len(board.of("call.ended", "both")), 1)
            self.assertEqual(
                (ended["state"], len(ended["participants"]), len(ended["subscriptions"])),
                ("ended", 2, 2),
            )
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
                self.assertEqual(
                    (gap["start"], gap["end"], gap["reason"]), (3.0, 4.0, "not_connected")
                )


class AListener(TwoProcessesTestCase):
    """On Daphne, of a call that uvicorn records; the dashboard is on uvicorn."""

    @asynccontextmanager
    async def spoken_call(
        self, connection_id: str
    ) -> AsyncIterator[tuple[Dashboard, dict[str, Any], int]]:
        """A call that goes on, as the dashboard was told of it, and when its first sample was
        spoken.
        """
        began_us = int(time.time() * 1000) * 1000  # ACS's timestamps have milliseconds
        async with dashboard(self.uvicorn, self.account) as board:
            playing = asyncio.create_task(
                self.played(self.uvicorn, LONG_ENOUGH, connection_id, started_us=began_us),
                name="call",
            )
            try:
                yield board, await board.told("call.started", connection_id), began_us
                await playing
            finally:
                playing.cancel()

    async def test_hears_what_was_said_within_a_second_and_is_marked_meanwhile(self) -> None:
        async with self.spoken_call("listened") as (board, call, began_us):
            async with listening(self.daphne, self.account, call["id"]) as socket:
                heard = await hear(socket, parts=20)
                await board.marks({call["id"]: 1})
                async with dashboard(self.daphne, self.account) as late:
                    await late.marks({call["id"]: 1})
            await board.marks({})
            self.assertEqual(
                board.of("call.ended", "listened"), [], "the listener left, the call goes on"
            )
        ids = {
            str(participant_id_of(UUID(call["id"]), raw_id)): raw_id for raw_id in (CALLER, AGENT)
        }
        self.assertEqual({part.participant for part in heard}, {*ids})
        for part in heard:
            first = 2 * ((part.at_us - began_us) * RATE // SECOND)
            self.assertEqual(
                part.pcm, pcm_of(LONG_ENOUGH, ids[part.participant])[first:][: len(part.pcm)]
            )
        self.assertLess(median(part.delay_seconds for part in heard), 1.0)

    async def test_is_marked_no_more_when_its_process_has_died(self) -> None:
        async with (
            self.spoken_call("outlived") as (board, call, _began_us),
            listening(self.daphne, self.account, call["id"]),
        ):
            await board.marks({call["id"]: 1})
            await asyncio.to_thread(self.daphne.kill)
            try:
                await board.marks({})
                self.assertEqual(
                    board.of("call.ended", "outlived"), [], "the lease ran out, the call goes on"
                )
            finally:
                await asyncio.to_thread(self.daphne.start)
