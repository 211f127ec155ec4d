"""The command `simulate`: its options, its plan, its output and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings

from streams.simulator.casting import DEMO_CALLS, VOICES, plan_of
from streams.simulator.errors import BadPlan
from streams.simulator.options import add_arguments
from streams.simulator.plan import Plan
from streams.simulator.scenario.faults import Faults, Stall
from streams.simulator.scenario.schedule import Absence, Conversation
from tests.streams.fake_recorder import FakeRecorder, recording


def plan(*arguments: str, **tokens: str) -> Plan:
    parser = ArgumentParser()
    add_arguments(parser)
    return plan_of(vars(parser.parse_args(arguments)), **tokens)


def script(*arguments: str, call: int = 0) -> Conversation:
    found = plan(*arguments).calls[call].script
    assert isinstance(found, Conversation)
    return found


def raw_ids(*arguments: str, call: int = 0) -> list[str]:
    return [voice.raw_id for voice in script(*arguments, call=call).voices]


class Folder(SimpleTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def wave(self, name: str, seconds: float) -> str:
        path = self.folder / name
        soundfile.write(path, np.full(int(16000 * seconds), 1000, np.int16), 16000)
        return str(path)


class OptionsTests(Folder):
    def test_without_options_two_people_speak_tones_for_30_seconds(self) -> None:
        found = script()
        self.assertEqual([voice.sound.packet_count for voice in found.voices], [1500, 1500])
        self.assertNotEqual(found.voices[0].sound.packet(0), found.voices[1].sound.packet(0))

    def test_each_file_is_a_participant_and_is_played_to_its_end(self) -> None:
        found = script(self.wave("a.wav", 1), self.wave("b.wav", 2))
        self.assertEqual([voice.sound.packet_count for voice in found.voices], [50, 100])

    def test_a_tone_beside_a_file_lasts_as_long_as_the_file(self) -> None:
        found = script(self.wave("a.wav", 1.5), "--tone", "300")
        self.assertEqual([voice.sound.packet_count for voice in found.voices], [75, 75])

    def test_seconds_cut_or_repeat_every_participant(self) -> None:
        found = script(self.wave("a.wav", 1), self.wave("b.wav", 9), "--seconds", "3")
        self.assertEqual([voice.sound.packet_count for voice in found.voices], [150, 150])

    def test_mixed_is_one_track_without_a_name(self) -> None:
        self.assertEqual(raw_ids("--mixed"), [""])

    def test_participants_are_people_of_every_kind_and_differ_between_calls(self) -> None:
        first, second = (
            raw_ids("--participants", "7", "--calls", "2", call=call) for call in (0, 1)
        )
        self.assertEqual(len({*first, *second}), 14)
        self.assertEqual({raw_id.partition(":")[0] for raw_id in first}, {"4", "8", "28"})
        self.assertEqual(raw_ids("--raw-id", "8:acs:x", "--raw-id", "4:+1"), ["8:acs:x", "4:+1"])

    def test_calls_are_spread_over_the_20_ms_and_staggered(self) -> None:
        begins = [
            call.begin_us for call in plan("--calls", "4", "--stagger", "1", "--seconds", "1").calls
        ]
        self.assertEqual(begins, [0, 1_005_000, 2_010_000, 3_015_000])

    def test_a_connection_id_names_the_first_call_and_is_numbered_for_the_others(self) -> None:
        calls = plan("--calls", "3", "--connection-id", "c", "--seconds", "1").calls
        self.assertEqual([call.connection_id for call in calls], ["c", "c-2", "c-3"])

    def test_faults_follow_the_options_and_differ_between_calls(self) -> None:
        arguments = (
            "--jitter",
            "15",
            "--loss",
            "0.1",
            "--lose-every",
            "17",
            "--stall",
            "1:1.5",
            "--seed",
            "5",
        )
        more = ("--reorder", "0.2", "--duplicates", "0.3", "--calls", "2")
        expected = Faults(15_000, 0.1, 17, (Stall(1_000_000, 1_500_000),), 0.2, 0.3, seed=6)
        self.assertEqual(script(*arguments, *more, call=1).faults, expected)

    def test_reconnects_are_in_order_and_one_second_long_by_default(self) -> None:
        found = script("--reconnect", "9:0.5", "--reconnect", "2")
        self.assertEqual(
            found.absences, (Absence(2_000_000, 1_000_000), Absence(9_000_000, 500_000))
        )

    def test_tones_are_pressed_one_after_the_other(self) -> None:
        found = [
            (press.at_us, press.tone) for press in script("--dtmf", "12", "--dtmf", "5:#").presses
        ]
        self.assertEqual(found, [(1_000_000, "1"), (1_200_000, "2"), (5_000_000, "#")])

    def test_the_server_listens_on_port(self) -> None:
        for port, expected in (("8001", "8001"), ("", "8000")):
            with mock.patch.dict(os.environ, PORT=port):
                self.assertEqual(plan().address, f"ws://127.0.0.1:{expected}/ws/acs/media")

    def test_the_stream_token_is_that_of_the_settings_unless_an_option_is_given(self) -> None:
        self.assertTrue(plan(stream_token="from-settings").address.endswith("?token=from-settings"))
        self.assertTrue(
            plan("--token", "mine", stream_token="from-settings").address.endswith("?token=mine")
        )
        self.assertNotIn("token", plan("--token", "", stream_token="from-settings").address)
        url = "ws://host/ws?a=b"
        self.assertEqual(plan("--url", url, "--token", "x").address, f"{url}&token=x")

    def test_events_have_the_secret_of_the_settings_unless_an_option_is_given(
        self,
    ) -> None:
        url = ("--events", "http://host/events")
        self.assertEqual(plan(events_token="s").events_address, "", "they are not sent unasked")
        self.assertEqual(plan(*url, events_token="s").events_address, f"{url[1]}?token=s")
        self.assertEqual(plan(*url, "--events-token", "", events_token="s").events_address, url[1])

    def test_the_demo_calls_are_two_people_each_of_the_same_length(self) -> None:
        found = plan("--voices").calls
        self.assertEqual(len(found), 3)
        for call in found:
            caller, agent = call.script.voices
            self.assertTrue(caller.raw_id.startswith("4:+1555010"))
            self.assertRegex(agent.raw_id, r"^8:(acs|orgid):")
            self.assertEqual(caller.sound.packet_count, agent.sound.packet_count)
            self.assertTrue(30 <= caller.sound.packet_count / 50 <= 60)

    def test_impossible_options_are_rejected_with_their_name(self) -> None:
        for arguments, words in (
            (["--voices", "--tone", "300"], "--tone"),
            (["--stall", "3"], "--stall"),
            (["--reconnect", "31"], "--reconnect"),
            (["--reconnect", "2:5", "--reconnect", "4"], "--reconnect"),
            (["--jwt-key", "key.pem"], "--jwt-audience"),
            (["--jwt-key", "missing.pem", "--jwt-audience", "a"], "missing.pem"),
            (["missing.wav"], "missing.wav"),
            (["--replay", "missing", "--jitter", "5"], "jitter"),
            (["--replay", "missing"], "missing"),
        ):
            with self.subTest(arguments), self.assertRaisesRegex(BadPlan, words):
                plan(*arguments)


class DocumentationTests(SimpleTestCase):
    def test_every_option_is_in_the_documentation_and_no_other_one(self) -> None:
        parser = ArgumentParser(add_help=False)
        add_arguments(parser)
        options = {option for action in parser._actions for option in action.option_strings}
        text = (settings.BASE_DIR / "docs" / "simulator.md").read_text()
        self.assertEqual(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)), options)


class DemoVoicesTests(SimpleTestCase):
    def test_the_files_are_16_khz_mono_small_and_speak_in_turn(self) -> None:
        for name in DEMO_CALLS:
            caller, agent = (VOICES / f"{name}-{who}.flac" for who in ("caller", "agent"))
            for path in (caller, agent):
                facts = soundfile.info(path)
                self.assertEqual(
                    (facts.samplerate, facts.channels, facts.subtype), (16000, 1, "PCM_16")
                )
                self.assertLess(path.stat().st_size, 520_000)
            both = (soundfile.read(caller)[0] != 0) & (soundfile.read(agent)[0] != 0)
            self.assertLess(both.mean(), 0.05)


@contextmanager
def recorder_in_a_thread(recorder: FakeRecorder) -> Iterator[str]:
    """Runs the recorder on an event loop of its own, because the command has its own."""
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with recording(recorder):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10), "the recorder is up"
        yield recorder.url
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@override_settings(ACS_STREAM_TOKEN="secret")
class CommandTests(Folder):
    def simulate(self, *arguments: str, **options: Any) -> str:
        out = StringIO()
        call_command("simulate", *arguments, stdout=out, **options)
        return out.getvalue()

    def test_the_table_and_the_ledger_have_the_packets_sent(self) -> None:
        recorder, ledger = FakeRecorder(), self.folder / "ledger.json"
        with recorder_in_a_thread(recorder) as url:
            table = self.simulate(
                "--url", url, "--seconds", "1", "--speed", "0", "--ledger", str(ledger)
            )
        (call,) = json.loads(ledger.read_text())["calls"]
        self.assertEqual(
            call["connection_id"], recorder.sockets[0].header("x-ms-call-connection-id")
        )
        self.assertEqual([voice["packets"] for voice in call["participants"]], [50, 50])
        self.assertIn(call["connection_id"], table)
        self.assertRegex(table, r"1 call +│ +100 │")
        self.assertEqual(recorder.sockets[0].path, "/ws/acs/media?token=secret")

    def test_quiet_prints_nothing(self) -> None:
        with recorder_in_a_thread(FakeRecorder()) as url:
            self.assertEqual(
                self.simulate("--url", url, "--seconds", "0.1", "--speed", "0", "--quiet"), ""
            )

    def test_a_refused_call_ends_with_exit_code_1_and_the_reason(self) -> None:
        recorder = FakeRecorder(refuse=[HTTPStatus.FORBIDDEN])
        with (
            recorder_in_a_thread(recorder) as url,
            self.assertRaisesRegex(CommandError, "HTTP 403") as caught,
        ):
            self.simulate("--url", url, "--seconds", "0.1", "--speed", "0", "--calls", "2")
        self.assertEqual(caught.exception.returncode, 1)

    def test_invalid_options_end_with_exit_code_2(self) -> None:
        with self.assertRaisesRegex(CommandError, "missing.wav") as caught:
            self.simulate("missing.wav")
        self.assertEqual(caught.exception.returncode, 2)

    def test_invalid_values_are_rejected(self) -> None:
        for arguments in (
            ("--loss", "2"),
            ("--seconds", "0"),
            ("--calls", "1.5"),
            ("--tone", "-1"),
            ("--stall", "x:1"),
            ("--dtmf", "12x"),
            ("--header", "nothing"),
            ("--start-timestamp", "yesterday"),
            ("--speed", "inf"),
            ("--jitter", "nan"),
            ("--burst-spacing", "21"),
            ("--events", "recorder/webhooks"),
        ):
            with self.subTest(arguments), self.assertRaisesRegex(CommandError, arguments[0]):
                self.simulate(*arguments)
