"""`manage.py journal`: prints records and totals, hides identities, fails on damage."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, tag

from streams.journal.records import Alarm, Audio, Counts, Handshake, Unwritten
from streams.management.commands.journal import facts_of, line_of, time_of
from tests.streams.journals import Socket, flipped, metadata_of
from tests.streams.packets import START_US, speech

NUMBER = "4:+15551234567"


@tag("once")
class JournalCommand(SimpleTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="acsmedia-journal-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def call(self) -> Path:
        """Returns a file with a record of every kind."""
        socket = Socket(self.folder).say(speech(3, participant=NUMBER))
        socket.press("5", START_US + 70_000)
        socket.journal.append_audio([Audio(None, START_US + 80_000, 0, silent=True, pcm=b"")])
        odd = "audioData: timestamp: cannot be read"
        socket.count(Counts(0, 4, 1, 2, 1, {"not JSON": 1}, 1, {odd: 1}))
        socket.journal.append(Unwritten(START_US, START_US + 20_000, 2, {0: 2}))
        socket.journal.append(Alarm("clipping", 0, START_US))
        return socket.close(at_us=START_US + 90_000)

    def printed(self, *paths: Path, **options: Any) -> list[str]:
        out = StringIO()
        call_command("journal", *map(str, paths), stdout=out, **options)
        return out.getvalue().splitlines()

    def test_prints_a_line_per_record_and_totals(self) -> None:
        lines = self.printed(self.call())
        kinds = (
            "handshake metadata voice audio audio audio dtmf audio counts unwritten alarm "
            "closed totals"
        )
        self.assertEqual(" ".join(line.split()[1] for line in lines), kinds)

    def test_a_line_has_time_kind_and_members(self) -> None:
        lines = self.printed(self.call())
        moment = "2022-10-03T19:12:52.000000Z"
        self.assertEqual(
            lines[3], f'{moment} audio     voice=0 timestamp="{moment}" bytes=640 silent=false'
        )
        self.assertEqual(
            lines[8],
            "-                           counts    index=0 audio=4 dtmf=1 unknown=2 malformed=1 "
            'reasons={"not JSON": 1} odd_timestamp=1 '
            'oddities={"audioData: timestamp: cannot be read": 1}',
        )
        self.assertEqual(lines[11], '2022-10-03T19:12:52.090000Z closed    code=1000 reason=""')
        self.assertIn('last="2022-10-03T19:12:52.020000Z" packets=2 voices={"0": 2}', lines[9])
        self.assertEqual(lines[10], f'{moment} alarm     name="clipping" voice=0 until=null')
        self.assertEqual(lines[2], f'{"-":<27} voice     index=0 kind="phone"')

    def test_totals_have_records_and_seconds_per_voice(self) -> None:
        path = self.call()
        totals = json.loads(self.printed(path, json=True, totals=True)[0])
        self.assertEqual(totals["file"], str(path))
        self.assertEqual(
            (totals["packets"], totals["seconds"], totals["damaged_bytes"]),
            ({"0": 4}, {"0": 0.08}, 0),
        )
        self.assertEqual(totals["records"]["audio"], 4)

    def test_seconds_are_counted_at_the_current_rate(self) -> None:
        socket = Socket(self.folder).say(speech(50))
        socket.announce(metadata_of(1, 24_000))
        socket.say(speech(50, rate=24_000))
        totals = json.loads(self.printed(socket.die(), json=True, totals=True)[0])
        self.assertEqual(totals["seconds"], {"0": 2.0})

    def test_identities_and_tones_are_shown_only_on_request(self) -> None:
        path = self.call()
        for options in ({}, {"json": True}):
            hidden, shown = (
                self.printed(path, **options),
                self.printed(path, identities=True, **options),
            )
            self.assertNotIn(NUMBER, "".join(hidden))
            self.assertIn(NUMBER, "".join(shown))
            (tone,) = [line for line in hidden if "dtmf" in line and "tone" in line]
            self.assertNotIn("5", tone.rpartition("tone")[2])

    def test_json_lines_have_the_same_members(self) -> None:
        objects = [json.loads(line) for line in self.printed(self.call(), json=True)]
        self.assertEqual(objects[1]["sample_rate"], 16_000)
        self.assertEqual(objects[8]["reasons"], {"not JSON": 1})
        self.assertEqual(objects[7]["timestamp"], None)
        self.assertEqual({type(one) for one in objects}, {dict})

    def test_each_of_several_files_has_its_totals(self) -> None:
        lines = self.printed(self.call(), self.call(), totals=True)
        self.assertEqual([line.split()[1] for line in lines], ["totals", "totals"])

    def test_a_damaged_file_is_printed_with_an_error_exit_code(self) -> None:
        path = self.call()
        content = path.read_bytes()
        path.write_bytes(flipped(content, len(content) * 4)[:-3])
        out = StringIO()
        with self.assertRaises(CommandError) as raised:
            call_command("journal", str(path), stdout=out)
        self.assertEqual(raised.exception.returncode, 1)
        self.assertRegex(str(raised.exception), r"\.journal: \d+ bytes are damaged$")
        damage = [line for line in out.getvalue().splitlines() if line.split()[1] == "damage"]
        self.assertEqual([line.rpartition("torn=")[2] for line in damage], ["false", "true"])

    def test_an_unreadable_file_does_not_affect_others(self) -> None:
        out = StringIO()
        with self.assertRaises(CommandError) as raised:
            call_command("journal", str(self.folder / "gone"), str(self.call()), stdout=out)
        self.assertEqual((raised.exception.returncode, len(out.getvalue().splitlines())), (1, 13))
        self.assertIn("gone: No such file or directory", str(raised.exception))

    def test_terminal_control_sequences_are_escaped(self) -> None:
        handshake = Handshake("s", "c", "\x1b[2J\n\x9b", "", 0, 10.0)
        line = line_of(facts_of(handshake, identities=False))
        self.assertIn("\\u001b[2J\\n\\u009b", line)
        self.assertTrue(line.isprintable())

    def test_a_time_outside_the_calendar_is_a_number(self) -> None:
        self.assertEqual(time_of(2**62), str(2**62))
        hostile = Audio(-(2**62), 2**62, 0, silent=False, pcm=b"")
        self.assertIn(str(2**62), line_of(facts_of(hostile, identities=False)))

    def test_a_closed_pipe_causes_no_traceback(self) -> None:
        socket = Socket(self.folder).say(speech(2000))
        command = f"{sys.executable} manage.py journal {socket.die()} | head -n 1"
        answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        self.assertEqual((len(answer.stdout.splitlines()), answer.stderr), (1, ""))
