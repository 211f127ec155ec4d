"""ACS's socket over the real application: who gets in, what is recorded, how it ends, what it costs
the others.
"""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any
from unittest import mock

from channels.layers import InMemoryChannelLayer, channel_layers
from django.test import SimpleTestCase, override_settings
from django.utils import timezone

from acsmedia.asgi import NOT_FOUND, Application
from calls.live import channel
from calls.models import Call, Participant, Segment, Subscription
from streams.acs import auth
from streams.acs import consumer as consumers
from streams.acs.auth import HandshakeAuth
from streams.acs.jwks import KeySet
from streams.ingest import stream
from streams.ingest.stream import NO_MEDIA_MESSAGES
from streams.journal.records import Audio, Closed
from tests.servers import ROOT
from tests.streams import tokens
from tests.streams.media_sockets import CONNECTION, CORRELATION, MEDIA, NAMED, MediaSocketTestCase
from tests.streams.streams import (
    ALICE,
    BOB,
    PACKET,
    audio,
    dtmf,
    heard_in,
    metadata,
    read,
    records_in,
)
from tests.waiting import until

STREAM_TOKEN = "a stream token of the tests"


def no_keys() -> bytes:
    raise OSError("no route to host")


class TheDoor(MediaSocketTestCase):
    def lock(self, door: HandshakeAuth) -> None:
        self.application = Application(self.recorder, door)

    def with_jwt(self, *, stream_token: str = "") -> None:
        keys = KeySet(tokens.key_set)
        self.lock(
            HandshakeAuth("jwt", audience=tokens.AUDIENCE, stream_token=stream_token, keys=keys)
        )

    async def refused(self, headers: Any = NAMED, path: str = MEDIA) -> tuple[int, int]:
        """The close code and the HTTP status that such a handshake is refused with, and nothing has
        been opened.
        """
        socket = self.socket(headers, path=path)
        accepted, code = await socket.connect(timeout=10)
        self.assertFalse(accepted)
        await socket.wait(timeout=10)
        status = await self.answer(self.socket(headers, path=path, says_status=True))
        self.assertEqual(self.recorder.stats().open_streams, 0)
        self.assertEqual(records_in(self.spool), [])
        return code or 0, status

    async def test_with_a_token_refuses_who_shows_none_or_another(self) -> None:
        self.lock(HandshakeAuth("token", stream_token=STREAM_TOKEN))
        self.assertEqual(await self.refused(), (4401, 401))
        self.assertEqual(await self.refused(path=f"{MEDIA}?token=another"), (4403, 403))
        self.assertEqual(self.recorder.stats().handshakes, {"refused": 4})

    async def test_with_a_token_lets_in_who_shows_it(self) -> None:
        self.lock(HandshakeAuth("token", stream_token=STREAM_TOKEN))
        async with self.connected(path=f"{MEDIA}?token={STREAM_TOKEN.replace(' ', '%20')}&more=1"):
            self.assertEqual(self.recorder.stats().open_streams, 1)

    async def test_with_jwt_refuses_who_shows_none_or_a_wrong_one(self) -> None:
        self.with_jwt()
        for bearer, answer in (
            (None, (4401, 401)),
            ("nonsense", (4401, 401)),
            (tokens.token(aud="another resource"), (4403, 403)),
            (tokens.token(exp=1), (4403, 403)),
            (tokens.token(key="another key"), (4403, 403)),
        ):
            with self.subTest(bearer):
                self.assertEqual(await self.refused(tokens.scope(bearer=bearer)["headers"]), answer)

    async def test_with_jwt_lets_in_who_shows_a_right_one(self) -> None:
        self.with_jwt()
        async with self.connected(tokens.scope(bearer=tokens.token())["headers"]):
            self.assertEqual(self.recorder.stats().handshakes, {"accepted": 1})

    async def test_with_jwt_and_a_stream_token_asks_for_both(self) -> None:
        self.with_jwt(stream_token=STREAM_TOKEN)
        bearing = tokens.scope(bearer=tokens.token())["headers"]
        self.assertEqual(await self.refused(bearing), (4401, 401))
        self.assertEqual(await self.refused(path=f"{MEDIA}?token={STREAM_TOKEN}"), (4401, 401))
        async with self.connected(bearing, path=f"{MEDIA}?token={STREAM_TOKEN}"):
            self.assertEqual(self.recorder.stats().open_streams, 1)

    async def test_is_undecided_while_the_key_server_is_away(self) -> None:
        self.lock(HandshakeAuth("jwt", audience=tokens.AUDIENCE, keys=KeySet(no_keys)))
        self.assertEqual(
            await self.refused(tokens.scope(bearer=tokens.token())["headers"]), (4503, 503)
        )

    async def test_that_is_open_asks_for_nothing(self) -> None:
        async with self.connected(()):
            self.assertEqual(self.recorder.stats().open_streams, 1)

    async def test_needs_no_origin_and_minds_none(self) -> None:
        async with self.connected((*NAMED, (b"origin", b"https://elsewhere.example.com"))):
            self.assertEqual(self.recorder.stats().open_streams, 1)


