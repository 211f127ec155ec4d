"""`manage.py drain_spool`: the spool of a host is sealed, or the command says what is left."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from django.core.management import CommandError, call_command
from django.test import override_settings

from calls.models import RecorderProcess, Segment
from streams.journal import spool
from streams.management.commands.drain_spool import Left, left_in
from tests.streams.journals import Socket
from tests.streams.packets import START_US, speech
from tests.streams.spools import SpoolTest


class DrainTests(SpoolTest):
    def drain(self, **options: Any) -> str:
        out = StringIO()
        with override_settings(SPOOL_DIR=self.spool):
            call_command("drain_spool", stdout=out, **options)
        return out.getvalue()

    def test_journals_of_dead_processes_are_sealed_and_nothing_is_left(self) -> None:
        Socket(self.process.folder).say(speech(50)).close(at_us=START_US + 1_000_000)
        Socket(self.process.folder, "unfinished").say(speech(20))
        self.process.die()
        out = self.drain()
        self.assertIn("The spool is empty; 2 segments were sealed.", out)
        self.assertEqual(Segment.objects.count(), 2)
        self.assertEqual(self.files(), [])
        self.assertEqual([one for one in self.spool.iterdir() if one.name != spool.AXES], [])
        self.assertEqual(RecorderProcess.objects.count(), 0, "it is no recorder that has died")

    def test_journals_of_a_running_process_are_its_own(self) -> None:
        Socket(self.process.folder).say(speech(5))
        with self.assertRaisesRegex(CommandError, "1 journals left, 0 set aside"):
            self.drain(timeout=0.0)
        self.assertEqual(self.files(), ["000000.open"])
        self.process.die()

    def test_a_journal_that_was_set_aside_is_audio_too(self) -> None:
        (self.process.folder / "stream.000000.unreadable").write_bytes(b"audio")
        self.process.die()
        with self.assertRaisesRegex(CommandError, "0 journals left, 1 set aside"):
            self.drain()

    def test_the_sealer_may_remove_a_folder_while_files_are_counted(self) -> None:
        listdir = os.listdir

        def names_in(folder: Any) -> list[str]:
            if Path(folder) == self.process.folder:
                raise FileNotFoundError
            return listdir(folder)

        with mock.patch("os.listdir", names_in):
            self.assertEqual(left_in(self.spool), Left(journals=0, set_aside=0))
        self.process.die()

    def test_a_host_that_never_recorded_is_empty(self) -> None:
        with override_settings(SPOOL_DIR=Path("/nonexistent/spool")):
            out = StringIO()
            call_command("drain_spool", stdout=out)
        self.assertIn("does not exist", out.getvalue())
