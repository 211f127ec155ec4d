"""ACS's socket on the real application: authentication, recording, both ways of
closing, outages.
"""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

from channels.layers import InMemoryChannelLayer, channel_layers
from django.test import override_settings

from acsmedia.asgi import Application
from calls.audio import codec
from calls.live import channel
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from calls.wording import event_text
from streams.acs.auth import HandshakeAuth
from streams.acs.jwks import KeySet
from streams.ingest import stream
from streams.journal.records import Audio
from tests.streams import tokens
from tests.streams.media_sockets import CONNECTION, CORRELATION, MEDIA, NAMED, MediaSocketTestCase
from tests.streams.streams import (
    ALICE,
    BOB,
    PACKET,
    START_US,
    audio,
    dtmf,
    metadata,
    pcm_in,
    records_in,
)
from tests.waiting import until

HOUR = 3600
STREAM_TOKEN = "a stream token of the tests"


def no_keys() -> bytes:
    raise OSError("no route to host")


class HandshakeAuthentication(MediaSocketTestCase):
    def use(self, auth: HandshakeAuth) -> None:
        self.application = Application(self.recorder, auth)

    def with_jwt(self, *, stream_token: str = "") -> None:
        keys = KeySet(tokens.key_set)
        self.use(
            HandshakeAuth("jwt", audience=tokens.AUDIENCE, stream_token=stream_token, keys=keys)
        )

    async def refused(self, headers: Any = NAMED, path: str = MEDIA) -> tuple[int, int]:
        """Returns close code and HTTP status of such a handshake, after checking that it opened
        nothing.
        """
        socket = self.socket(headers, path=path)
        accepted, code = await socket.connect(timeout=10)
        self.assertFalse(accepted)
        await socket.wait(timeout=10)
        status = await self.answer(self.socket(headers, path=path, supports_status=True))
        self.assertEqual(self.recorder.stats().open_streams, 0)
        self.assertEqual(records_in(self.spool), [])
        return code or 0, status

    async def test_mode_token_refuses_a_missing_or_wrong_token(self) -> None:
        self.use(HandshakeAuth("token", stream_token=STREAM_TOKEN))
        self.assertEqual(await self.refused(), (4401, 401))
        self.assertEqual(await self.refused(path=f"{MEDIA}?token=another"), (4403, 403))
        self.assertEqual(self.recorder.stats().handshakes, {"refused": 4})
        # each was tried on a server with HTTP responses and on one without
        self.assertEqual(
            self.recorder.stats().refusals,
            {("no_stream_token", True): 2, ("wrong_stream_token", True): 2},
        )
        scanner = [(b"user-agent", b"a scanner")]
        await self.refused(scanner)
        self.assertEqual(self.recorder.stats().refusals["no_stream_token", False], 2)
        await self.refused(NAMED[1:])
        self.assertEqual(self.recorder.stats().refusals["no_stream_token", True], 4)

    async def test_mode_token_accepts_the_right_token(self) -> None:
        self.use(HandshakeAuth("token", stream_token=STREAM_TOKEN))
        async with self.connected(path=f"{MEDIA}?token={STREAM_TOKEN.replace(' ', '%20')}&more=1"):
            self.assertEqual(self.recorder.stats().open_streams, 1)

    async def test_mode_jwt_refuses_a_missing_or_invalid_token(self) -> None:
        self.with_jwt()
        for bearer, answer in (
            (None, (4401, 401)),
            ("nonsense", (4401, 401)),
            (tokens.token(aud="another resource"), (4403, 403)),
            (tokens.token(exp=1), (4403, 403)),
            (tokens.token(key="another key"), (4403, 403)),
        ):
            with self.subTest(bearer):
                headers = tokens.scope(bearer=bearer)["headers"]
                nameless = [one for one in headers if not one[0].startswith(b"x-ms-")]
                self.assertEqual(await self.refused(nameless), answer)
        from_acs = {one for (one, is_acs) in self.recorder.stats().refusals if is_acs}
        self.assertEqual(from_acs, {"wrong_audience", "expired"}, "Microsoft has signed them")

    async def test_mode_jwt_accepts_a_valid_token(self) -> None:
        self.with_jwt()
        async with self.connected(tokens.scope(bearer=tokens.token())["headers"]):
            self.assertEqual(self.recorder.stats().handshakes, {"accepted": 1})

    async def test_mode_jwt_with_a_stream_token_requires_both(self) -> None:
        self.with_jwt(stream_token=STREAM_TOKEN)
        headers = tokens.scope(bearer=tokens.token())["headers"]
        self.assertEqual(await self.refused(headers), (4401, 401))
        self.assertEqual(await self.refused(path=f"{MEDIA}?token={STREAM_TOKEN}"), (4401, 401))
        async with self.connected(headers, path=f"{MEDIA}?token={STREAM_TOKEN}"):
            self.assertEqual(self.recorder.stats().open_streams, 1)

    async def test_an_unreachable_key_server_leaves_it_undecided(self) -> None:
        self.use(HandshakeAuth("jwt", audience=tokens.AUDIENCE, keys=KeySet(no_keys)))
        self.assertEqual(
            await self.refused(tokens.scope(bearer=tokens.token())["headers"]), (4503, 503)
        )

    async def test_mode_off_requires_nothing(self) -> None:
        async with self.connected(()):
            self.assertEqual(self.recorder.stats().open_streams, 1)

    async def test_an_origin_is_neither_required_nor_checked(self) -> None:
        async with self.connected((*NAMED, (b"origin", b"https://elsewhere.example.com"))):
            self.assertEqual(self.recorder.stats().open_streams, 1)


