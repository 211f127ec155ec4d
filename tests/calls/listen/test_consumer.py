"""Listening in: who may, what is heard, what the ledger knows of it, how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.layers import channel_layers
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.contrib.auth.models import Permission
from django.test import Client, SimpleTestCase, TransactionTestCase
from django.urls import path, reverse
from django.utils import timezone

from calls import identity
from calls.listen import consumer, messages
from calls.listen.consumer import ListenConsumer, ListenerSlots
from calls.listen.messages import AudioChunk, ListenRequest
from calls.live import channel
from calls.live.origin import SameOrigin
from calls.live.sockets import CLIENT_MESSAGES
from calls.models import Call, LedgerEntry
from streams.acs.messages import ACS
from streams.live.audio_tap import MAX_PACKETS, AudioTap
from streams.recorder import Recorder
from tests.backends import Redis
from tests.calls.rows import make_call, make_subscription
from tests.people import person
from tests.streams.streams import ALICE, BOB, START_US, audio, metadata
from tests.waiting import until

JS = Path(__file__).parents[2] / "js"
LOUD, SOFT = b"\x00\x40" * 320, b"\x00\x10" * 320


class ThePart(SimpleTestCase):
    def test_it_is_written_as_the_page_reads_it(self) -> None:
        known = json.loads((JS / "part.json").read_text())
        arrived_us = 2_000_000_000_000_000
        pcm = b"\x00\x80\x00\x40\x00\x00"
        part = AudioChunk(
            participant=known["id"],
            raw_id=ALICE,
            rate=16_000,
            at_us=1_664_824_572_925_000,
            arrived_us=arrived_us,
            pcm=pcm,
        )
        self.assertEqual(messages.binary_of(part, arrived_us + 250_000).hex(), known["hex"])


class ListeningTestCase(TransactionTestCase):
    """A call that is live in the database and in a recorder of this process, and somebody who may
    listen.
    """

    def setUp(self) -> None:
        channel_layers.backends.clear()
        self.addCleanup(channel_layers.backends.clear)
        self.recorder = Recorder(
            Path(self.enterContext(TemporaryDirectory())),
            segment_seconds=60,
            fsync_seconds=1,
            grace_seconds=0,
        )
        self.recorder.start()
        self.addCleanup(self.recorder.stop)
        self.call = make_call("connection", started_at=timezone.now())
        make_subscription(self.call, disconnected_at=None, seen_at=timezone.now(), close_code=None)
        self.user = person("olga", password="…")
        self.browser = Client()
        self.browser.force_login(self.user)
        self.places = ListenerSlots()

    def socket(
        self,
        *,
        call_id: UUID | None = None,
        origin: bytes = b"http://testserver",
        logged_in: bool = True,
    ) -> WebsocketCommunicator:
        headers = [(b"origin", origin), (b"host", b"testserver")]
        if logged_in:
            headers.append(
                (b"cookie", f"sessionid={self.browser.cookies['sessionid'].value}".encode())
            )
        listen = SameOrigin(AuthMiddlewareStack(ListenConsumer.as_asgi(places=self.places)))
        door = URLRouter([path("ws/listen/<uuid:call_id>", listen)])  # type: ignore[arg-type]
        return WebsocketCommunicator(door, f"/ws/listen/{call_id or self.call.pk}", headers)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[WebsocketCommunicator]:
        socket = self.socket()
        accepted, _ = await socket.connect(timeout=10)
        self.assertTrue(accepted)
        try:
            yield socket
        finally:
            await socket.disconnect(timeout=10)

    async def refusal(self, socket: WebsocketCommunicator) -> int:
        accepted, code = await socket.connect(timeout=10)
        self.assertFalse(accepted)
        return int(code or 0)

    async def withdraw(self) -> None:
        permission = await Permission.objects.aget(codename="listen_live")
        await self.user.user_permissions.aremove(permission)

    async def closed_with(self, socket: WebsocketCommunicator) -> int:
        while True:
            event = await socket.receive_output(timeout=20)
            if event["type"] == "websocket.close":
                return int(event["code"])

    async def entries(self) -> list[LedgerEntry]:
        return await sync_to_async(lambda: list(LedgerEntry.objects.filter(kind="listening")))()


class TheDoor(ListeningTestCase):
    async def test_it_is_closed_for_whom_nobody_knows(self) -> None:
        self.assertEqual(await self.refusal(self.socket(logged_in=False)), 4401)

    async def test_it_is_closed_without_the_permission(self) -> None:
        await self.withdraw()
        self.assertEqual(await self.refusal(self.socket()), 4403)
        self.assertEqual(await self.entries(), [])

    async def test_it_is_closed_for_pages_of_others(self) -> None:
        self.assertEqual(await self.refusal(self.socket(origin=b"https://evil.example")), 4403)

    async def test_it_is_closed_for_calls_that_are_not_live(self) -> None:
        over = await sync_to_async(make_call)()
        self.assertEqual(await self.refusal(self.socket(call_id=over.pk)), 4410)
        self.assertEqual(await self.refusal(self.socket(call_id=uuid4())), 4410)

    async def test_one_too_many_is_refused_and_there_is_room_when_another_leaves(self) -> None:
        self.places = ListenerSlots(most=1)
        async with self.listening():
            self.assertEqual(await self.refusal(self.socket()), 4503)
        async with self.listening():
            pass

    async def test_the_page_offers_it_to_whoever_may_while_the_call_is_live(self) -> None:
        async def offers() -> bool:
            page = await sync_to_async(self.browser.get)(reverse("call", args=[self.call.pk]))
            return b"<listen-in" in page.content

        self.assertTrue(await offers())
        await self.withdraw()
        self.assertFalse(await offers())


class TheMark(ListeningTestCase):
    async def test_the_page_says_who_listens_while_somebody_does(self) -> None:
        async def says() -> bool:
            page = await sync_to_async(self.browser.get)(reverse("call", args=[self.call.pk]))
            return b"olga listens in" in page.content

        self.assertFalse(await says())
        async with self.listening():
            self.assertTrue(await says())
        long_ago = timezone.now() - timedelta(minutes=1)
        await LedgerEntry.objects.aupdate(started_at=long_ago, ended_at=long_ago)
        self.assertFalse(await says())


class TheMarkOnDashboards(ListeningTestCase):
    async def test_it_is_raised_and_cleared_by_the_news_of_the_process_that_records(self) -> None:
        self.recorder.open("connection", "", ACS)
        async with channel.newsfeed() as next_news:

            async def told(wanted: dict[str, int]) -> None:
                async with asyncio.timeout(10):
                    while (await next_news()).get("listeners") != wanted:
                        pass

            async with self.listening():
                await told({str(self.call.pk): 1})
                await told({str(self.call.pk): 1})  # again, for whoever comes late
            await told({})
        await self.recorder.aclose()


class WhatIsHeard(ListeningTestCase):
    async def test_it_is_what_was_sent_and_nothing_when_it_is_over(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        async with self.listening() as socket:
            await until(lambda: stream.tapped is not None, what="the wish has arrived")
            stream.receive(*(audio(ALICE, LOUD, at=at) for at in range(5)), audio(BOB, SOFT, at=2))
            said: list[dict[str, str]] = []
            parts: dict[UUID, bytes] = {}
            while len(parts) < 2:
                event = await socket.receive_output(timeout=20)
                if event.get("text"):
                    said.append(json.loads(event["text"]))
                else:
                    parts[UUID(bytes=event["bytes"][16:32])] = event["bytes"]
        alice, bob = (identity.participant_id_of(self.call.pk, raw_id) for raw_id in (ALICE, BOB))
        self.assertEqual(parts[alice][32:], LOUD * 5)
        self.assertEqual(parts[bob][32:], SOFT)
        self.assertEqual(int.from_bytes(parts[alice][8:16], "little"), START_US)
        self.assertEqual(int.from_bytes(parts[bob][8:16], "little"), START_US + 40_000)
        voices = [message for message in said if message["type"] == "voice"]
        self.assertEqual(voices[0], {"type": "voice", "id": str(alice), "label": "+15551234567"})
        await until(lambda: stream.tapped is None, what="nothing is copied any more")
        await self.recorder.aclose()

    async def test_other_calls_are_not_copied(self) -> None:
        mine, other = (
            self.recorder.open("connection", "", ACS),
            self.recorder.open("other", "", ACS),
        )
        async with self.listening():
            await until(lambda: mine.tapped is not None)
            self.assertIsNone(other.tapped)
        await self.recorder.aclose()


class TheEnd(ListeningTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(consumer, "WATCH_SECONDS", 0.05))

    async def test_the_ledger_says_who_and_for_how_long(self) -> None:
        async with self.listening():
            [entry] = await self.entries()
            self.assertEqual((entry.call_id, entry.detail), (self.call.pk, {"user": "olga"}))

            async def has_grown() -> bool:
                [now] = await self.entries()
                return bool(now.ended_at and entry.ended_at and now.ended_at > entry.ended_at)

            await until(has_grown, what="the entry grows while somebody listens")
        left_at = timezone.now()
        [entry] = await self.entries()
        assert entry.ended_at
        self.assertLess(abs(left_at - entry.ended_at), timedelta(seconds=5))

    async def test_until_then_the_socket_says_that_it_is_there_however_silent_the_call_is(
        self,
    ) -> None:
        async with self.listening() as socket:
            for _ in range(3):
                event = await socket.receive_output(timeout=20)
                self.assertEqual(json.loads(event["text"]), {"type": "heartbeat"})

    async def test_it_comes_with_the_permission(self) -> None:
        async with self.listening() as socket:
            await self.withdraw()
            self.assertEqual(await self.closed_with(socket), 4403)

    async def test_it_comes_with_the_logout(self) -> None:
        async with self.listening() as socket:
            await sync_to_async(self.browser.logout)()
            self.assertEqual(await self.closed_with(socket), 4401)

    async def test_it_comes_with_the_end_of_the_call(self) -> None:
        async with self.listening() as socket:
            await sync_to_async(Call.objects.all().delete)()
            self.assertEqual(await self.closed_with(socket), 4410)

    async def test_it_comes_when_the_listener_says_too_much(self) -> None:
        async with self.listening() as socket:
            for _message in range(CLIENT_MESSAGES + 1):
                await socket.send_to(text_data="…")
            self.assertEqual(await self.closed_with(socket), 4429)


class TheLease(ListeningTestCase):
    async def test_it_ends_by_itself_when_the_listener_has_died(self) -> None:
        ears, stream = AudioTap(), self.recorder.open("connection", "", ACS)
        now = time.monotonic()
        ears.accept(ListenRequest(call=stream.handshake.call_id, listener="one", listens=True), now)
        ears.collect([stream], now + messages.LEASE_SECONDS - 0.1)
        self.assertIsNotNone(stream.tapped)
        ears.collect([stream], now + messages.LEASE_SECONDS)
        self.assertIsNone(stream.tapped)
        await self.recorder.aclose()

    async def test_it_holds_until_the_last_listener_has_left(self) -> None:
        ears, stream = AudioTap(), self.recorder.open("connection", "", ACS)
        call = stream.handshake.call_id
        for listener in ("one", "two"):
            ears.accept(ListenRequest(call=call, listener=listener, listens=True), 0.0)
        ears.accept(ListenRequest(call=call, listener="one", listens=False), 0.0)
        ears.collect([stream], 1.0)
        self.assertIsNotNone(stream.tapped)
        ears.accept(ListenRequest(call=call, listener="two", listens=False), 1.0)
        ears.collect([stream], 2.0)
        self.assertIsNone(stream.tapped)
        await self.recorder.aclose()

    def test_how_many_listen_is_news_when_it_changes_and_once_a_second_and_once_when_it_is_over(
        self,
    ) -> None:
        ears, calls = AudioTap(), {"mine"}
        self.assertIsNone(
            ears.news(calls, 0.0), "nobody listens: nothing is said, nothing is looked at"
        )
        for call, listener in (("mine", "one"), ("mine", "two"), ("of another process", "three")):
            ears.accept(ListenRequest(call=call, listener=listener, listens=True), 0.0)
        self.assertEqual(ears.news(calls, 0.1), {"mine": 2})
        self.assertIsNone(ears.news(calls, 0.2))
        self.assertEqual(ears.news(calls, 1.1), {"mine": 2})
        ears.accept(ListenRequest(call="mine", listener="one", listens=False), 1.1)
        self.assertEqual(ears.news(calls, 1.2), {"mine": 1})
        self.assertEqual(ears.news(calls, messages.LEASE_SECONDS), {}, "the other one has died")
        self.assertIsNone(ears.news(calls, messages.LEASE_SECONDS + 5))

    async def test_what_waits_for_ears_is_bounded_and_the_newest_stays(self) -> None:
        ears, stream = AudioTap(), self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        ears.accept(ListenRequest(call=stream.handshake.call_id, listener="one", listens=True), 0.0)
        ears.collect([stream], 1.0)
        stream.receive(*(audio(ALICE, LOUD, at=at) for at in range(MAX_PACKETS + 100)))
        [[part]] = ears.collect([stream], 2.0).values()
        self.assertEqual(part["at_us"], START_US + 100 * 20_000)
        self.assertEqual(len(part["pcm"]), MAX_PACKETS * len(LOUD))
        await self.recorder.aclose()


class OverRedis(ListeningTestCase):
    async def test_what_is_heard_passes_it(self) -> None:
        redis = await asyncio.to_thread(lambda: self.enterContext(Redis()))
        channel_layers.set("default", RedisPubSubChannelLayer(hosts=[redis.url]))
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        async with self.listening() as socket:
            await until(lambda: stream.tapped is not None, what="the wish has arrived")
            stream.receive(audio(ALICE, LOUD))
            event = await socket.receive_output(timeout=20)
            while not event.get("bytes"):
                event = await socket.receive_output(timeout=20)
        self.assertEqual(event["bytes"][32:], LOUD)
        await self.recorder.aclose()
