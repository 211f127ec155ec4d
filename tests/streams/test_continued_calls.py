"""Sockets that name the connection id of an ended call, on the real application."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from channels.testing import WebsocketCommunicator
from django.db import OperationalError
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from acsmedia.asgi import Application
from calls.models import Call, Segment, Subscription
from streams.acs.auth import HandshakeAuth
from streams.acs.messages import ACS
from streams.call_lookup import Answers, CallLookup, Question, find_calls
from streams.ingest.call_chains import NO_CALL
from streams.ingest.stream import Stream
from streams.recorder import Recorder
from tests.streams.host_clocks import FakeHost
from tests.streams.media_sockets import CONNECTION, MediaSocketTestCase, nobody
from tests.streams.streams import audio, metadata
from tests.waiting import until

GRACE = 4.0


def away(_questions: object) -> Answers:
    raise OperationalError("the server is down")


@override_settings(RECONNECT_GRACE_SECONDS=GRACE)
class ContinuedCalls(MediaSocketTestCase):
    """The time of the recorder's host passes when a test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.host, self.opened = FakeHost(), list[Stream]()
        self.begin()

    def begin(self, *, database_is_away: bool = False) -> None:
        """Replaces the recorder by that of a new process."""
        self.recorder.stop()
        self.recorder = Recorder(
            self.spool,
            segment_seconds=10.0,
            fsync_seconds=0.02,
            grace_seconds=GRACE,
            publish=nobody,
            lookup=CallLookup(away if database_is_away else partial(find_calls, self.spool)),
            host_clocks=self.host.clocks,
        )
        self.application = Application(self.recorder, HandshakeAuth("off"))

    async def open(self) -> tuple[WebsocketCommunicator, str]:
        """Opens a socket that speaks; returns it with the id of its call."""
        socket = self.socket()
        before = set(self.recorder._streams)
        accepted, _ = await socket.connect(timeout=10)
        self.assertTrue(accepted)
        [stream] = set(self.recorder._streams) - before
        self.opened.append(stream)
        await socket.send_to(text_data=metadata())
        await socket.send_to(text_data=audio())
        await self.received(stream, 2)
        self.assertIn(stream.handshake.call_id, self.recorder.board)
        return socket, stream.handshake.call_id

    async def record(self) -> str:
        """Opens and closes a socket; returns the id of its call."""
        socket, call_id = await self.open()
        await self.close(socket)
        return call_id

    async def close(self, socket: WebsocketCommunicator) -> None:
        number = len(self.recorder._streams)
        await socket.disconnect(1000, timeout=10)
        await until(lambda: len(self.recorder._streams) == number - 1)

    async def sealed(self, sockets: int) -> dict[str, int]:
        """Waits until all sockets are sealed; returns their number by call."""

        async def is_sealed() -> bool:
            ended = Subscription.objects.exclude(disconnected_at=None)
            return await ended.acount() == sockets and not list(self.spool.glob("*/*.journal"))

        await until(is_sealed)
        return {
            str(call.pk): await call.subscriptions.acount() async for call in Call.objects.all()
        }

    async def test_a_socket_after_the_grace_time_begins_a_linked_call(self) -> None:
        first = await self.record()
        self.host.pass_time(GRACE - 0.1)
        self.assertEqual(await self.record(), first)
        self.host.pass_time(GRACE)
        socket, second = await self.open()
        other, third = await self.open()  # at the same time
        await self.close(socket)
        await self.close(other)
        self.assertEqual(second, third)
        self.assertEqual(await self.sealed(4), {first: 2, second: 2})
        calls = {str(one.pk): one async for one in Call.objects.for_rest(timezone.now())}
        self.assertEqual(
            (calls[first].continued_from, calls[first].continued_in), (None, UUID(second))
        )
        self.assertEqual(
            (calls[second].continued_from, calls[second].continued_in), (UUID(first), None)
        )
        self.assertEqual(calls[second].call_connection_id, CONNECTION)

    async def test_the_database_is_asked_only_what_the_process_does_not_know(self) -> None:
        asked: list[Question] = []

        def ask(questions: Sequence[Question]) -> Answers:
            asked.extend(questions)
            return {}

        self.recorder._lookup = CallLookup(ask)
        await self.record()
        await self.record()  # within the grace time
        self.assertEqual([one.closed_ids for one in asked], [[]])
        self.host.pass_time(GRACE)
        await self.record()
        sockets = {one.handshake.stream_id for one in self.opened}
        self.assertEqual(len(sockets), 3)
        self.assertEqual([{*one.closed_ids} < sockets for one in asked], [True, True])
        self.assertEqual(len(asked[-1].closed_ids), 2)
        self.assertEqual(await self.recorder.find_call("", ACS), NO_CALL)
        self.assertEqual(len(asked), 2, "sockets without a connection id have nothing in common")

    async def test_a_step_of_the_clock_ends_no_call(self) -> None:
        first = await self.record()
        for seconds in (3600, -7200):
            self.host.step(seconds)
            with self.assertLogs("streams.recorder", "WARNING"):
                self.assertEqual(await self.record(), first)

    async def test_a_new_process_asks_the_database(self) -> None:
        first = await self.record()
        await self.sealed(1)
        now = timezone.now()
        await Subscription.objects.aupdate(seen_at=now, end_seen_at=now)
        self.begin()
        self.assertEqual(await self.record(), first, "its end became a row just now")
        await self.sealed(2)
        await self.make_rows_old()
        self.begin()
        second = await self.record()
        self.assertNotEqual(second, first)
        self.assertEqual(await self.sealed(3), {first: 2, second: 1})

    async def make_rows_old(self) -> None:
        """As if the sockets had been sealed when they ended, in 2022."""
        ended = F("disconnected_at")
        await Subscription.objects.aupdate(seen_at=ended, end_seen_at=ended)

    async def test_a_process_that_was_killed_has_not_ended_its_calls(self) -> None:
        first = await self.record()
        await self.sealed(1)
        await self.make_rows_old()
        await Subscription.objects.aupdate(disconnected_at=None, seen_at=timezone.now())
        self.begin()
        self.assertEqual(await self.record(), first)

    async def test_without_the_database_the_sealer_decides(self) -> None:
        first = await self.record()
        await self.sealed(1)
        await self.make_rows_old()
        self.begin(database_is_away=True)
        self.host.pass_time(2 * GRACE)
        with self.assertLogs("streams.call_lookup", "WARNING"):
            socket, guess = await self.open()
            other, _ = await self.open()
        self.assertEqual(guess, first)
        await self.close(socket)
        await self.close(other)
        counts = await self.sealed(3)
        self.assertEqual(counts.pop(first), 1)
        [(second, sockets)] = counts.items()
        self.assertEqual(sockets, 2)
        call = await Call.objects.aget(pk=second)
        self.assertEqual((str(call.continued_from_id), call.continuation), (first, 1))
        segments = Segment.objects.filter(participant__call=call)
        self.assertEqual(await segments.acount(), 1)
