"""Consequences of events: ended calls on dashboards, names of participants."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from django.test import AsyncClient, TestCase, TransactionTestCase
from django.utils import timezone

from acsmedia.asgi import Application
from calls.coverage.stored_events.names import CallIds, calls_of, name_participants
from calls.live import channel
from calls.live.messages import News
from calls.models import Call, CallEvent, Participant, database_now
from calls.times import iso_text
from streams.acs.auth import HandshakeAuth
from streams.acs.webhooks.authentication import CallbackAuth, GridAuth
from streams.acs.webhooks.effects import apply_names, report, reported_ends
from streams.acs.webhooks.parsing import parse
from streams.acs.webhooks.storage import store
from streams.recorder import Recorder
from tests.calls.rows import make_call, make_participant, make_subscription
from tests.streams.acs.webhooks.samples import (
    ANN,
    BEN,
    CONNECTION,
    CORRELATION,
    at,
    body_of,
    callback,
    grid_event,
    incoming_call,
)
from tests.streams.acs.webhooks.test_views import CALLBACKS, installed
from tests.streams.media_sockets import MediaSocketTestCase
from tests.streams.streams import audio, metadata
from tests.waiting import until


def receive(*events: dict[str, Any]) -> None:
    """Stores events as the webhooks do, without HTTP."""
    batch, now = parse(body_of(*events)), timezone.now()
    store(CallEvent.Source.CALLBACK, batch.events, now)
    apply_names(batch.events, now)


class EndedCalls(MediaSocketTestCase):
    def setUp(self) -> None:
        super().setUp()
        channel_layers.backends.clear()  # the layer of another test has a closed event loop
        self.addCleanup(channel_layers.backends.clear)
        self.news: list[News] = []

        async def publish(news: News) -> None:
            self.news.append(news)

        self.recorder = Recorder(
            self.spool, segment_seconds=10.0, fsync_seconds=0.02, grace_seconds=60, publish=publish
        )
        self.application = Application(self.recorder, HandshakeAuth("off"))
        self.enterContext(installed(CallbackAuth(None, is_open=True), GridAuth()))

    def ended(self) -> list[Any]:
        return [call for news in self.news for call in news.get("ended", ())]

    async def report(self, *events: dict[str, Any]) -> None:
        response = await AsyncClient().post(
            CALLBACKS, body_of(*events), content_type="application/json"
        )
        self.assertEqual(response.status_code, 200)

    async def test_leave_dashboards_at_once_and_are_recorded_to_the_end(self) -> None:
        headers = [
            (b"x-ms-call-connection-id", CONNECTION.encode()),
            (b"x-ms-call-correlation-id", CORRELATION.encode()),
        ]
        async with self.connected(headers) as socket:
            await socket.send_to(text_data=metadata())
            await socket.send_to(text_data=audio(ANN, at=0))
            await self.received(self.stream(), 2)
            await until(lambda: any(news.get("calls") for news in self.news))
            event = callback("CallDisconnected")
            event["time"] = iso_text(timezone.now())
            async with asyncio.timeout(30):
                while not self.ended():  # ACS repeats events, too; the recorder may be joining
                    await self.report(event)
                    await asyncio.sleep(0.1)
            [call] = self.ended()
            self.assertEqual((call["state"], call["call_connection_id"]), ("ended", CONNECTION))
            await socket.send_to(text_data=audio(ANN, at=1))
            await self.received(self.stream(), 3)
            self.assertTrue(self.recorder._has_work, "its journal is still rotated")

        def has_ended() -> bool:
            calls = Call.objects.with_state(database_now())
            return calls.filter(state="ended").exists()  # type: ignore[misc]  # annotated

        await until(sync_to_async(has_ended), what="ended within the grace time")


class Reports(TestCase):
    def test_name_the_call_and_no_later_moment_than_now(self) -> None:
        events = [
            callback("CallDisconnected", 60),
            grid_event("CallEnded", 61),
            callback("CallConnected"),
        ]
        batch = parse(body_of(*events))
        self.assertEqual(
            reported_ends(batch.events, at(60.5)),
            [
                {
                    "call_connection_id": CONNECTION,
                    "correlation_id": "",
                    "at": iso_text(at(60)),
                },
                {
                    "call_connection_id": "",
                    "correlation_id": CORRELATION,
                    "at": iso_text(at(60.5)),
                },
            ],
        )

    async def test_are_dropped_while_redis_is_away(self) -> None:
        noted: list[BaseException] = []
        with (
            patch.object(channel, "report_ends", side_effect=ConnectionError),
            patch.object(channel.layer_outage, "note", noted.append),
        ):
            await report([{"call_connection_id": "x", "correlation_id": "", "at": "x"}])
            await report([])
        self.assertEqual(len(noted), 1)


class Names(TestCase):
    def setUp(self) -> None:
        self.call = make_call(CONNECTION, correlation_id=CORRELATION)

    def name(self, raw_id: str = BEN) -> str:
        return Participant.objects.get(call=self.call, raw_id=raw_id).display_name

    def test_come_from_events_after_the_row(self) -> None:
        make_participant(self.call, BEN)
        receive(incoming_call())
        self.assertEqual(self.name(), "Ben Doe")

    def test_come_from_events_before_the_row(self) -> None:
        receive(incoming_call())
        make_participant(self.call, BEN)
        name_participants([self.call.pk])
        self.assertEqual(self.name(), "Ben Doe")

    def test_come_by_the_server_id_once_a_callback_links_it(self) -> None:
        Call.objects.filter(pk=self.call.pk).update(correlation_id="another")
        make_participant(self.call, BEN)
        receive(incoming_call())
        self.assertEqual(self.name(), "")
        receive(callback("CallConnected", correlationId="another"))
        self.assertEqual(self.name(), "Ben Doe")

    def test_of_people_are_not_replaced(self) -> None:
        make_participant(self.call, BEN)
        Participant.objects.filter(raw_id=BEN).name_by_person("Dr. Doe")
        receive(incoming_call())
        self.assertEqual(self.name(), "Dr. Doe")

    def test_are_the_newest_whatever_the_order(self) -> None:
        make_participant(self.call, ANN)
        joined = [
            grid_event("CallParticipantAdded", second, user={"rawId": ANN}, displayName=name)
            for second, name in ((2, "Ann B."), (1, "Ann"))
        ]
        receive(joined[0])
        receive(joined[1])
        self.assertEqual(self.name(ANN), "Ann B.")

    def test_of_other_calls_are_not_used(self) -> None:
        other = make_call("another")
        make_participant(other, BEN)
        make_participant(self.call, BEN)
        receive(incoming_call())
        self.assertEqual(Participant.objects.get(call=other).display_name, "")

    def test_without_ids_concern_no_call(self) -> None:
        make_call("", call_connection_id="", correlation_id="")
        self.assertEqual(calls_of([CallIds("", "", "")]), [])


class NamesOfNewRows(TransactionTestCase):
    def test_are_found_when_the_sealer_writes_participants(self) -> None:
        from streams.sealing import participants

        call = make_call(CONNECTION, correlation_id=CORRELATION)
        make_subscription(call)
        receive(incoming_call())
        made = make_participant(call, BEN)
        voice = (call.pk, made.pk, BEN)
        made.delete()
        participants.add_missing({voice: (None, None, 0)})
        self.assertEqual(Participant.objects.get(pk=voice[1]).display_name, "Ben Doe")
        Participant.objects.all().delete()
        participants.write({voice: (None, None, 0)})
        self.assertEqual(Participant.objects.get(pk=voice[1]).display_name, "Ben Doe")