class HandshakeHeaders(MediaSocketTestCase):
    async def test_identify_the_call(self) -> None:
        async with self.connected():
            handshake = self.stream().handshake
        self.assertEqual(
            (handshake.call_connection_id, handshake.correlation_id), (CONNECTION, CORRELATION)
        )

    async def test_without_any_each_socket_is_a_call(self) -> None:
        async with self.connected(()):
            first = self.stream().handshake
        async with self.connected(()):
            second = self.stream().handshake
        self.assertEqual((first.call_connection_id, first.correlation_id), ("", ""))
        self.assertNotEqual(first.call_id, second.call_id)

    async def test_are_case_insensitive(self) -> None:
        async with self.connected(((b"X-MS-Call-Connection-Id", b" spaced "),)):
            self.assertEqual(self.stream().handshake.call_connection_id, "spaced")

    async def test_may_contain_latin_1_letters(self) -> None:
        async with self.connected(((b"x-ms-call-connection-id", "é".encode("latin-1")),)):
            self.assertEqual(self.stream().handshake.call_connection_id, "é")

    async def test_with_invalid_ids_are_refused(self) -> None:
        for name in (b"x-ms-call-connection-id", b"x-ms-call-correlation-id"):
            for value in (b"x" * 257, b"a\x00b", b"a\nb"):
                with self.subTest(name=name, value=value[:4]):
                    headers = ((name, value),)
                    self.assertEqual(await self.socket(headers).connect(timeout=10), (False, 4400))
                    self.assertEqual(
                        await self.answer(self.socket(headers, supports_status=True)), 400
                    )
        self.assertEqual(self.recorder.stats().handshakes, {"failed": 12})
        self.assertEqual(self.recorder.stats().refusals, {("bad_handshake", True): 12})

    async def test_are_refused_when_nothing_could_be_recorded(self) -> None:
        self.recorder.start()
        assert self.recorder._running
        self.recorder._running.sealer.stop(10)  # the sealer has its own test for this
        folder = self.recorder._running.folder.path
        folder.rename(folder.with_name("gone"))  # the disk is gone
        self.addCleanup(folder.with_name("gone").rename, folder)
        await self.socket(((b"x-ms-call-connection-id", b"a\x00b"),)).connect(timeout=10)
        with self.assertLogs("streams.acs.consumer", "ERROR") as logs:
            self.assertEqual(await self.socket().connect(timeout=10), (False, 4503))
            self.assertEqual(await self.answer(self.socket(supports_status=True)), 503)
        self.assertEqual(len(logs.output), 1, "not a line for each, and one for each kind")
        self.assertEqual(self.recorder.stats().handshakes, {"failed": 3})
        self.assertEqual(self.recorder.stats().refusals["not_recording", True], 2)

    async def test_of_an_abandoned_handshake_open_nothing(self) -> None:
        socket = self.socket()
        await socket.send_input({"type": "websocket.disconnect", "code": 1006})
        await socket.wait(timeout=10)
        self.assertEqual(records_in(self.spool), [])


