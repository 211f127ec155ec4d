"""Calls played against a fake recorder: every message, every fault, every end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from unittest import IsolatedAsyncioTestCase

import numpy as np
from cryptography.hazmat.primitives.asymmetric import rsa

from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.report import Report
from streams.simulator.scenario.audio import Clip
from streams.simulator.scenario.faults import Faults, Stall
from streams.simulator.scenario.schedule import Absence, Conversation, Press, ScriptedVoice
from streams.simulator.token import Signer
from tests.streams.fake_recorder import FakeRecorder, recording

CALLER, AGENT = "4:+15550100142", "8:acs:3d20e1de-0f28-41c5_0000000b-faeb"
SECOND = 1_000_000
STARTED = 1_664_824_572_925_000


def noise(seed: int, seconds: float = 1.0) -> Clip:
    samples = np.random.default_rng(seed).integers(-32768, 32767, int(16000 * seconds), np.int16)
    return Clip(samples, 16000)


def conversation(
    raw_ids: Sequence[str] = (CALLER, AGENT), seconds: float = 1.0, **settings: Any
) -> Conversation:
    voices = tuple(
        ScriptedVoice(raw_id, noise(index, seconds)) for index, raw_id in enumerate(raw_ids)
    )
    return Conversation(voices, 16000, **settings)


def pcm_of(script: Conversation, voice: int) -> bytes:
    sound = script.voices[voice].sound
    return b"".join(map(sound.packet, range(sound.packet_count)))


async def played(recorder: FakeRecorder, *scripts: Conversation, **settings: Any) -> Report:
    """Plays the scripts as calls, as fast as possible; returns when the recorder has closed every
    socket too.
    """
    calls = tuple(PlannedCall(script) for script in scripts)
    async with recording(recorder):
        return await play(Plan(recorder.url, calls, **{"speed": 0, **settings}))


class FaithfulCallTests(IsolatedAsyncioTestCase):
    async def test_every_sample_of_both_participants_arrives_bit_for_bit_and_in_order(self) -> None:
        recorder, script = FakeRecorder(), conversation()
        report = await played(recorder, script)
        self.assertEqual(recorder.sockets[0].pcm(CALLER), pcm_of(script, 0))
        self.assertEqual(recorder.sockets[0].pcm(AGENT), pcm_of(script, 1))
        self.assertTrue(report.complete)
        self.assertEqual((report.packets, report.calls[0].lost), (100, 0))

    async def test_the_report_has_the_hash_of_what_was_sent(self) -> None:
        recorder, script = FakeRecorder(), conversation()
        voice = (await played(recorder, script)).ledger()["calls"][0]["participants"][1]
        expected = {
            "raw_id": AGENT,
            "packets": 50,
            "samples": 16000,
            "duplicates": 0,
            "lost": 0,
            "sha256": sha256(recorder.sockets[0].pcm(AGENT)).hexdigest(),
        }
        self.assertEqual(voice, expected)

    async def test_metadata_comes_first_and_only_once(self) -> None:
        recorder = FakeRecorder()
        await played(recorder, conversation())
        kinds = [message["kind"] for message in recorder.sockets[0].messages]
        self.assertEqual(kinds, ["AudioMetadata"] + ["AudioData"] * 100)

    async def test_the_socket_closes_with_1000(self) -> None:
        recorder = FakeRecorder()
        report = await played(recorder, conversation())
        self.assertEqual((recorder.sockets[0].close_code, report.calls[0].close_code), (1000, 1000))

    async def test_timestamps_are_20_ms_apart_and_the_same_for_both(self) -> None:
        recorder = FakeRecorder()
        await played(recorder, conversation(seconds=0.1), started_us=STARTED)
        stamps = [
            packet["timestamp"].removeprefix("2022-10-03T19:16:")
            for packet in recorder.sockets[0].packets()
        ]
        self.assertEqual(stamps[::2], ["12.925Z", "12.945Z", "12.965Z", "12.985Z", "13.005Z"])
        self.assertEqual(stamps[1::2], stamps[::2])

    async def test_silence_is_flagged_as_silent_and_speech_is_not(self) -> None:
        recorder = FakeRecorder()
        quiet = ScriptedVoice(CALLER, Clip(np.zeros(320, np.int16), 16000))
        loud = ScriptedVoice(AGENT, Clip(np.array([0] * 319 + [1], np.int16), 16000))
        await played(recorder, Conversation((quiet, loud), 16000))
        self.assertEqual(
            [packet["silent"] for packet in recorder.sockets[0].packets()], [True, False]
        )

    async def test_mixed_audio_names_nobody(self) -> None:
        recorder, script = FakeRecorder(), conversation([""])
        await played(recorder, script)
        self.assertEqual(recorder.sockets[0].pcm(""), pcm_of(script, 0))

    async def test_tones_are_sent_among_the_packets(self) -> None:
        recorder = FakeRecorder()
        report = await played(recorder, conversation(presses=(Press(490_000, "#"),)))
        self.assertEqual(
            recorder.sockets[0].messages[51], {"kind": "DtmfData", "dtmfData": {"data": "#"}}
        )
        self.assertEqual(report.calls[0].dtmf, 1)

    async def test_calls_at_once_have_a_socket_and_names_of_their_own(self) -> None:
        recorder = FakeRecorder()
        report = await played(recorder, *[conversation(seconds=0.2)] * 3)
        self.assertEqual(
            len({socket.header("x-ms-call-connection-id") for socket in recorder.sockets}), 3
        )
        self.assertEqual([call.packets for call in report.calls], [20, 20, 20])


class HandshakeTests(IsolatedAsyncioTestCase):
    async def test_the_call_is_named_in_two_headers_and_there_is_no_origin_and_no_compression(
        self,
    ) -> None:
        recorder = FakeRecorder()
        report = await played(recorder, conversation(seconds=0.1))
        socket = recorder.sockets[0]
        self.assertEqual(socket.header("x-ms-call-connection-id"), report.calls[0].connection_id)
        self.assertEqual(socket.header("x-ms-call-correlation-id"), report.calls[0].correlation_id)
        for name in (
            "Origin",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Protocol",
            "Authorization",
        ):
            self.assertIsNone(socket.header(name), name)

    async def test_the_two_headers_can_be_left_out_and_others_added(self) -> None:
        recorder = FakeRecorder()
        await played(
            recorder, conversation(seconds=0.1), name_calls=False, headers=(("X-Extra", "yes"),)
        )
        self.assertIsNone(recorder.sockets[0].header("x-ms-call-connection-id"))
        self.assertEqual(recorder.sockets[0].header("X-Extra"), "yes")

    async def test_the_stream_token_rides_in_the_query_string(self) -> None:
        recorder = FakeRecorder()
        await played(recorder, conversation(seconds=0.1), token="a b&c")
        self.assertEqual(recorder.sockets[0].path, "/ws/acs/media?token=a%20b%26c")

    async def test_a_signer_shows_a_bearer_token(self) -> None:
        recorder = FakeRecorder()
        signer = Signer(rsa.generate_private_key(65537, 2048), "kid", "resource")
        await played(recorder, conversation(seconds=0.1), signer=signer)
        self.assertRegex(
            recorder.sockets[0].header("Authorization") or "", r"^Bearer \S+\.\S+\.\S+$"
        )

    async def test_a_refused_handshake_is_counted_with_its_status_and_hurts_no_other_call(
        self,
    ) -> None:
        recorder = FakeRecorder(refuse=[HTTPStatus.FORBIDDEN])
        report = await played(recorder, *[conversation(seconds=0.1)] * 2)
        self.assertEqual(report.refused, 1)
        self.assertFalse(report.complete)
        self.assertEqual([call.problem for call in report.failed], ["refused with HTTP 403"])
        self.assertEqual(report.packets, 10)

    async def test_a_redirect_is_not_followed(self) -> None:
        """Neither the tokens nor the audio may go to another address."""
        async with recording() as elsewhere:
            moved = FakeRecorder(moved_to=elsewhere.url)
            report = await played(moved, conversation(seconds=0.1), token="secret")
            self.assertEqual(elsewhere.sockets, [])
        self.assertEqual(report.refused, 1)
        self.assertEqual(report.calls[0].problem, "refused with HTTP 307")

    async def test_an_address_that_nobody_answers_is_a_problem_and_no_refusal(self) -> None:
        async with recording() as recorder:
            url = recorder.url
        report = await play(Plan(url, (PlannedCall(conversation(seconds=0.1)),), speed=0))
        self.assertEqual(report.refused, 0)
        self.assertIn("cannot connect", report.calls[0].problem)

    async def test_a_server_that_starts_during_the_wait_gets_the_call(self) -> None:
        async with recording() as earlier:
            url = earlier.url
        port = int(url.split(":")[2].split("/")[0])
        run = asyncio.create_task(
            play(Plan(url, (PlannedCall(conversation(seconds=0.1)),), speed=0, wait_seconds=20))
        )
        async with recording(FakeRecorder(), port=port) as recorder:
            self.assertTrue((await run).complete)
        self.assertEqual(len(recorder.sockets[0].packets()), 10)


class FaultyCallTests(IsolatedAsyncioTestCase):
    async def test_a_reconnect_opens_a_second_socket_and_loses_the_audio_in_between(
        self,
    ) -> None:
        recorder, script = (
            FakeRecorder(),
            conversation([CALLER], absences=(Absence(200_000, 400_000),)),
        )
        report = await played(recorder, script)
        first, second = recorder.sockets
        pcm = pcm_of(script, 0)
        self.assertEqual(
            first.header("x-ms-call-connection-id"), second.header("x-ms-call-connection-id")
        )
        self.assertEqual(second.messages[0], first.messages[0])
        self.assertEqual((first.pcm(), second.pcm()), (pcm[: 10 * 640], pcm[30 * 640 :]))
        self.assertEqual((report.calls[0].lost, report.calls[0].sockets), (20, 2))
        self.assertTrue(report.complete)

    async def test_the_hash_has_each_packet_once_in_the_order_spoken_with_all_faults(
        self,
    ) -> None:
        faults = Faults(30_000, 0.1, 0, (Stall(200_000, 500_000),), 0.3, 0.3, seed=3)
        recorder = FakeRecorder()
        script = conversation([CALLER], faults=faults)
        voice = (await played(recorder, script)).calls[0].voices[0]
        pcm = recorder.sockets[0].pcm()
        arrived = {pcm[start : start + 640] for start in range(0, len(pcm), 640)}
        spoken = [script.voices[0].sound.packet(number) for number in range(50)]
        expected = b"".join(packet for packet in spoken if packet in arrived)
        self.assertEqual(voice.sha256, sha256(expected).hexdigest())
        self.assertEqual(len(recorder.sockets[0].packets()), voice.packets + voice.duplicates)
        self.assertGreater(min(voice.lost, voice.duplicates), 0)

    async def test_a_duplicate_is_the_same_message_again(self) -> None:
        recorder = FakeRecorder()
        await played(recorder, conversation([CALLER], seconds=0.1, faults=Faults(duplicates=1)))
        packets = recorder.sockets[0].packets()
        self.assertEqual(len(packets), 10)
        self.assertEqual(len({packet["timestamp"] + packet["data"] for packet in packets}), 5)

    async def test_a_dropped_call_delivers_everything_without_a_close(self) -> None:
        recorder, script = FakeRecorder(), conversation()
        report = await played(recorder, script, drop=True)
        self.assertEqual(recorder.sockets[0].pcm(AGENT), pcm_of(script, 1))
        self.assertEqual(recorder.sockets[0].close_code, 1006)
        self.assertTrue(report.complete)
        self.assertIsNone(report.calls[0].close_code)

    async def test_a_server_that_closes_early_is_reported_with_its_code(self) -> None:
        recorder = FakeRecorder(close_after=5, close_code=4400)
        report = await played(recorder, conversation())
        self.assertFalse(report.complete)
        self.assertEqual(report.calls[0].close_code, 4400)
        self.assertEqual(report.calls[0].problem, "the server closed the socket: 4400 enough")

    async def test_a_socket_that_the_server_closed_first_is_no_success(
        self,
    ) -> None:
        one_packet = Conversation(
            (ScriptedVoice(CALLER, noise(1, 0.02)),), 16000, absences=(Absence(300_000, 0),)
        )
        report = await played(FakeRecorder(close_after=2, close_code=4500), one_packet, speed=1)
        self.assertFalse(report.complete)
        self.assertEqual(report.calls[0].problem, "the server closed the socket: 4500 enough")


class RunTests(IsolatedAsyncioTestCase):
    async def test_stopping_closes_every_socket_with_1000_and_reports_the_packets_sent(
        self,
    ) -> None:
        stop = asyncio.Event()

        async def stop_at_20(messages: int) -> None:
            if messages == 20:
                stop.set()

        async with recording(FakeRecorder(heard=stop_at_20)) as recorder:
            plan = Plan(recorder.url, (PlannedCall(conversation(seconds=60)),), speed=4)
            report = await play(plan, stop=stop)
        socket = recorder.sockets[0]
        self.assertEqual(socket.close_code, 1000)
        self.assertTrue(report.interrupted)
        self.assertFalse(report.complete)
        self.assertEqual(report.failed, [])
        self.assertEqual(report.packets, len(socket.packets()))
        self.assertEqual(report.calls[0].voices[0].sha256, sha256(socket.pcm(CALLER)).hexdigest())

    async def test_a_loop_plays_again_as_another_call_until_it_is_stopped(self) -> None:
        stop = asyncio.Event()
        recorder = FakeRecorder()

        async def stop_in_the_third_call(_messages: int) -> None:
            if len(recorder.sockets) == 3:
                stop.set()

        recorder.heard = stop_in_the_third_call
        async with recording(recorder):
            plan = Plan(
                recorder.url,
                (PlannedCall(conversation(seconds=0.1)),),
                speed=0,
                loop=True,
                pause_seconds=0,
            )
            report = await play(plan, stop=stop)
        self.assertGreaterEqual(len(recorder.sockets), 3)
        self.assertEqual(
            len({s.header("x-ms-call-connection-id") for s in recorder.sockets}),
            len(recorder.sockets),
        )
        self.assertEqual(report.failed, [])

    async def test_a_stop_after_the_end_changes_nothing(self) -> None:
        async with recording() as recorder:
            report = await play(
                Plan(recorder.url, (PlannedCall(conversation()),), speed=0), stop=asyncio.Event()
            )
        self.assertTrue(report.complete)
        self.assertFalse(report.interrupted)

    async def test_real_time_is_kept(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        report = await played(FakeRecorder(), conversation(seconds=0.3), speed=1)
        # The last of 15 packets is sent 0.28 s after the first.
        self.assertGreaterEqual(loop.time() - began, 0.28)
        self.assertTrue(report.complete)
