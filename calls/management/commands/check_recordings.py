"""Checks recordings: the audio of every row, and the row of every stored object. See
docs/operations.md.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, time
from pathlib import Path
from time import monotonic
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from calls.storage import WrongStore, adoption, damage, deletion, integrity
from calls.storage.integrity import Fault, Finding, Page, Scope
from calls.storage.store_check import StoreCheck

FAULTS_FOUND, NOT_COMPLETED = 1, 2
"""Exit codes: faults were found; the check was not made, or not completed."""
STAGES = ("segments", "objects", "orphans")
"""The third one, which removes or adopts, looks at the objects again: only when all are known is it
known how many have no row.
"""
MOST_ORPHANS = 0.01
"""Largest part of the objects, of all or of one day, that is removed without `--yes`. More of them
mean that rows are missing: a database that was restored lacks those since its backup.
"""
LINE_SECONDS = 60.0
"""Without a terminal, one line of progress so often."""

FLAGS = {
    "--quick": "Check sizes and headers only, without reading audio.",
    "--resume": "Continue an interrupted check.",
    "--yes": "Go on although very many objects have no row, or the store seems to be the wrong one "
    "because it has no audio of the segments.",
    "--json": "Print one JSON object per line: the findings, then the totals.",
}
ACTIONS = {
    "--adopt": "Make rows of objects without a row, for example after the database was restored "
    "from a backup. Objects of older versions, which name no origin, are left as they are.",
    "--repair": "Remove objects without a row, and those left by deletions. Refuses if more than "
    "1 %% of all objects, or of those of one day, have no row.",
}

DESCRIPTION = """\
Checks that every segment's audio is stored and undamaged, and that every stored object has a row.
Faults of audio are entered in the events of their calls; when a later check finds the audio intact,
the entries are closed.
"""
EPILOG = """\
exit codes:
  0  no problem found
  1  problems found, as listed
  2  not completed: the store or the database is unreachable, or it is not the store of these
     recordings (nothing is entered or removed in that case)

