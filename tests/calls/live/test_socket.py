"""The browser's socket over the real wrapped application: refused, served, slow, cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, channel_layers
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client, TransactionTestCase

from calls.live import channel as live
from calls.live import consumer as consumers
from calls.live import sockets as consumers_sockets
from calls.live.outbox import CALL_MESSAGES
from calls.live.view import Call
from calls.routing import live_socket
from tests.calls.live.examples import AGENT, CUSTOMER, a_call, an_alarm, ended, news
from tests.people import person

ORIGIN = b"http://testserver"


class TheDatabase:
    """Stands in for the query of live calls: holds calls, or is away."""

    def __init__(self, *calls: Call) -> None:
        self.calls = list(calls)
        self.is_away = False
        self.was_asked = 0

    def __call__(self, _now: object) -> list[Call]:
        self.was_asked += 1
        if self.is_away:
            raise OperationalError("the server closed the connection")
        return list(self.calls)


class LiveSocketTestCase(TransactionTestCase):
    def setUp(self) -> None:
        channel_layers.backends.clear()  # the layer of another test belongs to a loop that is gone
        self.addCleanup(channel_layers.backends.clear)
        self.user = person("operator", password="…")
        self.browser = Client()
        self.browser.force_login(self.user)
        self.database = TheDatabase()
        patch = mock.patch.object(consumers, "stored_live_calls", self.database)
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
        """A socket that has been accepted; its snapshot is still to be received."""
        socket = self.socket()
        accepted, _subprotocol = await socket.connect(timeout=5)
        self.assertTrue(accepted)
        try:
            yield socket
        finally:
            await socket.disconnect(timeout=5)

    async def receive(self, socket: WebsocketCommunicator, wanted: str) -> dict[str, Any]:
        """The next message of that type; levels that come before it are passed over."""
        async with asyncio.timeout(10):
            while True:
                message: dict[str, Any] = json.loads(await socket.receive_from(timeout=10))
                if message["type"] == wanted:
                    return message
                self.assertEqual(message["type"], "levels", f"instead of {wanted}")


class WhoMayConnect(LiveSocketTestCase):
    async def test_nobody_without_a_login(self) -> None:
        self.assertEqual(await self.socket(logged_in=False).connect(timeout=5), (False, 4401))

    async def test_no_page_of_another_origin(self) -> None:
        self.assertEqual(
            await self.socket(origin=b"http://evil.example.org").connect(timeout=5), (False, 4403)
        )

    async def test_nobody_whose_session_has_been_forgotten(self) -> None:
        socket = self.socket()
        await sync_to_async(self.browser.session.flush)()
        self.assertEqual(await socket.connect(timeout=5), (False, 4401))

    async def test_somebody_logged_in_on_our_page(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")


class WhatIsTold(LiveSocketTestCase):
    async def test_the_snapshot_holds_what_the_database_knows(self) -> None:
        self.database.calls = [a_call(1, CUSTOMER)]
        async with self.connected() as socket:
            snapshot = await self.receive(socket, "snapshot")
        self.assertEqual(snapshot["calls"], [a_call(1, CUSTOMER)])

    async def test_a_call_starts_changes_and_ends(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await live.publish(news(calls=[a_call(1, CUSTOMER)]))
            started = await self.receive(socket, "call.started")
            self.assertEqual(started["call"], a_call(1, CUSTOMER))
            await live.publish(news(calls=[a_call(1, CUSTOMER, AGENT)]))
            updated = await self.receive(socket, "call.updated")
            self.assertEqual(len(updated["call"]["participants"]), 2)
            await live.publish(news(ended=[ended(a_call(1))]))
            self.assertEqual((await self.receive(socket, "call.ended"))["call"]["state"], "ended")

    async def test_calls_of_two_processes_are_one_picture(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await live.publish(news("one", calls=[a_call(1, CUSTOMER)]))
            await self.receive(socket, "call.started")
            await live.publish(news("two", calls=[a_call(1, AGENT)]))
            updated = await self.receive(socket, "call.updated")
        self.assertEqual(
            {each["raw_id"] for each in updated["call"]["participants"]}, {CUSTOMER, AGENT}
        )

    async def test_who_joins_asks_the_recording_processes_to_say_what_is_on(self) -> None:
        async with live.messages_of(live.RECORDERS) as next_message, self.connected():
            async with asyncio.timeout(10):
                self.assertEqual(await next_message(), {"type": "live.asked"})

    async def test_an_alarm_is_raised_and_cleared_and_who_comes_late_hears_it_repeated(
        self,
    ) -> None:
        alarm = an_alarm("stalled", a_call(1))
        async with self.connected() as early:
            self.assertEqual((await self.receive(early, "snapshot"))["alarms"], [])
            await live.publish(news(alarms=[alarm]))
            self.assertEqual(await self.receive(early, "alarm"), {"type": "alarm", **alarm})
            async with self.connected() as late:
                await self.receive(late, "snapshot")
                await live.publish(news(alarms=[alarm]))
                self.assertEqual(await self.receive(late, "alarm"), {"type": "alarm", **alarm})
            await live.publish(news(alarms=[]))
            self.assertEqual(
                await self.receive(early, "alarm.cleared"), {"type": "alarm.cleared", **alarm}
            )

    async def test_levels_go_through(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await live.publish(news(levels={"p": [-23.5, -11.0]}))
            self.assertEqual(
                await self.receive(socket, "levels"),
                {"type": "levels", "levels": {"p": [-23.5, -11.0]}},
            )

    async def test_every_dashboard_is_told(self) -> None:
        async with self.connected() as first, self.connected() as second:
            for socket in (first, second):
                await self.receive(socket, "snapshot")
            await live.publish(news(calls=[a_call()]))
            for socket in (first, second):
                await self.receive(socket, "call.started")

    async def test_a_hole_in_the_news_gives_a_fresh_snapshot(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await live.publish(news(number=1))
            self.database.calls = [a_call(7)]
            await live.publish(news(number=3))
            self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [a_call(7)])

    async def test_totals_are_told_and_the_minute_of_a_voice_once(self) -> None:
        said = news(
            totals={"packets_per_second": 50.0, "seal_lag_seconds": 1.5}, minutes={"p": "0.9"}
        )
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            await live.publish(said)
            totals = await self.receive(socket, "totals")
            self.assertEqual(
                (totals["packets_per_second"], totals["seal_lag_seconds"]), (50.0, 1.5)
            )
            self.assertEqual((await self.receive(socket, "minutes"))["minutes"], {"p": "0.9"})
            await live.publish(said)
            await self.receive(socket, "totals")
            await live.publish(news(minutes={"p": "0.99", "q": "1"}))
            self.assertEqual((await self.receive(socket, "minutes"))["minutes"], {"q": "1"})

    async def test_nothing_to_tell_is_told_by_empty_levels(self) -> None:
        with mock.patch.object(consumers, "LOOK_SECONDS", 0.05):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                self.assertEqual(
                    await self.receive(socket, "levels"), {"type": "levels", "levels": {}}
                )


class WhenThingsAreAway(LiveSocketTestCase):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.multiple(
            consumers, LOOK_SECONDS=0.05, JOIN_SECONDS=0.05, REJOIN_SECONDS=(0.01,)
        )
        patch.start()
        self.addCleanup(patch.stop)

    async def test_without_the_database_news_alone_are_shown_and_its_return_heals(self) -> None:
        self.database.is_away = True
        with self.assertLogs("calls.live.consumer", "WARNING") as logs:
            async with self.connected() as socket:
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [])
                await live.publish(news(calls=[a_call(1)]))
                await self.receive(socket, "call.started")
                self.database.calls, self.database.is_away = [a_call(2)], False
                self.assertEqual((await self.receive(socket, "call.started"))["call"], a_call(2))
        self.assertEqual(len(logs.output), 1, "one line, not one for each attempt")

    async def test_a_database_that_does_not_answer_keeps_no_snapshot_waiting(self) -> None:
        answer = asyncio.Event()

        async def hang(*_arguments: object) -> list[Call]:
            await answer.wait()
            return [a_call(3)]

        with mock.patch.multiple(consumers, _in_database_thread=hang, DATABASE_SECONDS=0.05):
            async with self.connected() as socket:
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [])
                answer.set()
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [a_call(3)])

    async def test_without_the_channel_layer_the_database_is_shown_and_its_return_heals(
        self,
    ) -> None:
        layer = AwayLayer()
        channel_layers.set("default", layer)
        self.database.calls = [a_call(1)]
        with self.assertLogs("calls.live.consumer", "WARNING") as logs:
            async with self.connected() as socket:
                self.assertEqual((await self.receive(socket, "snapshot"))["calls"], [a_call(1)])
                layer.is_away = False
                await self.receive(socket, "snapshot")
                await live.publish(news(calls=[a_call(2)]))
                await self.receive(socket, "call.started")
        self.assertEqual(len(logs.output), 1, "one line, not one for each attempt")

    async def test_a_call_that_left_the_database_ends(self) -> None:
        self.database.calls = [a_call(1)]
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            self.database.calls = []
            self.assertEqual(
                (await self.receive(socket, "call.ended"))["call"]["state"], "interrupted"
            )

    async def test_who_logs_out_is_closed(self) -> None:
        with mock.patch.object(consumers, "LOGIN_SECONDS", 0):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                await sync_to_async(self.browser.logout)()
                self.assertEqual(await self.close_code(socket), 4401)

    async def test_who_is_locked_out_is_closed(self) -> None:
        with mock.patch.object(consumers, "LOGIN_SECONDS", 0):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                await User.objects.filter(pk=self.user.pk).aupdate(is_active=False)
                self.assertEqual(await self.close_code(socket), 4401)

    async def test_who_stays_logged_in_is_not_closed(self) -> None:
        with mock.patch.object(consumers, "LOGIN_SECONDS", 0):
            async with self.connected() as socket:
                await self.receive(socket, "snapshot")
                for _look in range(5):
                    await self.receive(socket, "levels")

    async def close_code(self, socket: WebsocketCommunicator) -> int:
        async with asyncio.timeout(10):
            while (event := await socket.receive_output(timeout=10))["type"] != "websocket.close":
                pass
        code: int = event["code"]
        return code


class AwayLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels is untyped
    is_away = True

    async def group_add(self, group: str, channel: str) -> None:
        if self.is_away:
            raise ConnectionRefusedError
        await super().group_add(group, channel)


class ABrowserThat(LiveSocketTestCase):
    async def test_talks_a_little_is_ignored(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            for text in ("{", "null", '{"type":"levels"}', "x" * 100_000):
                await socket.send_to(text_data=text)
            await socket.send_to(bytes_data=b"\x00\xff")
            await live.publish(news(calls=[a_call()]))
            await self.receive(socket, "call.started")

    async def test_talks_without_end_is_closed(self) -> None:
        async with self.connected() as socket:
            await self.receive(socket, "snapshot")
            for _message in range(consumers_sockets.CLIENT_MESSAGES + 1):
                await socket.send_to(text_data="hello")
            event = await socket.receive_output(timeout=5)
            self.assertEqual((event["type"], event["code"]), ("websocket.close", 4429))

    async def test_reads_slowly_gets_one_snapshot_and_the_newest_levels(self) -> None:
        with slow_browser() as browser:
            serving = asyncio.ensure_future(
                consumers.LiveSocket("key", browser.receive, browser.send).run()
            )
            await browser.has_stopped.wait()
            for number in range(CALL_MESSAGES + 50):
                await live.publish(
                    news(calls=[a_call(number + 1)], levels={"p": [-float(number % 90), -1.0]})
                )
                await asyncio.sleep(0)
            last = float((CALL_MESSAGES + 49) % 90)
            browser.goes_on.set()
            while not any(message["type"] == "levels" for message in browser.got):
                await browser.got_more.wait()
                browser.got_more.clear()
            browser.leaves.set()
            await serving
        first, snapshot, levels = browser.got[:3]
        self.assertEqual((first["type"], first["calls"]), ("snapshot", []))
        self.assertEqual(
            (snapshot["type"], len(snapshot["calls"])), ("snapshot", CALL_MESSAGES + 50)
        )
        self.assertEqual(levels["levels"], {"p": [-last, -1.0]})

    async def test_takes_nothing_at_all_is_closed(self) -> None:
        with slow_browser() as browser, mock.patch.object(consumers, "SEND_SECONDS", 0.05):
            await asyncio.wait_for(
                consumers.LiveSocket("key", browser.receive, browser.send).run(), 5
            )
        self.assertEqual(browser.close_codes, [4408])

    async def test_breaks_away_ends_its_socket(self) -> None:
        with slow_browser() as browser:
            browser.is_broken = True
            await asyncio.wait_for(
                consumers.LiveSocket("key", browser.receive, browser.send).run(), 5
            )
        self.assertEqual(browser.close_codes, [])


class SlowBrowser:
    """Takes its first message only when `goes_on` is set."""

    def __init__(self) -> None:
        self.has_stopped, self.goes_on = asyncio.Event(), asyncio.Event()
        self.leaves, self.got_more = asyncio.Event(), asyncio.Event()
        self.got: list[dict[str, Any]] = []
        self.close_codes: list[int] = []
        self.is_broken = False

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, event: dict[str, Any]) -> None:
        if self.is_broken:
            raise ConnectionResetError
        if event["type"] == "websocket.close":
            self.close_codes.append(event["code"])
            return
        self.has_stopped.set()
        await self.goes_on.wait()
        self.got.append(json.loads(event["text"]))
        self.got_more.set()


@contextmanager
def slow_browser() -> Iterator[SlowBrowser]:
    browser = SlowBrowser()
    yield browser
    browser.goes_on.set()
