"""Prints journals in readable form, record by record. docs/journal.md describes the format."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls import identity
from calls.times import from_microseconds
from streams.journal.records import (
    Alarm,
    Audio,
    ClockStep,
    Closed,
    Counts,
    Damage,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Unwritten,
    Voice,
    parse,
)
from streams.sealing.digest import FALLBACK_RATE, PACKETS_PER_SECOND

DAMAGED = 1

Facts = dict[str, Any]
"""The printed members of a record, in this order; `record` is its kind, `at` its time, if it has
one.
"""


class Command(BaseCommand):
    help = (
        "Prints journals, one line per record, with totals at the end. Exit code 1 if one is "
        "damaged or unreadable."
    )
    requires_system_checks: list[str] = []  # it needs nothing but the files

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", type=Path, metavar="FILE", help=".journal, .open or .unreadable"
        )
        parser.add_argument(
            "--identities",
            action="store_true",
            help="Show raw ids and tones: the participants, and the keys they pressed.",
        )
        parser.add_argument("--totals", action="store_true", help="Print totals only.")
        parser.add_argument("--json", action="store_true", help="One JSON object per line.")

    def handle(self, **options: Any) -> None:
        faults: list[str] = []
        try:
            for path in options["files"]:
                try:
                    content = path.read_bytes()
                except OSError as error:
                    faults.append(f"{path}: {error.strerror}")
                    continue
                totals = Totals(str(path))
                for record in parse(content):
                    totals.add(record)
                    if not options["totals"]:
                        facts = facts_of(record, identities=options["identities"])
                        self._write(facts, as_json=options["json"])
                self._write(totals.facts(), as_json=options["json"])
                if totals.damaged_bytes:
                    faults.append(f"{path}: {totals.damaged_bytes} bytes are damaged")
        except BrokenPipeError:  # of `| head`: nobody reads the output that is still buffered
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if faults:
            raise CommandError("; ".join(faults), returncode=DAMAGED)

    def _write(self, facts: Facts, *, as_json: bool) -> None:
        self.stdout.write(json.dumps(facts) if as_json else line_of(facts))


@dataclass
class Totals:
    """Totals of one `file`. Seconds of audio are by voice, at the rate in force."""

    file: str
    records: Counter[str] = field(default_factory=Counter)
    packets: Counter[int] = field(default_factory=Counter)
    seconds: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    damaged_bytes: int = 0
    sample_rate: int = FALLBACK_RATE

    def add(self, record: Record) -> None:
        self.records[type(record).__name__.lower()] += 1
        match record:
            case Metadata():
                self.sample_rate = record.sample_rate
            case Audio():
                self.packets[record.voice] += 1
                self.seconds[record.voice] += len(record.pcm) / 2 / self.sample_rate
                if record.silent and not record.pcm:
                    self.seconds[record.voice] += 1 / PACKETS_PER_SECOND
            case Damage():
                self.damaged_bytes += record.end - record.start

    def facts(self) -> Facts:
        return {
            "record": "totals",
            "at": None,
            "file": self.file,
            "records": dict(sorted(self.records.items())),
            "packets": {str(voice): count for voice, count in sorted(self.packets.items())},
            "seconds": {
                str(voice): round(seconds, 3) for voice, seconds in sorted(self.seconds.items())
            },
            "damaged_bytes": self.damaged_bytes,
        }


def line_of(facts: Facts) -> str:
    """Returns a line such as `2022-10-03T19:12:52.925000Z audio voice=0 bytes=640`. Texts are
    quoted, so that a terminal executes nothing in them.
    """
    at, kind = facts["at"] or "-", facts["record"]
    named = " ".join(
        f"{name}={json.dumps(value)}"
        for name, value in facts.items()
        if name not in {"at", "record"}
    )
    return f"{at:<27} {kind:<9} {named}".rstrip()


def facts_of(record: Record, *, identities: bool) -> Facts:
    """Returns the members of a record; raw ids and tones only with `identities`."""
    match record:
        case Handshake():
            return _facts("handshake", record.connected_at_us, record, leave_out="connected_at_us")
        case Metadata() | Closed() | ClockStep():
            return _facts(type(record).__name__.lower(), record.at_us, record, leave_out="at_us")
        case Voice():
            kind = identity.kind_of(record.raw_id)
            raw_id = {"raw_id": record.raw_id} if identities else {}
            return {"record": "voice", "at": None, "index": record.index, "kind": kind, **raw_id}
        case Audio():
            at, timestamp = time_of(record.arrived_us), time_of(record.timestamp_us)
            members = {"voice": record.voice, "timestamp": timestamp, "bytes": len(record.pcm)}
            return {"record": "audio", "at": at, **members, "silent": record.silent}
        case Dtmf():
            tone = record.tone if identities else None
            return {"record": "dtmf", "at": time_of(record.arrived_us), "tone": tone}
        case Unwritten():
            first, last = time_of(record.first_us), time_of(record.last_us)
            lost = {"packets": record.packets, "voices": record.voices, "stamps": record.stamps}
            return {"record": "unwritten", "at": None, "first": first, "last": last, **lost}
        case Alarm():
            until = time_of(record.until_us)
            members = {"name": record.name, "voice": record.voice, "until": until}
            return {"record": "alarm", "at": time_of(record.since_us), **members}
        case Counts() | Damage():
            return _facts(type(record).__name__.lower(), None, record)
        case _:
            assert_never(record)


def _facts(kind: str, at_us: int | None, record: Record, leave_out: str = "") -> Facts:
    members = {name: getattr(record, name) for name in record.__struct_fields__}
    members.pop(leave_out, None)
    return {"record": kind, "at": time_of(at_us), **members}


def time_of(microseconds: int | None) -> str | None:
    """Returns ISO 8601 in UTC, to the microsecond; the number itself outside the calendar; None
    for None.
    """
    if microseconds is None:
        return None
    try:
        moment = from_microseconds(microseconds).replace(tzinfo=None)
        return f"{moment.isoformat(timespec='microseconds')}Z"
    except OverflowError:
        return str(microseconds)
