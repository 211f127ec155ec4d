"""A missing program skips a test with a reason, and fails it in CI."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import SkipTest, TestCase, mock

from tests import machine


class MachineTests(TestCase):
    def test_a_program_on_the_path_is_found(self) -> None:
        with TemporaryDirectory() as folder:
            program = Path(folder) / "a-program-of-the-test"
            program.write_text("#!/bin/sh\n")
            program.chmod(0o700)
            with mock.patch.dict("os.environ", PATH=folder):
                self.assertEqual(program, machine.need("no-such-program", "a-program-of-the-test"))

    def test_a_missing_program_skips_with_its_name(self) -> None:
        with (
            mock.patch.dict("os.environ", CI=""),
            self.assertRaisesRegex(SkipTest, "no-such-program is not installed"),
        ):
            machine.need("no-such-program")

    def test_a_missing_program_fails_in_ci(self) -> None:
        with (
            mock.patch.dict("os.environ", CI="true"),
            self.assertRaisesRegex(AssertionError, "no-such-program"),
        ):
            machine.need("no-such-program")
