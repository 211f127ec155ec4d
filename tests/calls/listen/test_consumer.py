"""Listening in: access, audio, the ledger entry, the end, the lease."""

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
from django.db import OperationalError
from django.test import Client, SimpleTestCase, TransactionTestCase
from django.urls import path, reverse
from django.utils import timezone

from calls import identity
from calls.listen import consumer, messages
from calls.listen.consumer import ListenConsumer, ListenerSlots
from calls.listen.messages import AudioChunk, ListenRequest
from calls.live import channel
from calls.live.origin import SameOrigin
from calls.live.sockets import MAX_CLIENT_MESSAGES
from calls.models import AuditEntry, Call, LedgerEntry
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


class TheChunk(SimpleTestCase):
    def test_it_is_encoded_as_the_page_reads_it(self) -> None:
        known = json.loads((JS / "part.json").read_text())
        arrived_us = 2_000_000_000_000_000
        pcm = b"\x00\x80\x00\x40\x00\x00"
        chunk = AudioChunk(
            participant=known["id"],
            raw_id=ALICE,
            rate=16_000,
            at_us=1_664_824_572_925_000,
            arrived_us=arrived_us,
            pcm=pcm,
        )
        self.assertEqual(messages.binary_of(chunk, arrived_us + 250_000).hex(), known["hex"])


