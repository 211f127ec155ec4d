"""Two processes, Daphne and uvicorn, on one Postgres and one Redis.

A call moves from one to the other, a dashboard shows the calls of both, and a listener on one
process hears a call that the other records.
"""

from __future__ import annotations

import asyncio
import json
import time
import unittest
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
DISCONNECTED_SECONDS = 0.8  # shorter than the grace time
LONG_CALL = noises(14.0, seed=15)  # long enough to listen, and for a lease to expire


class Dashboard:
    """The live socket of a browser, with all messages received so far."""

    def __init__(self, socket: ClientConnection) -> None:
        self.messages: list[dict[str, Any]] = []
        self._socket = socket
        self._received = asyncio.Condition()

    async def receive(self) -> None:
        async for text in self._socket:
            async with self._received:
                self.messages.append(json.loads(text))
                self._received.notify_all()

    async def wait_for_snapshot(self) -> None:
        """Waits for the snapshot: calls that start later are in messages, not in the snapshot."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._received:
            await self._received.wait_for(
                lambda: any(one["type"] == "snapshot" for one in self.messages)
            )

    async def wait_for(self, kind: str, connection_id: str) -> dict[str, Any]:
        """Waits for the first message of that kind about the call; returns its call."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._received:
            await self._received.wait_for(lambda: self.of(kind, connection_id))
        return self.of(kind, connection_id)[0]

    def of(self, kind: str, connection_id: str) -> list[dict[str, Any]]:
        calls = (one["call"] for one in self.messages if one["type"] == kind)
        return [call for call in calls if call["call_connection_id"] == connection_id]

    async def wait_for_listeners(self, calls: dict[str, int]) -> None:
        """Waits until exactly these numbers of listeners are shown, by call."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._received:
            await self._received.wait_for(lambda: self.listening == calls)

    @property
    def listening(self) -> dict[str, int]:
        """The numbers of listeners by call, from the latest message."""
        members = {"snapshot": "listening", "listening": "calls"}
        found: list[dict[str, int]] = [
            one[members[one["type"]]] for one in self.messages if one["type"] in members
        ]
        return found[-1] if found else {}

    def speakers(self) -> set[str]:
        """Returns the participants whose level was ever above silence."""
        levels = (one["levels"] for one in self.messages if one["type"] == "levels")
        return {
            participant
            for level in levels
            for participant, (rms, _peak) in level.items()
            if rms > -96.0
        }


@asynccontextmanager
async def dashboard(server: Server, account: Account) -> AsyncIterator[Dashboard]:
    """Opens a live socket of that server, logged in by cookie."""
    headers = {"Cookie": f"sessionid={account.session}"}
    async with connect(
        f"{server.ws_url}/ws/live",
        origin=server.url,  # type: ignore[arg-type]
        additional_headers=headers,
    ) as socket:
        board = Dashboard(socket)
        receiving = asyncio.create_task(board.receive())
        try:
            await board.wait_for_snapshot()
            yield board
        finally:
            receiving.cancel()


@dataclass(frozen=True)
class AudioMessage:
    """One audio message of a listening socket, with its start time and its delay after that."""

    participant: str
    at_us: int
    pcm: bytes
    delay_seconds: float


@asynccontextmanager
async def listening(
    server: Server, account: Account, call_id: str
) -> AsyncIterator[ClientConnection]:
    """Opens a listener's socket; retries, because the call is live only once its row is written."""
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


async def receive_audio(socket: ClientConnection, count: int) -> list[AudioMessage]:
    """Receives `count` audio messages."""
    received: list[AudioMessage] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(received) < count:
            message = await socket.recv()
            if isinstance(message, bytes):
                at_us = int.from_bytes(message[8:16], "little")
                delay_seconds = time.time() - at_us / SECOND
                participant = str(UUID(bytes=message[16:32]))
                received.append(AudioMessage(participant, at_us, message[32:], delay_seconds))
    return received


def setUpModule() -> None:
    """Starts the processes for both classes: that takes longer than most tests."""
    shared = {
        **QUICK,
        "RECONNECT_GRACE_SECONDS": "2",
        "DATABASE_URL": unittest.enterModuleContext(postgres()),
        "REDIS_URL": unittest.enterModuleContext(Redis()).url,
        "AUDIO_STORE": "database",
    }
    daphne, uvicorn = (Server(kind, environment=shared) for kind in ("daphne", "uvicorn"))
    daphne.manage("migrate", "--verbosity", "0")
    case = TwoProcessesTestCase
    case.daphne, case.uvicorn, case.account = daphne, uvicorn, make_account(daphne)
    for server in (daphne, uvicorn):
        unittest.enterModuleContext(server)