class TheHandshake(MediaSocketTestCase):
    async def test_names_the_call(self) -> None:
        async with self.connected():
            handshake = self.stream().handshake
        self.assertEqual(
            (handshake.call_connection_id, handshake.correlation_id), (CONNECTION, CORRELATION)
        )

    async def test_without_headers_makes_a_call_of_its_own(self) -> None:
        async with self.connected(()):
            first = self.stream().handshake
        async with self.connected(()):
            second = self.stream().handshake
        self.assertEqual((first.call_connection_id, first.correlation_id), ("", ""))
        self.assertNotEqual(first.call_id, second.call_id)

    async def test_reads_headers_whatever_their_casing(self) -> None:
        async with self.connected(((b"X-MS-Call-Connection-Id", b" spaced "),)):
            self.assertEqual(self.stream().handshake.call_connection_id, "spaced")

    async def test_keeps_letters_beyond_ascii(self) -> None:
        async with self.connected(((b"x-ms-call-connection-id", "é".encode("latin-1")),)):
            self.assertEqual(self.stream().handshake.call_connection_id, "é")

    async def test_is_refused_with_ids_that_ACS_never_sends(self) -> None:  # noqa: N802 - the name of the service
        for name in (b"x-ms-call-connection-id", b"x-ms-call-correlation-id"):
            for value in (b"x" * 257, b"a\x00b", b"a\nb"):
                with self.subTest(name=name, value=value[:4]):
                    headers = ((name, value),)
                    self.assertEqual(await self.socket(headers).connect(timeout=10), (False, 4400))
                    self.assertEqual(await self.answer(self.socket(headers, says_status=True)), 400)
        self.assertEqual(self.recorder.stats().handshakes, {"failed": 12})

    async def test_is_refused_when_nothing_could_be_recorded(self) -> None:
        self.recorder.start()
        assert self.recorder._running
        self.recorder._running.sealer.stop(10)  # it has a test of its own for this
        folder = self.recorder._running.folder.path
        folder.rename(folder.with_name("gone"))  # the disk is gone
        self.addCleanup(folder.with_name("gone").rename, folder)
        with self.assertLogs("streams.acs.consumer", "ERROR"):
            self.assertEqual(await self.socket().connect(timeout=10), (False, 4503))
            self.assertEqual(await self.answer(self.socket(says_status=True)), 503)
        self.assertEqual(self.recorder.stats().handshakes, {"failed": 2})

    async def test_that_is_given_up_before_it_began_opens_nothing(self) -> None:
        socket = self.socket()
        await socket.send_input({"type": "websocket.disconnect", "code": 1006})
        await socket.wait(timeout=10)
        self.assertEqual(records_in(self.spool), [])