class ListeningTestCase(TransactionTestCase):
    """A call that is live in the database and in a recorder of this process, and a user who may
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
        self.slots = ListenerSlots()

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
        listen = SameOrigin(AuthMiddlewareStack(ListenConsumer.as_asgi(slots=self.slots)))
        router = URLRouter([path("ws/listen/<uuid:call_id>", listen)])  # type: ignore[arg-type]
        return WebsocketCommunicator(router, f"/ws/listen/{call_id or self.call.pk}", headers)

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

    async def withdraw_permission(self) -> None:
        permission = await Permission.objects.aget(codename="listen_live")
        await self.user.user_permissions.aremove(permission)

    async def close_code(self, socket: WebsocketCommunicator) -> int:
        while True:
            event = await socket.receive_output(timeout=20)
            if event["type"] == "websocket.close":
                return int(event["code"])

    async def entries(self) -> list[LedgerEntry]:
        return await sync_to_async(lambda: list(LedgerEntry.objects.filter(kind="listening")))()


class Access(ListeningTestCase):
    async def test_is_refused_without_a_login(self) -> None:
        self.assertEqual(await self.refusal(self.socket(logged_in=False)), 4401)

    async def test_is_refused_without_the_permission(self) -> None:
        await self.withdraw_permission()
        self.assertEqual(await self.refusal(self.socket()), 4403)
        self.assertEqual(await self.entries(), [])

    async def test_is_refused_to_pages_of_other_origins(self) -> None:
        self.assertEqual(await self.refusal(self.socket(origin=b"https://evil.example")), 4403)

    async def test_is_refused_for_calls_that_are_not_live(self) -> None:
        ended = await sync_to_async(make_call)()
        self.assertEqual(await self.refusal(self.socket(call_id=ended.pk)), 4410)
        self.assertEqual(await self.refusal(self.socket(call_id=uuid4())), 4410)

    async def test_is_refused_to_one_listener_too_many_until_another_leaves(self) -> None:
        self.slots = ListenerSlots(each=1)
        async with self.listening():
            self.assertEqual(await self.refusal(self.socket()), 4503)
        async with self.listening():
            pass

    async def test_is_refused_without_an_entry_in_the_audit(self) -> None:
        with mock.patch("calls.listen.consumer.record", side_effect=OperationalError):
            self.assertEqual(await self.refusal(self.socket()), 4503)
        self.assertEqual(await self.entries(), [], "the ledger has none either")

    async def test_is_offered_by_the_page_to_users_who_may_listen(self) -> None:
        async def offers() -> bool:
            page = await sync_to_async(self.browser.get)(reverse("call", args=[self.call.pk]))
            return b"<listen-in" in page.content

        self.assertTrue(await offers())
        await self.withdraw_permission()
        self.assertFalse(await offers())


class TheMark(ListeningTestCase):
    async def test_the_page_names_the_listeners(self) -> None:
        async def is_shown() -> bool:
            page = await sync_to_async(self.browser.get)(reverse("call", args=[self.call.pk]))
            return b"olga is listening in" in page.content

        self.assertFalse(await is_shown())
        async with self.listening():
            self.assertTrue(await is_shown())
        long_ago = timezone.now() - timedelta(minutes=1)
        await LedgerEntry.objects.aupdate(started_at=long_ago, ended_at=long_ago)
        self.assertFalse(await is_shown())


class TheMarkOnDashboards(ListeningTestCase):
    async def test_it_is_set_and_cleared_by_the_news_of_the_recording_process(self) -> None:
        self.recorder.open("connection", "", ACS)
        async with channel.newsfeed() as next_news:

            async def published(wanted: dict[str, int]) -> None:
                async with asyncio.timeout(10):
                    while (await next_news()).get("listeners") != wanted:
                        pass

            async with self.listening():
                await published({str(self.call.pk): 1})
                await published({str(self.call.pk): 1})  # again, for dashboards opened later
            await published({})
        await self.recorder.aclose()


class TheAudio(ListeningTestCase):
    async def test_it_is_the_received_one_and_the_tap_ends_with_the_socket(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        async with self.listening() as socket:
            await until(lambda: stream.tapped is not None, what="the request has arrived")
            stream.receive(*(audio(ALICE, LOUD, at=at) for at in range(5)), audio(BOB, SOFT, at=2))
            texts: list[dict[str, str]] = []
            chunks: dict[UUID, bytes] = {}
            while len(chunks) < 2:
                event = await socket.receive_output(timeout=20)
                if event.get("text"):
                    texts.append(json.loads(event["text"]))
                else:
                    chunks[UUID(bytes=event["bytes"][16:32])] = event["bytes"]
        alice, bob = (identity.participant_id_of(self.call.pk, raw_id) for raw_id in (ALICE, BOB))
        self.assertEqual(chunks[alice][32:], LOUD * 5)
        self.assertEqual(chunks[bob][32:], SOFT)
        self.assertEqual(int.from_bytes(chunks[alice][8:16], "little"), START_US)
        self.assertEqual(int.from_bytes(chunks[bob][8:16], "little"), START_US + 40_000)
        voices = [message for message in texts if message["type"] == "voice"]
        self.assertEqual(voices[0], {"type": "voice", "id": str(alice), "label": "+15551234567"})
        await until(lambda: stream.tapped is None, what="the tap has ended")
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
        self.enterContext(mock.patch.object(consumer, "CHECK_SECONDS", 0.05))

    async def test_the_ledger_has_the_user_and_the_duration(self) -> None:
        async with self.listening():
            [entry] = await self.entries()
            self.assertEqual((entry.call_id, entry.detail), (self.call.pk, {"user": "olga"}))
            audit = await AuditEntry.objects.aget()
            self.assertEqual((audit.action, audit.call), ("listened_live", self.call.pk))
            self.assertEqual((audit.actor_name, audit.detail), ("olga", {"entry": str(entry.pk)}))

            async def has_grown() -> bool:
                [now] = await self.entries()
                return bool(now.ended_at and entry.ended_at and now.ended_at > entry.ended_at)

            await until(has_grown, what="the entry grows meanwhile")
        left_at = timezone.now()
        [entry] = await self.entries()
        assert entry.ended_at
        self.assertLess(abs(left_at - entry.ended_at), timedelta(seconds=5))

    async def test_until_then_a_silent_call_sends_heartbeats(self) -> None:
        async with self.listening() as socket:
            for _ in range(3):
                event = await socket.receive_output(timeout=20)
                self.assertEqual(json.loads(event["text"]), {"type": "heartbeat"})

    async def test_it_comes_when_the_permission_is_withdrawn(self) -> None:
        async with self.listening() as socket:
            await self.withdraw_permission()
            self.assertEqual(await self.close_code(socket), 4403)

    async def test_it_comes_with_the_logout(self) -> None:
        async with self.listening() as socket:
            await sync_to_async(self.browser.logout)()
            self.assertEqual(await self.close_code(socket), 4401)

    async def test_it_comes_with_the_end_of_the_call(self) -> None:
        async with self.listening() as socket:
            await sync_to_async(Call.objects.all().delete)()
            self.assertEqual(await self.close_code(socket), 4410)

    async def test_it_comes_when_the_browser_sends_too_many_messages(self) -> None:
        async with self.listening() as socket:
            for _message in range(MAX_CLIENT_MESSAGES + 1):
                await socket.send_to(text_data="…")
            self.assertEqual(await self.close_code(socket), 4429)


class TheLease(ListeningTestCase):
    async def test_it_expires_when_the_listener_has_died(self) -> None:
        tap, stream = AudioTap(), self.recorder.open("connection", "", ACS)
        now = time.monotonic()
        tap.accept(ListenRequest(call=stream.handshake.call_id, listener="one", listens=True), now)
        tap.collect([stream], now + messages.LEASE_SECONDS - 0.1)
        self.assertIsNotNone(stream.tapped)
        tap.collect([stream], now + messages.LEASE_SECONDS)
        self.assertIsNone(stream.tapped)
        await self.recorder.aclose()

    async def test_it_holds_until_the_last_listener_has_left(self) -> None:
        tap, stream = AudioTap(), self.recorder.open("connection", "", ACS)
        call = stream.handshake.call_id
        for listener in ("one", "two"):
            tap.accept(ListenRequest(call=call, listener=listener, listens=True), 0.0)
        tap.accept(ListenRequest(call=call, listener="one", listens=False), 0.0)
        tap.collect([stream], 1.0)
        self.assertIsNotNone(stream.tapped)
        tap.accept(ListenRequest(call=call, listener="two", listens=False), 1.0)
        tap.collect([stream], 2.0)
        self.assertIsNone(stream.tapped)
        await self.recorder.aclose()

    def test_the_number_of_listeners_is_news_when_it_changes_and_once_a_second(self) -> None:
        tap, calls = AudioTap(), {"mine"}
        self.assertIsNone(tap.news(calls, 0.0), "without listeners there are no news")
        for call, listener in (("mine", "one"), ("mine", "two"), ("of another process", "three")):
            tap.accept(ListenRequest(call=call, listener=listener, listens=True), 0.0)
        self.assertEqual(tap.news(calls, 0.1), {"mine": 2})
        self.assertIsNone(tap.news(calls, 0.2))
        self.assertEqual(tap.news(calls, 1.1), {"mine": 2})
        tap.accept(ListenRequest(call="mine", listener="one", listens=False), 1.1)
        self.assertEqual(tap.news(calls, 1.2), {"mine": 1})
        self.assertEqual(tap.news(calls, messages.LEASE_SECONDS), {}, "the other one has died")
        self.assertIsNone(tap.news(calls, messages.LEASE_SECONDS + 5))

    async def test_waiting_audio_is_bounded_and_the_newest_stays(self) -> None:
        tap, stream = AudioTap(), self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        tap.accept(ListenRequest(call=stream.handshake.call_id, listener="one", listens=True), 0.0)
        tap.collect([stream], 1.0)
        stream.receive(*(audio(ALICE, LOUD, at=at) for at in range(MAX_PACKETS + 100)))
        [[chunk]] = tap.collect([stream], 2.0).values()
        self.assertEqual(chunk["at_us"], START_US + 100 * 20_000)
        self.assertEqual(len(chunk["pcm"]), MAX_PACKETS * len(LOUD))
        await self.recorder.aclose()


class OverRedis(ListeningTestCase):
    async def test_audio_arrives(self) -> None:
        redis = await asyncio.to_thread(lambda: self.enterContext(Redis()))
        channel_layers.set("default", RedisPubSubChannelLayer(hosts=[redis.url]))
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        async with self.listening() as socket:
            await until(lambda: stream.tapped is not None, what="the request has arrived")
            stream.receive(audio(ALICE, LOUD))
            event = await socket.receive_output(timeout=20)
            while not event.get("bytes"):
                event = await socket.receive_output(timeout=20)
        self.assertEqual(event["bytes"][32:], LOUD)
        await self.recorder.aclose()
