"""Calls on the real application while the clock of the recorder's host steps."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from channels.testing import WebsocketCommunicator

from acsmedia.asgi import Application
from calls.models import Call, LedgerEntry, Participant, database_now
from calls.times import from_microseconds
from streams.acs.auth import HandshakeAuth
from streams.journal.records import Audio, ClockStep, Closed, Handshake
from streams.recorder import Recorder
from streams.simulator import wire
from tests.streams.host_clocks import HOUR, FakeHost
from tests.streams.media_sockets import MediaSocketTestCase, nobody
from tests.streams.streams import ALICE, PACKET, START_US, metadata, read, records_in
from tests.waiting import until

SECOND_US = 1_000_000
STEPS = (-HOUR, HOUR)


class HostClockCase(MediaSocketTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self) -> None:
        """A new recorder on a host whose clock is right, instead of the one before."""
        self.recorder.stop()
        self.host = FakeHost()
        self.recorder = Recorder(
            self.spool,
            segment_seconds=10.0,
            fsync_seconds=0.02,
            grace_seconds=4.0,
            publish=nobody,
            host_clocks=self.host.clocks,
        )
        self.application = Application(self.recorder, HandshakeAuth("off"))

    async def connect(self, connection_id: str) -> WebsocketCommunicator:
        socket = self.socket([(b"x-ms-call-connection-id", connection_id.encode())])
        await socket.connect(timeout=10)
        await socket.send_to(text_data=metadata())
        await self.received(self.stream(), 1)
        return socket

    async def speak(
        self, socket: WebsocketCommunicator, *, begin: int | None, packets: int = 50
    ) -> None:
        """Sends a second of audio in the time of the host, stamped from second `begin` on."""
        stream, sent = self.stream(), self.stream().tally.audio
        for number in range(packets):
            at_us = None if begin is None else START_US + begin * SECOND_US + number * 20_000
            await socket.send_to(text_data=wire.audio_data(at_us, ALICE, PACKET, silent=False))
            while stream.tally.audio <= sent + number:  # noqa: ASYNC110 - iterations, no time
                await asyncio.sleep(0)
            self.host.pass_time(0.02)

    async def end(self, socket: WebsocketCommunicator, code: int) -> None:
        await socket.disconnect(code, timeout=10)
        await until(lambda: not self.recorder._streams)

    def step(self, seconds: float) -> None:
        with self.assertLogs("streams.recorder", "WARNING") as logs:
            self.host.step(seconds)
            self.recorder.tick(101.0, self.host.wall_us)
            self.recorder.tick(101.1, self.host.wall_us)
        [line] = logs.output
        self.assertIn("host clock stepped", line)
        self.assertIn(f"{seconds}", line)


class Journals(HostClockCase):
    """What the journals of a call contain; nothing is sealed."""

    def begin(self) -> None:
        super().begin()
        self.recorder.start()
        running = self.recorder._running
        assert running
        running.sealer.stop(10)

    async def test_a_step_is_a_record_and_no_other_time_steps(self) -> None:
        for seconds in STEPS:
            self.begin()
            socket = await self.connect(f"step {seconds}")
            await self.speak(socket, begin=0)
            self.step(seconds)
            await self.speak(socket, begin=1)
            await self.end(socket, 1000)
            records = records_in(self.spool)
            arrived = [one.arrived_us for one in records if isinstance(one, Audio)]
            self.assertEqual(arrived, [START_US + number * 20_000 for number in range(100)])
            [step] = [one for one in records if isinstance(one, ClockStep)]
            self.assertEqual(step, ClockStep(START_US + SECOND_US, round(seconds * SECOND_US)))
            [closed] = [one for one in records if isinstance(one, Closed)]
            self.assertEqual(closed.at_us, START_US + 2 * SECOND_US)
            self.stop()
            self.empty_spool()

    async def test_a_later_socket_has_the_clock_of_the_call_and_the_steps_so_far(self) -> None:
        first = await self.connect("call")
        await self.speak(first, begin=0)
        self.step(-HOUR)
        await self.end(first, 1011)
        with self.assertLogs("streams.recorder", "WARNING"):  # no socket was open, so no tick
            self.host.step(-60)
            second = await self.connect("call")
        other = self.stream()
        handshake = other.handshake
        self.assertEqual(handshake.connected_at_us, START_US + SECOND_US)
        await self.end(second, 1000)
        records = list(self.records_of(handshake.stream_id))
        self.assertIsInstance(records[0], Handshake)
        self.assertEqual(records[1], ClockStep(START_US + SECOND_US, -3660 * SECOND_US))

    async def test_a_new_call_has_the_new_time_of_the_host(self) -> None:
        self.recorder.tick(100.0, START_US)
        self.step(HOUR)
        socket = await self.connect("call")
        self.assertEqual(self.stream().handshake.connected_at_us, START_US + 3600 * SECOND_US)
        await self.end(socket, 1000)
        steps = [one for one in records_in(self.spool) if isinstance(one, ClockStep)]
        self.assertEqual(steps, [])

    def records_of(self, stream_id: str) -> list[object]:
        return [one for path in self.spool.rglob(f"{stream_id}.*") for one in read(path)]

    def empty_spool(self) -> None:
        for path in [*self.spool.rglob("*.journal")]:
            path.unlink()


class Calls(HostClockCase):
    """What becomes of the calls."""

    async def test_a_call_with_a_reconnect_ends_as_its_last_socket(self) -> None:
        for seconds in STEPS:
            for is_stamped in (True, False):
                with self.subTest(seconds=seconds, is_stamped=is_stamped):
                    await self.call_with_a_reconnect(seconds, is_stamped=is_stamped)

    async def call_with_a_reconnect(self, seconds: float, *, is_stamped: bool) -> None:
        self.begin()
        connection_id = f"{seconds} {is_stamped}"
        first = await self.connect(connection_id)
        await self.speak(first, begin=0 if is_stamped else None)
        self.step(seconds)
        await self.speak(first, begin=1 if is_stamped else None)
        await self.end(first, 1011)
        second = await self.connect(connection_id)
        await self.speak(second, begin=2 if is_stamped else None)
        await self.end(second, 1000)
        sealed = Call.objects.filter(call_connection_id=connection_id).with_state(database_now())
        sockets = sealed.values_list(
            "subscriptions__close_code", "subscriptions__disconnected_at"
        ).order_by("subscriptions__position")

        async def is_sealed() -> bool:
            found = [one async for one in sockets.all()]
            return len(found) == 2 and all(end is not None for _, end in found)

        await until(is_sealed)
        self.assertEqual([code async for code, _ in sockets.all()], [1011, 1000])
        call = await sealed.aget()
        self.assertEqual(
            (call.state, call.ended_at), ("ended", from_microseconds(START_US + 3 * SECOND_US))
        )
        track = await Participant.objects.aget(call=call)
        assert track.heard_at
        assert track.heard_until
        self.assertEqual(track.heard_until - track.heard_at, timedelta(seconds=3))
        gaps = LedgerEntry.objects.gaps().filter(call=call)
        self.assertEqual(await gaps.acount(), 0)
        self.stop()
