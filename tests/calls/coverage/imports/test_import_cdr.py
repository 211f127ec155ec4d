"""`manage.py import_cdr`: files, options, wrong lines and exit codes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from io import BufferedReader, BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, call_command
from django.db import DataError, OperationalError
from django.test import TestCase

from calls.coverage.expected import state
from calls.management.commands import import_cdr
from calls.models import CallCoverage, ExpectedCall
from tests.calls.coverage.rows import judged, record

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CSV = """\
call_connection_id,started_at,ended_at,participants
c-1,2026-03-02T09:30:00Z,2026-03-02T09:31:00Z,2
c-2,2026-03-02T09:40:00Z,,
"""


class Imports(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, content: str | bytes, name: str = "calls.csv") -> str:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def run_with(self, file: str, **options: Any) -> tuple[int, str, str]:
        """Returns exit code, output and errors."""
        out, err, code = StringIO(), StringIO(), 0
        try:
            call_command("import_cdr", file, stdout=out, stderr=err, **options)
        except SystemExit as stop:
            code = int(str(stop.code))
        except CommandError as error:
            code = error.returncode
            err.write(str(error))
        return code, out.getvalue(), err.getvalue()

    def test_calls_of_a_csv_file_are_expected(self) -> None:
        code, out, err = self.run_with(self.write(CSV))
        self.assertEqual((code, err), (0, ""))
        self.assertIn("2 calls imported, 2 of them new. 0 lines were wrong.", out)
        first, second = ExpectedCall.objects.order_by("started_at")
        self.assertEqual((first.source, first.participants), ("cdr", 2))
        self.assertEqual(first.ended_at, START + timedelta(minutes=1))
        self.assertIsNone(second.ended_at)
        self.assertEqual(CallCoverage.objects.filter(due_at__isnull=False).count(), 2)

    def test_a_repetition_changes_nothing(self) -> None:
        file = self.write(CSV)
        self.run_with(file)
        self.assertIn("2 calls imported, 0 of them new.", self.run_with(file)[1])
        self.assertEqual(ExpectedCall.objects.count(), 2)

    def test_columns_and_times_have_their_own_names(self) -> None:
        file = self.write("Id;Answered;Length\nc-1;02.03.2026 10:30:00;60\n")
        options = {
            "delimiter": ";",
            "connection_id": "Id",
            "start": "Answered",
            "duration": "Length",
            "time_format": "%d.%m.%Y %H:%M:%S",
            "timezone": "Europe/Berlin",
            "source": "pbx",
        }
        self.assertEqual(self.run_with(file, **options)[0], 0)
        row = ExpectedCall.objects.get()
        self.assertEqual((row.source, row.started_at), ("pbx", START))
        self.assertEqual(row.ended_at, START + timedelta(minutes=1))

    def test_json_lines_and_gzip_are_read(self) -> None:
        lines = [
            json.dumps({"call_connection_id": f"c-{n}", "started_at": 1772443800}) for n in range(3)
        ]
        packed = gzip.compress("\n\n".join(lines).encode())
        self.assertEqual(self.run_with(self.write(packed, "calls.jsonl.gz"))[0], 0)
        self.assertEqual(ExpectedCall.objects.count(), 3)

    def test_standard_input_is_read(self) -> None:
        stdin = SimpleNamespace(buffer=BufferedReader(BytesIO(CSV.encode())))
        with patch("sys.stdin", stdin):
            self.assertEqual(self.run_with("-")[0], 0)
        self.assertEqual(ExpectedCall.objects.count(), 2)

    def test_a_log_of_azure_counts_participants(self) -> None:
        fields = {
            "callConnectionId": "c-1",
            "streamingModality": "Audio",
            "streamingStartTime": "2026-03-02T09:30:00.0000000Z",
            "streamingDurationInMs": 60_000,
        }
        two = [{"properties": fields | {"participantId": f"guid-{n}"}} for n in range(2)]
        other = {"properties": fields | {"streamingModality": "Transcription"}}
        file = self.write(json.dumps({"records": [*two, other]}), "PT1H.json")
        code, out, _err = self.run_with(file, format="azure-monitor")
        self.assertEqual((code, "1 calls imported" in out), (0, True))
        row = ExpectedCall.objects.get()
        self.assertEqual((row.source, row.participants), ("azure_monitor", 2))

    def test_a_dry_run_writes_nothing(self) -> None:
        code, out, _err = self.run_with(self.write(CSV), dry_run=True)
        self.assertEqual((code, "2 calls found." in out), (0, True))
        self.assertFalse(ExpectedCall.objects.exists())

    def test_wrong_lines_are_named_and_left_out(self) -> None:
        code, out, err = self.run_with(self.write(CSV + "c-3,soon,,\n\nc-4,2026-03-02,,,,\n"))
        self.assertEqual(code, 1)
        self.assertIn("line 4: started_at: not a time", err)
        self.assertIn("line 6: more values than columns", err)
        self.assertIn("2 calls imported, 2 of them new. 2 lines were wrong.", out)

    def test_wrong_json_is_named_and_left_out(self) -> None:
        good = json.dumps({"call_connection_id": "c-1", "started_at": 1772443800})
        code, _out, err = self.run_with(self.write(f"{{\n{good}\n7\n", "calls.jsonl"))
        self.assertEqual(code, 1)
        self.assertIn("line 1: not JSON", err)
        self.assertIn("line 3: not a JSON object", err)
        self.assertEqual(ExpectedCall.objects.count(), 1)

    def test_very_many_wrong_lines_are_only_counted(self) -> None:
        code, out, err = self.run_with(self.write(CSV + "c-3,soon,,\n" * 60))
        self.assertEqual((code, err.count("line ")), (1, 50))
        self.assertIn("60 lines were wrong", out)

    def test_files_that_cannot_be_read_are_not_imported(self) -> None:
        truncated = gzip.compress(CSV.encode() * 1000)[:-20]
        packed = gzip.compress(CSV.encode() * 1000)
        damaged = packed[:20] + b"\xff" * 20 + packed[40:]
        for file, options in (
            (str(self.folder / "nothing.csv"), {}),
            (self.write(b"\xff\xfe\xfa", "other.csv"), {}),
            (self.write(CSV), {"encoding": "klingon"}),
            (self.write(truncated, "calls.csv.gz"), {}),
            (self.write(damaged, "damaged.csv.gz"), {}),
        ):
            with self.subTest(file):
                code, _out, err = self.run_with(file, **options)
                self.assertEqual(code, 2)
                self.assertIn("The file cannot be read", err)
        self.assertFalse(ExpectedCall.objects.exists())

    def test_wrong_options_are_named(self) -> None:
        file = self.write(CSV)
        for option, value in (
            ("delimiter", ";;"),
            ("delimiter", '"'),
            ("timezone", "Mars/Olympus"),
            ("source", ""),
            ("source", "\ud800"),
            ("time_format", "%d %d"),
        ):
            with self.subTest(option):
                code, _out, err = self.run_with(file, **{option: value})
                self.assertEqual((code, f"--{option.replace('_', '-')}" in err), (2, True))

    def test_a_database_that_fails_is_named(self) -> None:
        with patch.object(import_cdr, "state", side_effect=OperationalError("away")):
            code, _out, err = self.run_with(self.write(CSV))
        self.assertEqual((code, "The database failed" in err), (2, True))

    def test_a_call_that_the_database_rejects_is_left_out(self) -> None:
        def rejecting(batch: Any) -> int:
            if any(one.call_connection_id == "c-1" for one in batch):
                raise DataError("odd")
            return state(batch)

        with patch.object(import_cdr, "state", rejecting):
            code, out, err = self.run_with(self.write(CSV))
        self.assertEqual(code, 1)
        self.assertIn("call c-1: rejected by the database (DataError)", err)
        self.assertIn("1 calls imported, 1 of them new. 0 lines were wrong. 1 calls were", out)
        self.assertEqual(ExpectedCall.objects.get().call_connection_id, "c-2")

    def test_odd_values_of_json_are_faults_of_their_line(self) -> None:
        deep = "[" * 900 + "]" * 900
        lines = [
            '{"call_connection_id": "c-1", "started_at": 1772443800}',
            '{"call_connection_id": "c-2", "started_at": 20260302093000000}',
            f'{{"call_connection_id": "c-3", "started_at": {"9" * 400}}}',
            f'{{"call_connection_id": "c-4", "started_at": 0, "participants": {"9" * 400}}}',
            '{"call_connection_id": "\\ud800", "started_at": 1772443800}',
            f'{{"call_connection_id": {deep}, "started_at": 1772443800}}',
            f'{{"call_connection_id": "c-5", "started_at": {deep}}}',
            "[" * 100_000,
        ]
        code, out, err = self.run_with(self.write("\n".join(lines), "calls.jsonl"))
        self.assertEqual(code, 1, err)
        self.assertIn("line 2: started_at: not a time", err)
        self.assertIn("line 5: call_connection_id: not text", err)
        self.assertIn("1 calls imported, 1 of them new. 7 lines were wrong.", out)

    def test_recordings_of_these_hours_are_judged_again(self) -> None:
        record("unknown-to-the-file")
        self.assertEqual(judged("unknown-to-the-file").verdict, "complete")
        self.run_with(self.write(CSV))
        self.assertEqual(
            CallCoverage.objects.filter(judged_at__isnull=False, due_at__isnull=False).count(), 1
        )
        self.assertEqual(judged("unknown-to-the-file").verdict, "unexpected")

    def test_progress_is_shown_now_and_then(self) -> None:
        with patch.object(import_cdr, "PROGRESS_SECONDS", 0.0):
            _code, _out, err = self.run_with(self.write(CSV))
        self.assertIn("line 2 …", err)
        self.assertIn("2 of 2 calls imported …", err)
