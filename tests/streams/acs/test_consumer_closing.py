"""Ends of ACS's socket: closed by either side or by a shutdown, and the documented close codes."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

from django.test import SimpleTestCase
from django.utils import timezone

from acsmedia.roles import MISDIRECTED
from acsmedia.wrong_addresses import NOT_FOUND
from calls.models import Call, Subscription
from streams.acs import auth
from streams.acs import consumer as consumers
from streams.ingest.stream import NO_MEDIA_MESSAGES
from streams.journal.records import Closed
from tests.servers import ROOT
from tests.streams.media_sockets import CONNECTION, MediaSocketTestCase
from tests.streams.streams import audio, metadata, read, records_in
from tests.waiting import until


class ServerCloses(MediaSocketTestCase):
    async def test_unsupported_audio_with_the_reason(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        await socket.send_to(text_data=metadata(encoding="OPUS"))
        self.assertEqual(
            await self.closed(socket), (4415, "audioMetadata: encoding: only PCM can be recorded")
        )
        closed = records_in(self.spool)[-1]
        assert isinstance(closed, Closed)
        self.assertEqual(
            (closed.code, closed.reason),
            (4415, "audioMetadata: encoding: only PCM can be recorded"),
        )

    async def test_a_socket_after_a_thousand_messages_without_media(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        for _ in range(NO_MEDIA_MESSAGES):
            await socket.send_to(text_data="nothing")
        self.assertEqual(await self.closed(socket), (4422, "no media in the first messages"))
        self.assertEqual(self.recorder.stats().messages["malformed"], NO_MEDIA_MESSAGES)

    async def test_no_socket_that_has_sent_media(self) -> None:
        async with self.connected() as socket:
            open_stream = self.stream()
            await socket.send_to(text_data=audio())
            for _ in range(NO_MEDIA_MESSAGES + 10):
                await socket.send_to(text_data="nothing")
            await self.received(open_stream, NO_MEDIA_MESSAGES + 11)
            self.assertTrue(socket.output_queue.empty())
            self.assertIsNone(open_stream.closed)


class ClientCloses(MediaSocketTestCase):
    async def ended(self, *last: dict[str, Any]) -> Closed:
        """Returns the `Closed` record of a socket that ends with these messages."""
        socket = self.socket()
        await socket.connect(timeout=10)
        assert self.recorder._running
        self.recorder._running.sealer.stop(10)  # keeps the journal for the check below
        [journal] = self.spool.glob(f"*/{self.stream().handshake.stream_id}.*")
        for message in ({"type": "websocket.receive", "text": audio()}, *last):
            await socket.send_input(message)
        await socket.wait(timeout=10)
        closed = read(journal.with_suffix(".journal"))[-1]
        assert isinstance(closed, Closed)
        return closed

    async def test_with_a_code_that_is_recorded(self) -> None:
        for code in (1000, 1001, 1006, 4000):
            with self.subTest(code):
                closed = await self.ended({"type": "websocket.disconnect", "code": code})
                self.assertEqual((closed.code, closed.reason), (code, ""))

    async def test_without_a_code(self) -> None:
        for message in (
            {"type": "websocket.disconnect"},
            {"type": "websocket.disconnect", "code": None},
        ):
            closed = await self.ended(message)
            self.assertEqual((closed.code, closed.reason), (None, ""))

    async def test_and_later_messages_are_ignored(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        open_stream = self.stream()
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.input_queue.put({"type": "websocket.receive", "text": audio()})
        await socket.wait(timeout=10)
        self.assertEqual(open_stream.tally.audio, 0)

    async def test_while_we_close(self) -> None:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.close":
                raise OSError("the client has gone")

        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for message in (
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": metadata(encoding="G711")},
        ):
            inbox.put_nowait(message)
        with self.assertRaises(OSError):
            await self.application(self.socket().scope, inbox.get, send)
        self.assertEqual(self.recorder.stats().open_streams, 0)


class ServerShutdown(MediaSocketTestCase):
    async def test_cancels_a_socket_and_the_journal_contains_the_reason(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        await socket.send_to(text_data=audio())
        open_stream = self.stream()
        await self.received(open_stream, 1)
        socket.stop()
        await socket.wait(timeout=10)
        assert open_stream.closed
        self.assertEqual((open_stream.closed.code, open_stream.closed.reason), (None, "cancelled"))
        await until(Subscription.objects.exclude(disconnected_at=None).aexists)
        [call] = [
            row async for row in Call.objects.with_state(timezone.now() + timedelta(minutes=1))
        ]
        self.assertEqual((call.state, call.call_connection_id), ("interrupted", CONNECTION))

    async def test_cancels_a_socket_closed_by_the_recorder(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        await self.recorder.aclose()
        socket.stop()
        await socket.wait(timeout=10)
        self.assertEqual(self.recorder.stats().open_streams, 0)


class CloseCodes(SimpleTestCase):
    def test_match_the_documentation(self) -> None:
        refusals = {
            one.close_code: one.status
            for one in (auth.Unauthenticated, auth.Forbidden, auth.Undecided)
        }
        ours = {
            **refusals,
            **consumers.HTTP_STATUS,
            consumers.UNSUPPORTED_AUDIO: None,
            consumers.NO_MEDIA: None,
            NOT_FOUND[0]: NOT_FOUND[1],
            MISDIRECTED[0]: MISDIRECTED[1],
        }
        rows = re.findall(
            r"^\| (4\d{3}) \| (\d{3}|-) \|",
            (ROOT / "docs" / "protocol.md").read_text(),
            re.MULTILINE,
        )
        self.assertEqual(
            {int(code): None if status == "-" else int(status) for code, status in rows}, ours
        )
        self.assertEqual(len(rows), len(ours))

    def test_are_listed_in_the_docstring(self) -> None:
        for code in (*consumers.HTTP_STATUS, consumers.UNSUPPORTED_AUDIO, consumers.NO_MEDIA):
            self.assertIn(str(code), consumers.__doc__ or "")