@tag("once")
class TwoProcessesTestCase(SimpleTestCase):
    daphne: ClassVar[Server]
    uvicorn: ClassVar[Server]
    account: ClassVar[Account]

    async def play(
        self, server: Server, script: Any, connection_id: str, **settings: Any
    ) -> Report:
        report = await play(
            Plan(server.media_url, (PlannedCall(script, connection_id=connection_id),), **settings)
        )
        self.assertTrue(report.complete, [call.problem for call in report.calls])
        return report


class CallTests(TwoProcessesTestCase):
    async def test_one_dashboard_shows_the_calls_of_both(self) -> None:
        async with dashboard(self.daphne, self.account) as board:
            await asyncio.gather(
                self.play(self.daphne, ON_DAPHNE, "on-daphne"),
                self.play(self.uvicorn, ON_UVICORN, "on-uvicorn"),
            )
            for connection_id in ("on-daphne", "on-uvicorn"):
                with self.subTest(connection_id):
                    await board.wait_for("call.started", connection_id)
                    ended = await board.wait_for("call.ended", connection_id)
                    self.assertEqual((ended["state"], len(ended["participants"])), ("ended", 2))
                    self.assertLessEqual(
                        {one["id"] for one in ended["participants"]}, board.speakers()
                    )
            self.assertEqual(
                len([one for one in board.messages if one["type"] == "snapshot"]),
                1,
                "no message was lost",
            )

    async def test_a_call_that_reconnects_to_the_other_process_remains_one_call(self) -> None:
        started_us = int(time.time() * SECOND)
        async with dashboard(self.uvicorn, self.account) as board:
            await self.play(self.daphne, FIRST, "both", started_us=started_us)
            await asyncio.sleep(DISCONNECTED_SECONDS)  # the time ACS needs to reconnect
            await self.play(self.uvicorn, SECOND_HALF, "both", started_us=started_us + 4 * SECOND)
            ended = await board.wait_for("call.ended", "both")
            self.assertEqual(len(board.of("call.started", "both")), 1)
            self.assertEqual(len(board.of("call.ended", "both")), 1)
            self.assertEqual(
                (ended["state"], len(ended["participants"]), len(ended["subscriptions"])),
                ("ended", 2, 2),
            )
        await asyncio.to_thread(self.check_whole_call)

    def check_whole_call(self) -> None:
        for server in (self.daphne, self.uvicorn):  # both give the same answer
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


class ListenerTests(TwoProcessesTestCase):
    """A listener on Daphne, to a call that uvicorn records; the dashboard is on uvicorn."""

    @asynccontextmanager
    async def spoken_call(
        self, connection_id: str
    ) -> AsyncIterator[tuple[Dashboard, dict[str, Any], int]]:
        """Plays a live call; yields a dashboard, the call shown there, and the start in µs."""
        started_us = int(time.time() * 1000) * 1000  # timestamps of ACS have milliseconds
        async with dashboard(self.uvicorn, self.account) as board:
            playing = asyncio.create_task(
                self.play(self.uvicorn, LONG_CALL, connection_id, started_us=started_us),
                name="call",
            )
            try:
                yield board, await board.wait_for("call.started", connection_id), started_us
                await playing
            finally:
                playing.cancel()

    async def test_audio_arrives_within_a_second_and_the_listener_is_shown(self) -> None:
        async with self.spoken_call("listened") as (board, call, started_us):
            async with listening(self.daphne, self.account, call["id"]) as socket:
                messages = await receive_audio(socket, count=20)
                await board.wait_for_listeners({call["id"]: 1})
                async with dashboard(self.daphne, self.account) as late:
                    await late.wait_for_listeners({call["id"]: 1})
            await board.wait_for_listeners({})
            self.assertEqual(
                board.of("call.ended", "listened"), [], "the listener left, the call continues"
            )
        ids = {
            str(participant_id_of(UUID(call["id"]), raw_id)): raw_id for raw_id in (CALLER, AGENT)
        }
        self.assertEqual({message.participant for message in messages}, {*ids})
        for message in messages:
            first = 2 * ((message.at_us - started_us) * RATE // SECOND)
            self.assertEqual(
                message.pcm, pcm_of(LONG_CALL, ids[message.participant])[first:][: len(message.pcm)]
            )
        self.assertLess(median(message.delay_seconds for message in messages), 1.0)

    async def test_the_listener_disappears_when_its_process_dies(self) -> None:
        async with (
            self.spoken_call("outlived") as (board, call, _started_us),
            listening(self.daphne, self.account, call["id"]),
        ):
            await board.wait_for_listeners({call["id"]: 1})
            await asyncio.to_thread(self.daphne.kill)
            try:
                await board.wait_for_listeners({})
                self.assertEqual(
                    board.of("call.ended", "outlived"), [], "the lease expired, the call continues"
                )
            finally:
                await asyncio.to_thread(self.daphne.start)
