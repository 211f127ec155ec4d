"""`manage.py canary`: options, the loop, and what it does without a database or a server."""

from __future__ import annotations

import argparse
import signal
import threading
from typing import Any
from unittest import mock

from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import SimpleTestCase, TestCase, override_settings

from calls.canary import runs
from calls.canary.runs import Result
from calls.models import CanaryRun, RaisedAlarm
from streams.management.commands import canary as module
from streams.management.commands.canary import interval, length
from tests.servers import free_port

GOOD = Result("", "", 100, 0, 1.25)
SITE = "https://calls.example.com"


class OptionTests(SimpleTestCase):
    def test_intervals(self) -> None:
        for text, seconds in (("90s", 90), ("5m", 300), ("1h", 3600), ("1.5m", 90), ("24h", 86400)):
            self.assertEqual(interval(text), seconds)
        for text in ("", "5", "m", "9s", "25h", "-5m", "5 m", "nan", "1d"):
            with self.subTest(text), self.assertRaises(argparse.ArgumentTypeError):
                interval(text)

    def test_lengths(self) -> None:
        self.assertEqual(length("12.5"), 12.5)
        for text in ("", "x", "0", "241", "nan", "-1"):
            with self.subTest(text), self.assertRaises(argparse.ArgumentTypeError):
                length(text)

    def test_a_site_is_required(self) -> None:
        for url, text in (("", "Set PUBLIC_URL, or give --url"), ("calls.example.com", "--url: ")):
            with self.subTest(url), override_settings(PUBLIC_URL=""):
                with self.assertRaisesRegex(CommandError, text) as caught:
                    call_command("canary", "--once", "--url", url)
                self.assertEqual(caught.exception.returncode, 2)


class CommandTests(TestCase):
    def setUp(self) -> None:
        # It would close the connection that holds the transaction of the test.
        self.enterContext(mock.patch.object(module, "close_old_connections"))

    def place(self, *arguments: str, result: Result = GOOD) -> Any:
        """Runs the command with a fake run; returns the mock."""
        with (
            mock.patch.object(module, "run", return_value=result) as fake,
            override_settings(PUBLIC_URL=SITE, FORCE_SCRIPT_NAME="/acs"),
        ):
            call_command("canary", *arguments)
        return fake

    def test_the_public_address_is_used_unless_another_is_given(self) -> None:
        for arguments, media in (
            ((), "wss://calls.example.com/acs/ws/acs/media"),
            (("--url", "http://127.0.0.1:9"), "ws://127.0.0.1:9/ws/acs/media"),
        ):
            fake = self.place("--once", *arguments)
            self.assertEqual(fake.call_args.args[0].addresses.media, media)

    def test_the_row_is_written_before_the_call_is_placed(self) -> None:
        def run(_canary: Any, connection_id: str, seed: int) -> Result:
            row = CanaryRun.objects.get(call_connection_id=connection_id)
            self.assertEqual((row.outcome, row.pk.int), ("running", seed))
            return GOOD

        with mock.patch.object(module, "run", run):
            call_command("canary", "--once", "--url", SITE)
        self.assertEqual(CanaryRun.objects.get().outcome, "passed")

    def test_a_failure_is_an_exit_code_and_an_alarm(self) -> None:
        with self.assertRaisesRegex(CommandError, r"came back changed \(7 of 100\)") as caught:
            self.place("--once", result=Result("samples_differ", "7 of 100", 100, 7, 1.0))
        self.assertEqual(caught.exception.returncode, 1)
        self.assertEqual(RaisedAlarm.objects.get().detail["reason"], "samples_differ")

    def test_a_database_that_is_away_is_logged_and_no_call_is_placed(self) -> None:
        with (
            mock.patch.object(runs, "begin", side_effect=OperationalError("gone")),
            self.assertLogs("streams.management.commands.canary", "ERROR") as logged,
            self.assertRaisesRegex(CommandError, "database did not answer"),
        ):
            self.place("--once")
        self.assertIn("canary not placed", logged.output[0])

    def test_a_result_that_cannot_be_stored_is_logged(self) -> None:
        with (
            mock.patch.object(runs, "finish", side_effect=OperationalError("gone")),
            self.assertLogs("streams.management.commands.canary", "ERROR") as logged,
            self.assertRaisesRegex(CommandError, "database did not answer"),
        ):
            self.place("--once")
        self.assertIn("canary not stored", logged.output[-1])

    def test_it_repeats_until_it_is_stopped(self) -> None:
        stopping = threading.Event()
        waits: list[float] = []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            return len(waits) == 4

        with (
            mock.patch.object(stopping, "wait", wait),
            mock.patch.object(threading, "Event", return_value=stopping),
            mock.patch.object(signal, "signal"),
            self.assertLogs("streams.management.commands.canary", "INFO"),
        ):
            fake = self.place("--every", "5m")
        self.assertEqual(fake.call_count, 3)
        for seconds, due in zip(waits, (0, 300, 600, 900), strict=True):  # no wait took any time
            self.assertAlmostEqual(seconds, due, delta=30)
        self.assertEqual({*CanaryRun.objects.values_list("every_seconds", flat=True)}, {300.0})

    def test_no_more_are_expected_after_the_end(self) -> None:
        CanaryRun.objects.create(
            call_connection_id="canary-1", started_at="2020-01-01T00:00Z", every_seconds=300.0
        )
        call_command("canary", "--end")
        self.assertIsNone(CanaryRun.objects.get().every_seconds)

    def test_without_a_server_it_fails(self) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        with self.assertRaisesRegex(CommandError, "did not answer"):
            call_command("canary", "--once", "--url", url, "--seconds", "1")
        self.assertEqual(CanaryRun.objects.get().reason, "unreachable")