A full check reads all audio. --quick asks the store for the size and the first bytes of each
object: two requests, without reading audio.
"""


@dataclass
class CheckState:
    """Position and counts of a check, saved in a small file for `--resume`."""

    scope: dict[str, Any]
    stage: str = "segments"
    after: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    objects_by_day: Counter[str] = field(default_factory=Counter)
    orphans_by_day: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        mended = self.counts["removed"] + self.counts["adopted"]
        return sum(self.counts[fault] for fault in Fault) - mended

    @property
    def too_many_orphans(self) -> str:
        """Returns why orphans are not removed without `--yes`; "" if there are few."""
        everything = self.counts["orphan"], self.counts["objects"]
        if everything[0] > everything[1] * MOST_ORPHANS:
            return f"{everything[0]} of {everything[1]} objects have no row"
        for day, orphans in sorted(self.orphans_by_day.items()):
            if orphans > self.objects_by_day[day] * MOST_ORPHANS:
                objects = self.objects_by_day[day]
                return f"{orphans} of {objects} objects stored on {day} have no row"
        return ""

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
            days = (Counter(saved[name]) for name in ("objects_by_day", "orphans_by_day"))
            state = cls(
                saved["scope"], saved["stage"], saved["after"], Counter(saved["counts"]), *days
            )
        except (ValueError, KeyError, TypeError) as error:
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
    help = DESCRIPTION
    _as_json = _yes = _repair = _adopt = False
    _store_check: StoreCheck
    requires_system_checks: list[str] = []  # it must also run with settings that stop a recorder

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = EPILOG
        parser.add_argument(
            "--since", help="Only segments sealed since then: a date, or ISO 8601 with a time zone."
        )
        parser.add_argument("--call", type=UUID, help="Only this call: its acsmedia id.")
        for name, text in FLAGS.items():
            parser.add_argument(name, action="store_true", help=text)
        action = parser.add_mutually_exclusive_group()
        for name, text in ACTIONS.items():
            action.add_argument(name, action="store_true", help=text)

    def handle(self, **options: Any) -> None:
        """Exits with 0 if all is well, 1 if faults were found, 2 if the check was not completed."""
        scope = Scope(_parse_since(options["since"]), options["call"], options["quick"])
        state = CheckState.load(scope, resume=options["resume"])
        self._store_check = StoreCheck()
        self._as_json, self._yes = options["json"], options["yes"]
        self._repair, self._adopt = options["repair"], options["adopt"]
        try:
            self._confirm_store()
            if self._repair:
                state.counts["swept"] += deletion.sweep()
            for _ in self._check(scope, state):
                state.save()
        except WrongStore as error:
            raise _not_completed(
                f"{error}: check AUDIO_STORE and its settings, or the mounted volume. Nothing was "
                "entered or removed. If the audio is really lost, add --yes"
            ) from error
        except (OSError, DatabaseError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise _not_completed(
                f"check not completed ({reason}); continue with --resume"
            ) from error
        except KeyboardInterrupt:
            raise _not_completed("interrupted; continue with --resume") from None
        _state_path().unlink(missing_ok=True)
        self._print_totals(state)
        if state.wrong:
            raise CommandError(f"faults found: {state.wrong}", returncode=FAULTS_FOUND)

    def _confirm_store(self) -> None:
        """Raises `WrongStore` if the store has no audio of the segments, unless `--yes` is given,
        and the errors of the store.
        """
        try:
            self._store_check.confirm()
        except WrongStore:
            if not self._yes:
                raise

    def _print_totals(self, state: CheckState) -> None:
        if too_new := state.counts["too_new"]:
            moment = timezone.now() + integrity.MIN_AGE
            self._line(
                f"objects without a row, not checked because they are younger than an hour: "
                f"{too_new}. Check again after {moment:%H:%M} UTC"
            )
        changes = ("resolved", "adopted", "removed", "swept")
        names = ("segments", "objects", *Fault, "too_new", *changes)
        totals = {str(name): state.counts[name] for name in names}
        self.stdout.write(
            json.dumps({"finding": None, "wrong": state.wrong, **totals})
            if self._as_json
            else ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in totals.items())
        )

    def _check(self, scope: Scope, state: CheckState) -> Iterator[None]:
        """Checks page by page; yields after each, when the position may be saved."""
        for stage in STAGES[STAGES.index(state.stage) :]:
            if stage == "orphans" and not self._may_change(state):
                return
            if stage != state.stage:
                state.stage, state.after = stage, ""
            with _progress(scope, state, self._line) as advance:
                for page in self._pages(scope, state):
                    self._record(page, state, quick=scope.quick)
                    state.after = page.last
                    advance(page.checked)
                    yield
            if stage == "segments":
                closed = damage.close_without_segment(scope.call_id, timezone.now())
                state.counts["resolved"] += closed

    def _pages(self, scope: Scope, state: CheckState) -> Iterator[Page]:
        if state.stage == "segments":
            return integrity.check_segments(scope, state.after)
        return integrity.check_objects(scope, timezone.now(), state.after)

    def _record(self, page: Page, state: CheckState, *, quick: bool) -> None:
        if state.stage == "orphans":
            self._change(page, state)
            return
        if any(finding.fault is Fault.AUDIO_MISSING for finding in page.findings):
            self._confirm_store()  # it may have been unmounted since the start
        for finding in page.findings:
            self._print(finding)
        if state.stage == "segments":
            state.counts["resolved"] += damage.record(page, timezone.now(), quick=quick)
        state.counts[state.stage] += page.checked
        state.counts["too_new"] += page.too_new
        state.counts.update(finding.fault.value for finding in page.findings)
        state.objects_by_day.update(page.by_day)
        state.orphans_by_day.update(
            finding.stored_on for finding in page.findings if finding.fault is Fault.ORPHAN
        )

    def _change(self, page: Page, state: CheckState) -> None:
        """Adopts or removes the orphans of a page."""
        if self._repair:
            state.counts["removed"] += integrity.remove_orphans(page.findings)
            return
        orphans = [finding for finding in page.findings if finding.fault is Fault.ORPHAN]
        left = adoption.adopt(orphans, timezone.now())
        state.counts["adopted"] += len(orphans) - len(left)
        for finding in left:
            self._print(finding)

    def _may_change(self, state: CheckState) -> bool:
        """Whether orphans may be adopted or removed; says so if not."""
        if not (self._repair or self._adopt) or not state.counts["orphan"]:
            return False
        if integrity.has_old_journals(Path(settings.SPOOL_DIR), timezone.now()):
            self._line("orphans kept: they may belong to a journal that waits in the spool")
            return False
        if self._repair and (reason := state.too_many_orphans) and not self._yes:
            self._line(
                f"orphans kept: {reason}. If the database was restored from a backup, use --adopt; "
                "to remove them, add --yes"
            )
            return False
        return True

    def _print(self, finding: Finding) -> None:
        facts = finding.as_json()
        self.stdout.write(
            json.dumps(facts) if self._as_json else "  ".join(filter(None, facts.values()))
        )

    def _line(self, text: str) -> None:
        """Prints a line that is no result."""
        self.stderr.write(text)


def _not_completed(message: str) -> CommandError:
    return CommandError(message, returncode=NOT_COMPLETED)


def _parse_since(text: str | None) -> datetime | None:
    """Returns an aware datetime. Raises `CommandError`, which names the option."""
    if text is None:
        return None
    try:
        day = parse_date(text)
        # both are made aware below
        moment = datetime.combine(day, time.min) if day else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise _not_completed("--since: not a date or time like 2026-11-23T09:30:00Z")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _state_path() -> Path:
    return Path(settings.DATA_DIR) / "check_recordings.json"


@contextmanager
def _progress(
    scope: Scope, state: CheckState, print_line: Callable[[str], None]
) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar if stderr is a terminal, otherwise a line now and then; yields a
    function that advances it by a number of rows or objects.
    """
    console = Console(stderr=True)
    # Objects are not counted beforehand; there is about one for each segment.
    total = integrity.segment_count(scope)
    if not console.is_terminal:
        yield _Lines(state.stage, total, print_line).advance
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True) as progress:
        task = progress.add_task(state.stage, total=total, completed=state.counts[state.stage])
        yield lambda checked: progress.advance(task, checked)


class _Lines:
    """Progress without a terminal: a line every `LINE_SECONDS`."""

    def __init__(self, stage: str, total: int, print_line: Callable[[str], None]) -> None:
        self._stage, self._total, self._print_line = stage, total, print_line
        self._checked, self._printed_at = 0, monotonic()

    def advance(self, checked: int) -> None:
        self._checked += checked
        if monotonic() - self._printed_at >= LINE_SECONDS:
            self._printed_at = monotonic()
            self._print_line(f"{self._stage}: {self._checked} of about {self._total}")
