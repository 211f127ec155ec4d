"""How media sockets end, with the frames of a client that is not a library, on both servers."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any, ClassVar

from django.test import SimpleTestCase, tag

from acsmedia.servers.commands import MESSAGE_BYTES
from streams.simulator.scenario.schedule import AudioFormat
from streams.simulator.wire import audio_data, audio_metadata
from tests.end_to_end.installation import CALLER, Rest, running
from tests.servers import Server
from tests.torture.media_socket import CLOSE, CONTINUATION, TEXT, MediaSocket, frame
from tests.waiting import wait_until

START_US = 1_790_000_000_000_000
PACKET = bytes(range(1, 65)) * 10


def setUpModule() -> None:
    for test_case, kind in ((OnDaphne, "daphne"), (OnUvicorn, "uvicorn")):
        test_case.server, test_case.rest = unittest.enterModuleContext(
            running(kind, {"RECONNECT_GRACE_SECONDS": "2"})
        )


class Closes:
    """The tests, for one server."""

    server: ClassVar[Server]
    rest: ClassVar[Rest]
    assertEqual: Any  # noqa: N815 - of TestCase

    async def opened(self, connection_id: str, start_seconds: int = 0) -> MediaSocket:
        """Returns a socket on which half a second of audio has been sent."""
        client = await MediaSocket.open(
            self.server.media_url, {"x-ms-call-connection-id": connection_id}
        )
        await client.send(audio_metadata("subscription", AudioFormat(16_000, 640)))
        for number in range(25):
            at_us = START_US + start_seconds * 1_000_000 + number * 20_000
            await client.send(audio_data(at_us, CALLER, PACKET, silent=False))
        return client

    async def test_a_close_without_a_code_is_a_normal_end(self) -> None:
        for start_seconds in (0, 3):
            client = await self.opened("without-a-code", start_seconds)
            await client.send_raw(frame(CLOSE, b""))
            await client.closed.wait()
            await client.abort()
        call = await asyncio.to_thread(self.rest.over, "without-a-code")
        self.assertEqual([one["close_code"] for one in call["subscriptions"]], [1005, 1005])
        self.assertEqual(call["state"], "ended")
        [gap] = self.rest.manifest(call)[CALLER]["gaps"]
        self.assertEqual((gap["start"], gap["end"], gap["reason"]), (0.5, 3.0, "not_connected"))

    async def test_a_socket_after_the_end_of_a_call_begins_a_linked_call(self) -> None:
        connection_id = "continued"
        for number in range(2):
            client = await self.opened(connection_id, 60 * number)
            await client.send_raw(frame(CLOSE, b"\x03\xe8"))
            await client.closed.wait()
            await client.abort()
            calls = await asyncio.to_thread(self.ended_calls, connection_id, number + 1)
        second, first = calls  # newest first
        self.assertEqual(
            (first["continued_in"], second["continued_from"]), (second["id"], first["id"])
        )
        self.assertEqual((first["continued_from"], second["continued_in"]), (None, None))
        for call in calls:
            self.assertEqual(call["duration_seconds"], 0.5)
            self.assertEqual(self.rest.manifest(call)[CALLER]["gaps"], [])

    def ended_calls(self, connection_id: str, number: int) -> list[dict[str, Any]]:
        """Waits until the connection id has that many calls, all ended and sealed."""

        def calls() -> list[dict[str, Any]] | None:
            found = self.rest.calls(connection_id)
            waiting = [*(self.server.data_dir / "spool").glob("*/*.journal")]
            are_over = not waiting and all(call["state"] == "ended" for call in found)
            return found if are_over and len(found) == number else None

        return wait_until(calls, what=lambda: f"{number} ended calls: {self.server.log[-4000:]}")

    async def test_a_message_beyond_the_limit_is_answered_with_1009(self) -> None:
        for pieces in (1, 100):
            connection_id = f"too-long-in-{pieces}"
            client = await self.opened(connection_id)
            text = b"x" * (40 * MESSAGE_BYTES // pieces)  # more than the buffers of the kernel
            for index in range(pieces):
                kind = CONTINUATION if index else TEXT
                await client.send_raw(frame(kind, text, final=index == pieces - 1))
            await client.closed.wait()
            self.assertEqual(client.close_code, 1009)
            await client.abort()
            call = await asyncio.to_thread(self.rest.over, connection_id)
            self.assertEqual([one["close_code"] for one in call["subscriptions"]], [1009])
            self.assertEqual((call["state"], call["duration_seconds"]), ("interrupted", 0.5))


@tag("once")
class OnDaphne(Closes, SimpleTestCase):
    pass


@tag("once")
class OnUvicorn(Closes, SimpleTestCase):
    pass