class WhatIsSent(MediaSocketTestCase):
    async def test_is_recorded_text_and_binary_alike(self) -> None:
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata())
            await socket.send_to(text_data=audio(ALICE))
            await socket.send_to(bytes_data=audio(BOB).encode())
            await self.received(self.stream(), 3)
            self.assertEqual(heard_in(self.spool), {ALICE: PACKET, BOB: PACKET})

    async def test_is_sealed_when_the_socket_closes(self) -> None:
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata())
            for number in range(10):
                await socket.send_to(text_data=audio(ALICE, at=number))
        segment: Segment = await until(
            Segment.objects.select_related("participant", "subscription").afirst
        )
        self.assertEqual((segment.sample_count, segment.participant.raw_id), (3200, ALICE))
        self.assertEqual((segment.subscription.audio, segment.subscription.close_code), (10, 1000))

    async def test_is_sealed_as_two_subscriptions_after_a_second_metadata(self) -> None:
        async with self.connected() as socket:
            for message in (
                metadata(),
                audio(),
                metadata(24_000, "sub-2"),
                audio(pcm=bytes(960), at=1),
                dtmf(),
            ):
                await socket.send_to(text_data=message)
        await until(Segment.objects.aexists)
        found = [row async for row in Subscription.objects.order_by("connected_at", "sample_rate")]
        self.assertEqual(
            [(row.sample_rate, row.audio, row.dtmf) for row in found],
            [(16_000, 1, 0), (24_000, 1, 1)],
        )
        self.assertEqual(await Participant.objects.acount(), 1)

    async def test_may_begin_with_audio(self) -> None:
        async with self.connected() as socket:
            for message in (audio(pcm=bytes(320)), audio(pcm=bytes(960)), metadata(24_000)):
                await socket.send_to(text_data=message)
            open_stream = self.stream()
            await self.received(open_stream, 3)
        self.assertEqual([one.sample_rate for one in open_stream.metadata], [24_000, 24_000])
        self.assertEqual((open_stream.tally.audio, open_stream.tally.malformed), (1, 1))

    async def test_is_counted_where_it_holds_nothing(self) -> None:
        async with self.connected() as socket:
            open_stream = self.stream()
            await socket.send_input({"type": "websocket.receive", "text": ""})
            await socket.send_input(
                {"type": "websocket.receive", "text": None, "bytes": b"\xff\xfe"}
            )
            for message in ("{}", "[]", '{"kind":"AudioData","audioData":{"data":"?"}}', dtmf()):
                await socket.send_to(text_data=message)
            await self.received(open_stream, 6)
        tally = open_stream.tally
        self.assertEqual((tally.unknown, tally.malformed, tally.dtmf), (1, 4, 1))
        reasons = {"not JSON": 2, "not a JSON object": 1, "audioData: data: wrong type or value": 1}
        self.assertEqual(tally.reasons, reasons)

    async def test_is_bounded_in_participants(self) -> None:
        with mock.patch.object(stream, "MAX_VOICES", 2):
            async with self.connected() as socket:
                open_stream = self.stream()
                for message in (metadata(), audio("a"), audio("b"), audio("c"), audio("a", at=1)):
                    await socket.send_to(text_data=message)
                await self.received(open_stream, 5)
        self.assertEqual((list(open_stream.speakers), open_stream.tally.malformed), (["a", "b"], 1))


