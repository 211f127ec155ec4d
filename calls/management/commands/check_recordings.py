"""Checks recordings: the audio of every row, and the row of every stored object. See
docs/operations.md.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from calls.storage import deletion, integrity
from calls.storage.integrity import Fault, Page, Scope

FAULTS_FOUND, NOT_COMPLETED = 1, 2
"""Exit codes: faults were found; the check was not made, or not completed."""
STAGES = ("segments", "objects")


@dataclass
class CheckState:
    """Position and counts of a check, saved in a small file for `--resume`."""

    scope: dict[str, Any]
    stage: str = "segments"
    after: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        return sum(self.counts[fault] for fault in Fault) - self.counts["removed"]

    @classmethod
    def load(cls, scope: Scope, *, resume: bool) -> Self:
        """Returns the state to start from.

        Raises `CommandError` if the interrupted check had other options.
        """
        options = json.loads(json.dumps(asdict(scope), default=str))
        if not resume:
            _state_path().unlink(missing_ok=True)
        if not _state_path().exists():
            return cls(options)
        try:
            saved = json.loads(_state_path().read_text())
            state = cls(saved["scope"], saved["stage"], saved["after"], Counter(saved["counts"]))
        except (ValueError, KeyError) as error:
            raise _not_completed(
                f"{_state_path()} is unreadable: check without --resume"
            ) from error
        if state.scope != options or state.stage not in STAGES:
            raise _not_completed(
                f"--resume: the interrupted check had other options: {state.scope}"
            )
        return state

    def save(self) -> None:
        partial = _state_path().with_suffix(".partial")
        partial.write_text(json.dumps(vars(self)))
        partial.replace(_state_path())


class Command(BaseCommand):
    help = (
        "Checks that every segment's audio is stored and undamaged, and that every stored object "
        "has a row."
    )
    requires_system_checks: list[str] = []  # it must also run with settings that stop a recorder

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument(
            "--since", help="Only segments sealed since then: a date, or ISO 8601 with a time zone."
        )
        parser.add_argument("--call", type=UUID, help="Only this call: its acsmedia id.")
        parser.add_argument(
            "--quick",
            action="store_true",
            help="Check sizes and headers only, without reading audio.",
        )
        parser.add_argument("--resume", action="store_true", help="Continue an interrupted check.")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Remove objects without a row, and those left by deletions.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print one JSON object per line: the findings, then the totals.",
        )

    def handle(self, **options: Any) -> None:
        """Exits with 0 if all is well, 1 if faults were found, 2 if the check was not completed."""
        scope = Scope(_parse_since(options["since"]), options["call"], options["quick"])
        state = CheckState.load(scope, resume=options["resume"])
        try:
            if options["repair"]:
                state.counts["swept"] += deletion.sweep()
            for _ in self._check(scope, state, repair=options["repair"], as_json=options["json"]):
                state.save()
        except (OSError, DatabaseError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise _not_completed(
                f"check not completed ({reason}); continue with --resume"
            ) from error
        except KeyboardInterrupt:
            raise _not_completed("interrupted; continue with --resume") from None
        _state_path().unlink(missing_ok=True)
        names = ("segments", "objects", *Fault, "removed", "swept")
        totals = {str(name): state.counts[name] for name in names}
        self.stdout.write(
            json.dumps({"finding": None, "wrong": state.wrong, **totals})
            if options["json"]
            else ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in totals.items())
        )
        if state.wrong:
            raise CommandError(f"faults found: {state.wrong}", returncode=FAULTS_FOUND)

    def _check(
        self, scope: Scope, state: CheckState, *, repair: bool, as_json: bool
    ) -> Iterator[None]:
        """Checks page by page; yields after each, when the position may be saved."""
        for stage in STAGES[STAGES.index(state.stage) :]:
            if stage != state.stage:
                state.stage, state.after = stage, ""
            if stage == "segments":
                pages = integrity.check_segments(scope, state.after)
            else:
                pages = integrity.check_objects(scope, timezone.now(), state.after)
            with _progress(scope, state) as advance:
                for page in pages:
                    for finding in page.findings:
                        facts = finding.as_json()
                        self.stdout.write(
                            json.dumps(facts)
                            if as_json
                            else "  ".join(filter(None, facts.values()))
                        )
                    self._record(page, state, repair=repair)
                    advance(page.checked)
                    yield

    def _record(self, page: Page, state: CheckState, *, repair: bool) -> None:
        integrity.record_damage(page.findings)
        state.counts[state.stage] += page.checked
        state.counts.update(finding.fault.value for finding in page.findings)
        if repair and any(finding.fault is Fault.ORPHAN for finding in page.findings):
            if integrity.has_old_journals(Path(settings.SPOOL_DIR), timezone.now()):
                self.stderr.write(
                    "orphans kept: they may belong to a journal that waits in the spool"
                )
            else:
                state.counts["removed"] += integrity.remove_orphans(page.findings)
        state.after = page.last


def _not_completed(message: str) -> CommandError:
    return CommandError(message, returncode=NOT_COMPLETED)


def _parse_since(text: str | None) -> datetime | None:
    """Returns an aware datetime. Raises `CommandError`, which names the option."""
    if text is None:
        return None
    try:
        day = parse_date(text)
        # both are made aware below
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # noqa: DTZ001
    except ValueError:
        moment = None
    if moment is None:
        raise _not_completed("--since: not a date or time like 2026-11-23T09:30:00Z")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _state_path() -> Path:
    return Path(settings.DATA_DIR) / "check_recordings.json"


@contextmanager
def _progress(scope: Scope, state: CheckState) -> Iterator[Any]:
    """Shows a progress bar if stderr is a terminal; yields a function that advances it by a number
    of rows or objects.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(
        *columns, *times, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        # The number of objects is unknown; that of segments costs a query.
        is_countable = console.is_terminal and state.stage == "segments"
        total = integrity.segment_count(scope) if is_countable else None
        task = progress.add_task(state.stage, total=total, completed=state.counts[state.stage])
        yield lambda checked: progress.advance(task, checked)