class ReceivedMessages(MediaSocketTestCase):
    async def test_text_and_binary_are_recorded_alike(self) -> None:
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata())
            await socket.send_to(text_data=audio(ALICE))
            await socket.send_to(bytes_data=audio(BOB).encode())
            await self.received(self.stream(), 3)
            self.assertEqual(pcm_in(self.spool), {ALICE: PACKET, BOB: PACKET})

    async def test_are_sealed_when_the_socket_closes(self) -> None:
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata())
            for number in range(10):
                await socket.send_to(text_data=audio(ALICE, at=number))
        segment: Segment = await until(
            Segment.objects.select_related("participant", "subscription").afirst
        )
        self.assertEqual((segment.sample_count, segment.participant.raw_id), (3200, ALICE))
        self.assertEqual((segment.subscription.audio, segment.subscription.close_code), (10, 1000))

    async def test_with_timestamps_that_cannot_be_read_are_recorded_in_the_order_of_arrival(
        self,
    ) -> None:
        """The timestamp is the default of .NET, a number, or has no seconds."""
        stamps = ['"0001-01-01T00:00:00Z"', "1664824572925", '"2022-10-03T19:16"']
        pcm = [bytes([number, 1]) * 320 for number in range(12)]
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata())
            for number, packet in enumerate(pcm):
                message = audio(ALICE, packet).replace(
                    '"2022-10-03T19:16:12.925Z"', stamps[number % len(stamps)]
                )
                await socket.send_to(text_data=message)
        segment: Segment = await until(
            Segment.objects.select_related("subscription", "participant").afirst
        )
        self.assertEqual(segment.sha256, codec.pcm_hash(b"".join(pcm)))
        counts = segment.subscription.counts
        self.assertEqual((counts["audio"], counts["malformed"]), (12, 0))
        self.assertEqual(counts["odd_timestamp"], 12)

    async def test_of_voices_that_begin_together_are_listed_in_the_order_of_arrival(self) -> None:
        arrived = ["4:+3", "8:acs:b", "", "4:+1", "8:acs:a", "4:+2"]
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata())
            for raw_id in arrived:
                await socket.send_to(text_data=audio(raw_id))
        await until(Segment.objects.aexists)
        listed = [each.raw_id async for each in Participant.objects.all()]
        self.assertEqual(listed, arrived)

    async def test_a_second_metadata_begins_a_second_subscription(self) -> None:
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

    async def test_without_media_are_counted(self) -> None:
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

    async def test_the_number_of_participants_is_limited(self) -> None:
        with mock.patch.object(stream, "MAX_VOICES", 2):
            async with self.connected() as socket:
                open_stream = self.stream()
                for message in (metadata(), audio("a"), audio("b"), audio("c"), audio("a", at=1)):
                    await socket.send_to(text_data=message)
                await self.received(open_stream, 5)
        self.assertEqual((list(open_stream.speakers), open_stream.tally.malformed), (["a", "b"], 1))


class WrongRate(MediaSocketTestCase):
    """Metadata that announces another rate than that of the packets."""

    def setUp(self) -> None:
        super().setUp()
        self.now = time.monotonic()

    async def entries_after(self, rate: int, pcm: bytes) -> list[LedgerEntry]:
        """Returns the alarms in the ledger after 15 s of packets, which are sent in 15 reads."""
        self.now += HOUR  # later than the recorder's own ticks and than the call before
        async with self.connected() as socket:
            await socket.send_to(text_data=metadata(rate))
            open_stream = self.stream()
            for second in range(15):
                for number in range(second * 50, second * 50 + 50):
                    await socket.send_to(text_data=audio(ALICE, pcm, at=number))
                await self.received(open_stream, 1 + second * 50 + 50)
                self.recorder.tick(self.now + second, START_US + second * 1_000_000)
        await until(Subscription.objects.exclude(disconnected_at=None).aexists)
        found = LedgerEntry.objects.filter(kind="alarm", reason="wrong_rate")
        return [each async for each in found.select_related("participant")]

    async def test_is_an_event_of_the_participant(self) -> None:
        for rate, pcm in ((16_000, bytes(960)), (24_000, bytes(640))):
            with self.subTest(rate):
                await Call.objects.all().adelete()
                (entry,) = await self.entries_after(rate, pcm)
                assert entry.participant, "the alarm is of a voice"
                self.assertEqual(entry.participant.raw_id, ALICE)
                self.assertIn("check", event_text("alarm", entry.reason, {}))

    async def test_is_none_if_the_packets_have_the_announced_rate(self) -> None:
        for rate, pcm in ((16_000, PACKET), (24_000, bytes(960))):
            with self.subTest(rate):
                await Call.objects.all().adelete()
                self.assertEqual(await self.entries_after(rate, pcm), [])


class FullDisk(MediaSocketTestCase):
    async def test_in_mid_call_counts_lost_packets_and_keeps_the_socket(self) -> None:
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


class ChannelLayer(MediaSocketTestCase):
    @override_settings(CHANNEL_LAYERS={})
    async def test_a_socket_is_recorded_without_it(self) -> None:
        async with self.connected() as socket:
            await socket.send_to(text_data=audio())
            await self.received(self.stream(), 1)
        self.assertEqual(self.recorder.stats().packets, 1)

    @override_settings(CHANNEL_LAYERS={})
    async def test_its_absence_is_logged_once(self) -> None:
        with (
            mock.patch("streams.live.requests.REJOIN_SECONDS", 0.0),
            self.assertLogs("streams.live.requests", "ERROR") as logs,
        ):
            async with self.connected() as socket:
                for at in range(20):
                    await socket.send_to(text_data=audio(at=at))
                    await self.received(self.stream(), at + 1)
        self.assertEqual(len(logs.output), 1)

    async def test_is_joined_once_per_process_for_requests_only(self) -> None:
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