class WeClose(MediaSocketTestCase):
    async def test_what_cannot_be_recorded_with_the_reason(self) -> None:
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

    async def test_a_socket_that_says_nothing_we_know_a_thousand_times(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        for _ in range(NO_MEDIA_MESSAGES):
            await socket.send_to(text_data="nothing")
        self.assertEqual(await self.closed(socket), (4422, "no media in the first messages"))
        self.assertEqual(self.recorder.stats().messages["malformed"], NO_MEDIA_MESSAGES)

    async def test_no_socket_that_said_something_first(self) -> None:
        async with self.connected() as socket:
            open_stream = self.stream()
            await socket.send_to(text_data=audio())
            for _ in range(NO_MEDIA_MESSAGES + 10):
                await socket.send_to(text_data="nothing")
            await self.received(open_stream, NO_MEDIA_MESSAGES + 11)
            self.assertTrue(socket.output_queue.empty())
            self.assertIsNone(open_stream.closed)


class TheyClose(MediaSocketTestCase):
    async def ended(self, *last: dict[str, Any]) -> Closed:
        """The record of the end of a socket after those messages."""
        socket = self.socket()
        await socket.connect(timeout=10)
        assert self.recorder._running
        self.recorder._running.sealer.stop(10)  # the journal is looked at
        [journal] = self.spool.glob(f"*/{self.stream().handshake.stream_id}.*")
        for message in ({"type": "websocket.receive", "text": audio()}, *last):
            await socket.send_input(message)
        await socket.wait(timeout=10)
        closed = read(journal.with_suffix(".journal"))[-1]
        assert isinstance(closed, Closed)
        return closed

    async def test_with_a_code_that_is_kept(self) -> None:
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

    async def test_and_nothing_that_comes_after_it_is_read(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        open_stream = self.stream()
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.input_queue.put({"type": "websocket.receive", "text": audio()})
        await socket.wait(timeout=10)
        self.assertEqual(open_stream.tally.audio, 0)

    async def test_by_going_while_we_close(self) -> None:
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


class TheServerEnds(MediaSocketTestCase):
    async def test_a_socket_by_cancelling_it_and_its_journal_says_so(self) -> None:
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

    async def test_and_cancels_what_the_recorder_has_closed_already(self) -> None:
        socket = self.socket()
        await socket.connect(timeout=10)
        await self.recorder.aclose()
        socket.stop()
        await socket.wait(timeout=10)
        self.assertEqual(self.recorder.stats().open_streams, 0)


class AFullDisk(MediaSocketTestCase):
    async def test_in_mid_call_is_counted_and_the_socket_stays(self) -> None:
        async with self.connected() as socket:
            open_stream = self.stream()
            for number in range(2):
                await socket.send_to(text_data=audio(at=number))
            await self.received(open_stream, 2)
            with mock.patch("os.write", side_effect=OSError(28, "No space left on device")):
                for number in range(2, 5):
                    await socket.send_to(text_data=audio(at=number))
                await self.received(open_stream, 5)
            await socket.send_to(text_data=audio(at=5))
            await self.received(open_stream, 6)
            self.assertTrue(socket.output_queue.empty())
            self.assertEqual((open_stream.tally.audio, open_stream.tally.unwritten), (3, 3))
            self.assertEqual(
                len([one for one in records_in(self.spool) if isinstance(one, Audio)]), 3
            )


class WithoutALayer(MediaSocketTestCase):
    @override_settings(CHANNEL_LAYERS={})
    async def test_a_socket_is_recorded(self) -> None:
        async with self.connected() as socket:
            await socket.send_to(text_data=audio())
            await self.received(self.stream(), 1)
        self.assertEqual(self.recorder.stats().packets, 1)

    @override_settings(CHANNEL_LAYERS={})
    async def test_that_nobody_can_listen_is_said_once(self) -> None:
        with (
            mock.patch("streams.live.requests.REJOIN_SECONDS", 0.0),
            self.assertLogs("streams.live.requests", "ERROR") as logs,
        ):
            async with self.connected() as socket:
                for at in range(20):
                    await socket.send_to(text_data=audio(at=at))
                    await self.received(self.stream(), at + 1)
        self.assertEqual(len(logs.output), 1)

    async def test_no_socket_joins_it_and_the_process_only_to_hear_wishes(self) -> None:
        layer = InMemoryChannelLayer()
        other = ((b"x-ms-call-connection-id", b"another"), NAMED[1])
        with mock.patch.dict(channel_layers.backends, {"default": layer}):
            async with self.connected() as socket:
                await socket.send_to(text_data=audio())
                await self.received(self.stream(), 1)
                await until(lambda: layer.groups)
                async with self.connected(other) as second:
                    await second.send_to(text_data=audio())
                    await until(
                        lambda: all(stream.tally.audio for stream in self.recorder._streams)
                    )
                    self.assertEqual(list(layer.groups), [channel.RECORDERS])
                    self.assertEqual(len(layer.channels), 1)


class TheCloseCodes(SimpleTestCase):
    def test_of_the_documentation_are_those_of_the_code(self) -> None:
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

    def test_of_the_module_are_named_in_its_docstring(self) -> None:
        for code in (*consumers.HTTP_STATUS, consumers.UNSUPPORTED_AUDIO, consumers.NO_MEDIA):
            self.assertIn(str(code), consumers.__doc__ or "")
