"""Tests of the browser's modules, run by Node, and of rules that the server shares with them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from django.test import SimpleTestCase, tag

from calls import identity
from calls.live.messages import step_of
from calls.search import number_parts
from calls.templatetags.live import kind_note, label
from tests import machine

TESTS = Path(__file__).parents[1] / "js"


@tag("javascript")
class JavaScript(SimpleTestCase):
    def test_the_modules_pass_their_tests(self) -> None:
        files = sorted(str(file) for file in TESTS.glob("*.test.mjs"))
        self.assertGreater(len(files), 4)
        done = subprocess.run(
            [machine.node(), "--test", *files],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-2000:])

    def test_the_recorder_and_the_page_agree_on_steps_of_the_minute(self) -> None:
        for rms, step in json.loads((TESTS / "steps.json").read_text()):
            self.assertEqual(step_of(rms), step, rms)

    def test_the_server_and_the_page_agree_on_phone_numbers(self) -> None:
        for case in json.loads((TESTS / "numbers.json").read_text()):
            with self.subTest(case["text"]):
                self.assertEqual(number_parts(case["text"]), case["parts"])

    def test_the_server_and_the_page_agree_on_identities(self) -> None:
        for participant in json.loads((TESTS / "identities.json").read_text()):
            with self.subTest(participant["raw_id"]):
                self.assertEqual(identity.kind_of(participant["raw_id"]), participant["kind"])
                self.assertEqual(label(participant), participant["label"])
                self.assertEqual(kind_note(participant), participant["note"])
