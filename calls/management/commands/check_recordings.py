"""Proves the recordings: every row has its audio, every stored object has its row. See
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
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from calls.storage import deletion, integrity
from calls.storage.integrity import Fault, Finding, Page, Scope

WRONG, NOT_CHECKED = 1, 2
"""Exit codes: something is wrong; the check could not be made, or not to its end."""
STAGES = ("segments", "objects")


@dataclass
class CheckState:
    """How far a check is, and what it has counted. Kept in a small file, so that `--resume` goes on
    with it.
    """

    scope: dict[str, Any]
    stage: str = "segments"
    after: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        return sum(self.counts[fault] for fault in Fault) - self.counts["removed"]


class Command(BaseCommand):
    help = (
        "Checks that every segment's audio is there, whole and right, and that every stored "
        "object has a row."
    )
    requires_system_checks: list[str] = []  # it must also run where a recorder could not

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument(
            "--since", help="Only what was sealed since then: a date, or ISO 8601 with its zone."
        )
        parser.add_argument("--call", type=UUID, help="Only this call: our id.")
        parser.add_argument(
            "--quick",
            action="store_true",
            help="Sizes and headers only; reads no audio, hashes none.",
        )
        parser.add_argument(
            "--resume", action="store_true", help="Go on where an interrupted check was."
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Remove what no row needs, and what deletions left.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="One JSON object a line: the findings, then the sums.",
        )

    def handle(self, **options: Any) -> None:
        """Exit code 0 where all is well, 1 where something is wrong, 2 where that could not be
        found out.
        """
        scope = Scope(_moment(options["since"]), options["call"], options["quick"])
        standing = _standing(scope, resume=options["resume"])
        try:
            if options["repair"]:
                standing.counts["swept"] += deletion.sweep()
            for _ in self._check(
                scope, standing, repair=options["repair"], as_json=options["json"]
            ):
                _keep(standing)
        except (OSError, DatabaseError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise CommandError(
                f"not checked to its end ({reason}); go on with --resume", returncode=NOT_CHECKED
            ) from error
        except KeyboardInterrupt:
            raise _not_checked("interrupted; go on with --resume") from None
        _state_path().unlink(missing_ok=True)
        self._conclude(standing, as_json=options["json"])

    def _check(
        self, scope: Scope, standing: CheckState, *, repair: bool, as_json: bool
    ) -> Iterator[None]:
        """Yields when a page is done and its place may be kept."""
        for stage in STAGES[STAGES.index(standing.stage) :]:
            if stage != standing.stage:
                standing.stage, standing.after = stage, ""
            with _progress(scope, standing) as advance:
                for page in _pages(scope, standing):
                    for finding in page.findings:
                        self._say(finding, as_json=as_json)
                    self._take(page, standing, repair=repair)
                    advance(page.checked)
                    yield

    def _take(self, page: Page, standing: CheckState, *, repair: bool) -> None:
        integrity.enter(page.findings)
        standing.counts[standing.stage] += page.checked
        standing.counts.update(finding.fault.value for finding in page.findings)
        if repair and any(finding.fault is Fault.ORPHAN for finding in page.findings):
            if integrity.journals_wait(Path(settings.SPOOL_DIR), timezone.now()):
                self.stderr.write(
                    "orphans are left: a journal waits in the spool, they may be its audio"
                )
            else:
                standing.counts["removed"] += integrity.remove(page.findings)
        standing.after = page.last

    def _say(self, finding: Finding, *, as_json: bool) -> None:
        segment = str(finding.segment_id) if finding.segment_id else None
        if as_json:
            shown = {
                "finding": finding.fault.value,
                "object": finding.name,
                "segment": segment,
                "why": finding.why,
            }
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write(
                "  ".join(filter(None, (finding.fault.value, finding.name, segment, finding.why)))
            )

    def _conclude(self, standing: CheckState, *, as_json: bool) -> None:
        names = ("segments", "objects", *Fault, "removed", "swept")
        sums = {str(name): standing.counts[name] for name in names}
        if as_json:
            self.stdout.write(json.dumps({"finding": None, "wrong": standing.wrong, **sums}))
        else:
            self.stdout.write(
                ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sums.items())
            )
        if standing.wrong:
            raise CommandError(f"{standing.wrong} wrong", returncode=WRONG)


def _not_checked(message: str) -> CommandError:
    return CommandError(message, returncode=NOT_CHECKED)


def _pages(scope: Scope, standing: CheckState) -> Iterator[Page]:
    if standing.stage == "segments":
        return integrity.segments(scope, standing.after)
    return integrity.objects(scope, timezone.now(), standing.after)


def _moment(text: str | None) -> datetime | None:
    """Raises `CommandError` that names the option."""
    if text is None:
        return None
    try:
        day = parse_date(text)
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # noqa: DTZ001 - see below
    except ValueError:
        moment = None
    if moment is None:
        raise _not_checked("--since: a date, or a moment such as 2026-11-23T09:30:00Z")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _standing(scope: Scope, *, resume: bool) -> CheckState:
    """Where to begin. Raises `CommandError` where another check was interrupted than the one that
    is asked for.
    """
    options = json.loads(json.dumps(asdict(scope), default=str))
    if not resume:
        _state_path().unlink(missing_ok=True)
    if not _state_path().exists():
        return CheckState(options)
    try:
        kept = json.loads(_state_path().read_text())
        standing = CheckState(kept["scope"], kept["stage"], kept["after"], Counter(kept["counts"]))
    except (ValueError, KeyError) as error:
        raise _not_checked(f"{_state_path()} cannot be read: check without --resume") from error
    if standing.scope != options or standing.stage not in STAGES:
        raise CommandError(
            f"--resume: the interrupted check had other options: {standing.scope}",
            returncode=NOT_CHECKED,
        )
    return standing


def _keep(standing: CheckState) -> None:
    partial = _state_path().with_suffix(".partial")
    partial.write_text(json.dumps(vars(standing)))
    partial.replace(_state_path())


def _state_path() -> Path:
    return Path(settings.DATA_DIR) / "check_recordings.json"


@contextmanager
def _progress(scope: Scope, standing: CheckState) -> Iterator[Any]:
    """A bar on stderr where it is a terminal; yields what takes the number that were checked."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(
        *columns, *times, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        known = (
            console.is_terminal and standing.stage == "segments"
        )  # nobody knows how many objects there are
        total = integrity.segment_count(scope) if known else None
        task = progress.add_task(
            standing.stage, total=total, completed=standing.counts[standing.stage]
        )
        yield lambda checked: progress.advance(task, checked)
