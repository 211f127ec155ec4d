"""The live socket through the real application: refusals, messages, outages, slow browsers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from unittest import mock

from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, channel_layers
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client, TransactionTestCase
from django.utils import timezone

from calls.live import channel, consumer
from calls.live.messages import NO_RECORDERS, CallData
from calls.live.sockets import open_sockets
from calls.live.stored import recent_names, recorder_state
from calls.models import SILENT_AFTER, Participant
from calls.routing import live_socket
from calls.times import iso_text
from tests.calls.live.examples import AGENT, CUSTOMER, a_call, an_alarm, ended, news
from tests.calls.rows import make_call, make_participant, make_process
from tests.people import person

ORIGIN = b"http://testserver"


class FakeDatabase:
    """Stands in for the query of live calls: returns `calls`, or is unreachable."""

    def __init__(self, *calls: CallData) -> None:
        self.calls = list(calls)
        self.seconds = 0.0
        self.is_unreachable = False

    def __call__(self, _now: object) -> list[CallData]:
        if self.is_unreachable:
            raise OperationalError("the server closed the connection")
        time.sleep(self.seconds)
        return list(self.calls)


class LiveSocketTestCase(TransactionTestCase):
    def setUp(self) -> None:
        channel_layers.backends.clear()  # the layer of another test has a closed event loop
        self.addCleanup(channel_layers.backends.clear)
        self.user = person("operator", password="…")
        self.browser = Client()
        self.browser.force_login(self.user)
        self.database = FakeDatabase()
        patch = mock.patch.object(consumer, "stored_live_calls", self.database)
        patch.start()
        self.addCleanup(patch.stop)

    def socket(self, *, origin: bytes = ORIGIN, logged_in: bool = True) -> WebsocketCommunicator:
        headers = [(b"origin", origin), (b"host", b"testserver")]
        if logged_in:
            headers.append(
                (b"cookie", f"sessionid={self.browser.cookies['sessionid'].value}".encode())
            )
        return WebsocketCommunicator(live_socket, "/ws/live", headers)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[WebsocketCommunicator]:
        """Opens an accepted socket; its snapshot is not received yet."""
        socket = self.socket()
        accepted, _subprotocol = await socket.connect(timeout=5)
        self.assertTrue(accepted)
        try:
            yield socket
        finally:
            await socket.disconnect(timeout=5)

    async def receive(self, socket: WebsocketCommunicator, wanted: str) -> dict[str, Any]:
        """Returns the next message of that type; skips levels before it."""
        async with asyncio.timeout(10):
            while True:
                message: dict[str, Any] = json.loads(await socket.receive_from(timeout=10))
                if message["type"] == wanted:
                    return message
                self.assertEqual(message["type"], "levels", f"instead of {wanted}")


class ConnectingRequires(LiveSocketTestCase):
    async def test_a_login(self) -> None:
        self.assertEqual(await self.socket(logged_in=False).connect(timeout=5), (False, 4401))

    async def test_the_same_origin(self) -> None:
        self.assertEqual(
            await self.socket(origin=b"http://evil.example.org").connect(timeout=5), (False, 4403)
        )

    async def test_a_session_that_still_exists(self) -> None:
        socket = self.socket()
        await sync_to_async(self.browser.session.flush)()
        self.assertEqual(await socket.connect(timeout=5), (False, 4401))

    async def test_nothing_else(self) -> None:
        before = open_sockets("LiveSocket")
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            self.assertEqual(open_sockets("LiveSocket"), before + 1)
        self.assertEqual(open_sockets("LiveSocket"), before)


class Messages(LiveSocketTestCase):
    async def test_begin_with_the_calls_of_the_database(self) -> None:
        self.database.calls = [a_call(1, CUSTOMER)]
        async with self.connected() as socket:
            snapshot = await self.receive(socket, "snapshot")
        self.assertEqual(snapshot["calls"], [a_call(1, CUSTOMER)])

    async def test_tell_the_state_of_the_recorders(self) -> None:
        died = timezone.now() - SILENT_AFTER - timedelta(seconds=1)
        refused = {"from_acs": {"expired": 1}, "others": {}}
        make = sync_to_async(make_process)
        await make(seen_at=died, started_at=died, refusals=refused)
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            state = await self.receive(socket, "recorders")
            self.assertEqual(state["silent_since"], iso_text(died))
            self.assertEqual((state["reporting"], state["refused"]), (0, refused))
            with mock.patch.object(consumer, "recorder_state", return_value=NO_RECORDERS):
                await channel.publish(news(number=1))
                await channel.publish(news(number=7))  # some were lost: the database is read
                self.assertEqual((await self.receive(socket, "snapshot"))["type"], "snapshot")
                self.assertIsNone((await self.receive(socket, "recorders"))["silent_since"])

    async def test_call_no_recorder_dead_while_and_after_the_database_is_unreachable(self) -> None:
        await sync_to_async(make_process)()
        dead = {**NO_RECORDERS, "silent_since": "2026-11-23T10:00:00Z"}
        with (
            mock.patch.object(consumer, "CHECK_SECONDS", 0.05),
            mock.patch.object(consumer, "LOGIN_SECONDS", 1000.0),
            self.assertLogs("calls.live.consumer", "WARNING"),
        ):
            self.database.is_unreachable = True
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                self.database.is_unreachable = False
                with mock.patch.object(consumer, "recorder_state", return_value=dead) as asked:
                    for _heartbeat in range(5):
                        await self.receive(socket, "levels")
                    asked.assert_not_called()

    async def test_begin_with_a_complete_snapshot_while_news_pour_in(self) -> None:
        calls = [a_call(number, CUSTOMER) for number in range(30)]
        self.database.calls, self.database.seconds = list(calls), 0.05

        async def pour() -> None:
            for number in count():
                await channel.publish(news(calls=[calls[number % 30]]))
                await asyncio.sleep(0.001)

        pouring = asyncio.create_task(pour())
        try:
            for _opening in range(10):
                async with self.connected() as socket:
                    first = json.loads(await socket.receive_from(timeout=10))
                self.assertEqual((first["type"], len(first.get("calls", []))), ("snapshot", 30))
        finally:
            pouring.cancel()

    async def test_announce_that_a_call_starts_changes_and_ends(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await channel.publish(news(calls=[a_call(1, CUSTOMER)]))
            started = await self.receive(socket, "call.started")
            self.assertEqual(started["call"], a_call(1, CUSTOMER))
            await channel.publish(news(calls=[a_call(1, CUSTOMER, AGENT)]))
            updated = await self.receive(socket, "call.updated")
            self.assertEqual(len(updated["call"]["participants"]), 2)
            await channel.publish(news(ended=[ended(a_call(1))]))
            self.assertEqual((await self.receive(socket, "call.ended"))["call"]["state"], "ended")

    async def test_merge_the_calls_of_two_processes(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await channel.publish(news("one", calls=[a_call(1, CUSTOMER)]))
            await self.receive(socket, "call.started")
            await channel.publish(news("two", calls=[a_call(1, AGENT)]))
            updated = await self.receive(socket, "call.updated")
        self.assertEqual(
            {each["raw_id"] for each in updated["call"]["participants"]}, {CUSTOMER, AGENT}
        )

    async def test_are_requested_from_the_recording_processes_by_a_new_socket(self) -> None:
        requests = channel.messages_of(channel.RECORDERS, channel.ASKED)
        async with requests as next_message, self.connected():
            async with asyncio.timeout(10):
                self.assertEqual(await next_message(), {"type": "live.asked"})

    async def test_name_participants_of_open_calls(self) -> None:
        call = await sync_to_async(make_call)()
        alice = await sync_to_async(make_participant)(call, CUSTOMER)
        live = a_call(call.id.int, CUSTOMER)
        with mock.patch.object(consumer, "CHECK_SECONDS", 0.05):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                await channel.publish(news(calls=[live]))
                await self.receive(socket, "call.started")
                named = Participant.objects.filter(pk=alice.pk)
                await sync_to_async(named.name_by_person)("Alice")
                message = await self.receive(socket, "call.updated")
        self.assertEqual(message["call"]["participants"][0]["label"], "Alice")

    async def test_of_an_unknown_type_are_ignored(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await channel.send(channel.GROUP, {"type": "live.of_a_later_version", "calls": 1})
            await channel.publish(news(calls=[a_call(1, CUSTOMER)]))
            started = await self.receive(socket, "call.started")
        self.assertEqual(started["call"]["id"], a_call(1, CUSTOMER)["id"])

    async def test_announce_alarms_also_to_a_dashboard_that_is_opened_later(self) -> None:
        alarm = an_alarm("stalled", a_call(1))
        async with self.connected() as early:
            self.assertEqual((await self.receive(early, "snapshot"))["alarms"], [])
            await channel.publish(news(alarms=[alarm]))
            self.assertEqual(await self.receive(early, "alarm"), {"type": "alarm", **alarm})
            async with self.connected() as late:
                await self.receive(late, "snapshot")
                await channel.publish(news(alarms=[alarm]))
                self.assertEqual(await self.receive(late, "alarm"), {"type": "alarm", **alarm})
            await channel.publish(news(alarms=[]))
            self.assertEqual(
                await self.receive(early, "alarm.cleared"), {"type": "alarm.cleared", **alarm}
            )

    async def test_carry_levels(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await channel.publish(news(levels={"p": [-23.5, -11.0]}))
            self.assertEqual(
                await self.receive(socket, "levels"),
                {"type": "levels", "levels": {"p": [-23.5, -11.0]}},
            )

    async def test_reach_every_dashboard(self) -> None:
        async with self.connected() as first, self.connected() as second:
            for socket in (first, second):
                await self.receive(socket, "snapshot")
            await channel.publish(news(calls=[a_call()]))
            for socket in (first, second):
                await self.receive(socket, "call.started")

    async def test_begin_anew_with_a_snapshot_after_lost_news(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await channel.publish(news(number=1))
            self.database.calls = [a_call(7)]
            await channel.publish(news(number=3))
            self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [a_call(7)])

    async def test_carry_totals_and_the_minute_of_a_participant_once(self) -> None:
        published = news(
            totals={"packets_per_second": 50.0, "seal_lag_seconds": 1.5}, minutes={"p": "0.9"}
        )
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await channel.publish(published)
            totals = await self.receive(socket, "totals")
            self.assertEqual(
                (totals["packets_per_second"], totals["seal_lag_seconds"]), (50.0, 1.5)
            )
            self.assertEqual((await self.receive(socket, "minutes"))["minutes"], {"p": "0.9"})
            await channel.publish(published)
            await self.receive(socket, "totals")
            await channel.publish(news(minutes={"p": "0.99", "q": "1"}))
            self.assertEqual((await self.receive(socket, "minutes"))["minutes"], {"q": "1"})

    async def test_are_empty_levels_while_nothing_happens(self) -> None:
        with mock.patch.object(consumer, "CHECK_SECONDS", 0.05):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                self.assertEqual(
                    await self.receive(socket, "levels"), {"type": "levels", "levels": {}}
                )


class Outages(LiveSocketTestCase):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.multiple(consumer, CHECK_SECONDS=0.05, REJOIN_SECONDS=(0.01,))
        patch.start()
        self.addCleanup(patch.stop)

    async def test_without_the_database_the_news_are_shown_until_it_returns(self) -> None:
        self.database.is_unreachable = True
        with self.assertLogs("calls.live.consumer", "WARNING") as logs:
            async with self.connected() as socket:
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [])
                await channel.publish(news(calls=[a_call(1)]))
                await self.receive(socket, "call.started")
                self.database.calls = [a_call(2)]
                self.database.is_unreachable = False
                self.assertEqual((await self.receive(socket, "call.started"))["call"], a_call(2))
        self.assertEqual(len(logs.output), 1, "one line, not one for each attempt")

    async def test_a_database_that_hangs_delays_no_snapshot(self) -> None:
        answer = asyncio.Event()

        async def hang(work: object, *_arguments: object) -> Any:
            if work is recorder_state:
                return NO_RECORDERS
            if work is recent_names:
                return []
            await answer.wait()
            return [a_call(3)]

        with (
            mock.patch.object(consumer._database, "run", hang),
            mock.patch.object(consumer, "DATABASE_SECONDS", 0.05),
        ):
            async with self.connected() as socket:
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [])
                answer.set()
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [a_call(3)])

    async def test_without_the_channel_layer_the_database_is_shown_until_it_returns(
        self,
    ) -> None:
        layer = UnreachableLayer()
        channel_layers.set("default", layer)
        self.database.calls = [a_call(1)]
        with self.assertLogs("calls.live.channel", "WARNING") as logs:
            async with self.connected() as socket:
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [a_call(1)])
                layer.is_unreachable = False
                await self.receive(socket, "snapshot")
                await channel.publish(news(calls=[a_call(2)]))
                await self.receive(socket, "call.started")
        self.assertEqual(len(logs.output), 1, "one line, not one for each attempt")

    async def test_a_call_that_leaves_the_database_ends(self) -> None:
        self.database.calls = [a_call(1)]
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            self.database.calls = []
            self.assertEqual(
                (await self.receive(socket, "call.ended"))["call"]["state"], "interrupted"
            )

    async def test_a_logout_closes_the_socket(self) -> None:
        with mock.patch.object(consumer, "LOGIN_SECONDS", 0):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                await sync_to_async(self.browser.logout)()
                self.assertEqual(await self.close_code(socket), 4401)

    async def test_an_account_that_is_deactivated_closes_the_socket(self) -> None:
        with mock.patch.object(consumer, "LOGIN_SECONDS", 0):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                await User.objects.filter(pk=self.user.pk).aupdate(is_active=False)
                self.assertEqual(await self.close_code(socket), 4401)

    async def test_a_valid_login_keeps_the_socket_open(self) -> None:
        with mock.patch.object(consumer, "LOGIN_SECONDS", 0):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                for _check in range(5):
                    # On a loaded machine the layer is joined late, and another snapshot follows.
                    event = await socket.receive_output(timeout=10)
                    self.assertEqual(event["type"], "websocket.send")

    async def close_code(self, socket: WebsocketCommunicator) -> int:
        async with asyncio.timeout(10):
            while (event := await socket.receive_output(timeout=10))["type"] != "websocket.close":
                pass
        code: int = event["code"]
        return code


class UnreachableLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels is untyped
    is_unreachable = True

    async def group_add(self, group: str, channel: str) -> None:
        if self.is_unreachable:
            raise ConnectionRefusedError
        await super().group_add(group, channel)
