"""Imports calls that took place: call detail records, or Azure's log of media streaming. See
docs/coverage.md.
"""

from __future__ import annotations

import csv
import re
import zlib
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import IO, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DataError, IntegrityError
from django.db import Error as DatabaseError
from django.utils import timezone

from calls.coverage import due
from calls.coverage.expected import MAX_SOURCE, StatedCall, state
from calls.coverage.imports import azure_monitor, reading, records
from calls.coverage.imports.reading import Line
from calls.coverage.imports.records import CallRecord, Columns, Times, WrongRecord
from calls.coverage.limits import AHEAD

LINES_WRONG, NOT_IMPORTED = 1, 2
BATCH = 500
MOST_SHOWN = 50
PROGRESS_SECONDS = 5.0
AROUND = timedelta(hours=1)
"""Recordings of this time, besides those of the file, may turn out to be unexpected."""

EPILOG = """\
exit codes:
  0  all lines imported
  1  some lines were wrong, or calls were rejected by the database, and were left out; the others
     are imported
  2  nothing imported, or not everything: the file cannot be read, an option is wrong, or the
     database is unreachable. Repeat it: a repetition changes nothing

examples:
  manage.py import_cdr calls.csv --connection-id CallConnectionId --start Answered --end Ended
  manage.py import_cdr --format jsonl --start call.start --duration call.seconds - < calls.jsonl
  manage.py import_cdr --format azure-monitor PT1H.json.gz
"""


class Command(BaseCommand):
    help = __doc__ or ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EPILOG, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("file", help="The file, also packed with gzip; - for standard input.")
        formats = ("csv", "jsonl", "azure-monitor")
        add("--format", choices=formats, help="Default: jsonl if the name contains .json.")
        for name, column in Columns()._asdict().items():
            option = f"--{name.replace('_', '-')}"
            add(option, default=column, metavar="COLUMN", help=f"Default: {column or 'none'}.")
        add("--timezone", default="UTC", help="Of times without an offset. Default: UTC.")
        add("--time-format", default="", help="As in strptime. Default: ISO 8601, or seconds.")
        add("--delimiter", default=",", help="Of CSV. Default: a comma.")
        add("--encoding", default="utf-8-sig", help="Default: utf-8.")
        add("--source", help="Name of the source. Default: cdr, or azure_monitor.")
        add("--dry-run", action="store_true", help="Read and check only.")

    def handle(self, *_args: Any, **options: Any) -> None:
        self._wrong = self._rejected = 0
        self._shown_at = monotonic()
        try:
            calls = self._read(options)
        except (OSError, UnicodeError, LookupError, csv.Error, EOFError, zlib.error) as error:
            raise CommandError(
                f"The file cannot be read: {error}", returncode=NOT_IMPORTED
            ) from error
        source = _source(options)
        new = 0 if options["dry_run"] else self._write(source, calls)
        done = "found" if options["dry_run"] else f"imported, {new} of them new"
        rejected = f" {self._rejected} calls were rejected." if self._rejected else ""
        count = len(calls) - self._rejected
        self.stdout.write(f"{count} calls {done}. {self._wrong} lines were wrong.{rejected}")
        if self._wrong or self._rejected:
            raise SystemExit(LINES_WRONG)

    def _read(self, options: dict[str, Any]) -> list[CallRecord]:
        kind = options["format"] or ("jsonl" if ".json" in options["file"] else "csv")
        times = Times(
            _zone(options["timezone"]),
            _time_format(options["time_format"]),
            latest=timezone.now() + AHEAD,
        )
        columns = Columns(**{name: options[name] for name in Columns._fields})
        if len(options["delimiter"]) != 1 or options["delimiter"] in '\r\n"':
            message = "--delimiter: give one character, not a quotation mark or a line break."
            raise CommandError(message, returncode=NOT_IMPORTED)
        with reading.opened(options["file"], options["encoding"]) as text:
            lines = self._counted(_lines(text, kind, options["delimiter"]))
            if kind == "azure-monitor":
                azure = Times(latest=times.latest)
                parts = self._usable(lines, lambda line: azure_monitor.part_of(line.row, azure))
                return records.merged(azure_monitor.with_counts(parts))
            found = self._usable(lines, lambda line: records.record_of(line.row, columns, times))
            return records.merged(found)

    def _counted(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yields the lines, and shows progress now and then."""
        for line in lines:
            if monotonic() - self._shown_at > PROGRESS_SECONDS:
                self._shown_at = monotonic()
                self.stderr.write(f"line {line.number} …")
            yield line

    def _usable(self, lines: Iterable[Line], convert: Any) -> Iterator[Any]:
        """Yields the lines converted; shows those that are wrong."""
        for line in lines:
            error, converted = line.error, None
            if not error:
                try:
                    converted = convert(line)
                except WrongRecord as wrong:
                    error = str(wrong)
            if error:
                self._wrong += 1
                self._show(f"line {line.number}: {error}")
            elif converted is not None:
                yield converted

    def _show(self, fault: str) -> None:
        count = self._wrong + self._rejected
        if count <= MOST_SHOWN:
            self.stderr.write(fault)
        elif count == MOST_SHOWN + 1:
            self.stderr.write("further faults are only counted")

    def _write(self, source: str, calls: list[CallRecord]) -> int:
        new = 0
        try:
            for start in range(0, len(calls), BATCH):
                batch = calls[start : start + BATCH]
                new += self._state([StatedCall(source, *one) for one in batch])
                if monotonic() - self._shown_at > PROGRESS_SECONDS:
                    self._shown_at = monotonic()
                    self.stderr.write(f"{start + len(batch)} of {len(calls)} calls imported …")
            if calls:
                starts = [one.started_at for one in calls]
                due.mark_range(min(starts) - AROUND, max(starts) + AROUND)
        except DatabaseError as error:
            message = f"The database failed after {new} new calls: {type(error).__name__}"
            raise CommandError(message, returncode=NOT_IMPORTED) from error
        return new

    def _state(self, batch: Sequence[StatedCall]) -> int:
        """Writes statements; one that the database rejects is shown, and left out."""
        try:
            return state(batch)
        except (DataError, IntegrityError) as error:
            if len(batch) > 1:
                return sum(self._state([one]) for one in batch)
            name = batch[0].call_connection_id or batch[0].correlation_id
            self._rejected += 1
            self._show(f"call {name}: rejected by the database ({type(error).__name__})")
            return 0


def _lines(text: IO[str], kind: str, delimiter: str) -> Iterator[Line]:
    return reading.csv_lines(text, delimiter) if kind == "csv" else reading.json_lines(text)


def _source(options: dict[str, Any]) -> str:
    default = "azure_monitor" if options["format"] == "azure-monitor" else "cdr"
    source: str = default if options["source"] is None else options["source"]
    if not (0 < len(source) <= MAX_SOURCE and source.isprintable()):
        message = f"--source: give 1 to {MAX_SOURCE} printable characters."
        raise CommandError(message, returncode=NOT_IMPORTED)
    return source


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"--timezone: {name} is not a time zone."
        raise CommandError(message, returncode=NOT_IMPORTED) from None


def _time_format(text: str) -> str:
    try:
        datetime.strptime("", text)  # noqa: DTZ007 - only whether it is a format
    except re.error:
        message = "--time-format: a directive occurs twice."
        raise CommandError(message, returncode=NOT_IMPORTED) from None
    except ValueError:
        pass  # no time, as expected
    return text
