"""Retention: deletes calls that ended before a day, with their audio."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from rich.console import Console
from rich.progress import track

from calls.models import Call
from calls.storage import deletion
from calls.times import midnight

CALLS_PER_BATCH = 500


class Command(BaseCommand):
    help = (
        "Deletes calls that ended before a day (UTC), with their audio. Live calls are never "
        "deleted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--ended-before",
            required=True,
            metavar="YYYY-MM-DD",
            help="The first day that is kept.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be deleted, and delete nothing."
        )

    def handle(self, *, ended_before: str, dry_run: bool, **_options: Any) -> None:
        """Exit code 1 where the store is away: the rows are deleted then, and the next sweep
        removes the objects.
        """
        ids = _ended_before(_midnight(ended_before))
        extents = [
            deletion.extent_of(ids[at : at + CALLS_PER_BATCH])
            for at in range(0, len(ids), CALLS_PER_BATCH)
        ]
        segments, stored = (
            sum(each.segments for each in extents),
            sum(each.stored_bytes for each in extents),
        )
        what = f"{len(ids)} calls with {segments} segments, {filesizeformat(stored)} of audio"
        if dry_run:
            self.stdout.write(f"Would delete {what}.")
            return
        # On standard error, and only where somebody watches.
        console = Console(stderr=True, quiet=not self.stderr.isatty())
        for pk in track(ids, "Deleting", console=console):
            try:
                deletion.delete_call(pk, timezone.now())
            except deletion.StillLive:  # it came back since the list was made
                self.stderr.write(f"{pk} is live again, and kept")
        deletion.sweep()
        self.stdout.write(f"Deleted {what}.")


def _ended_before(moment: datetime) -> list[UUID]:
    """Oldest first. A call starts before it ends, so the index of starts bounds the search."""
    calls = (
        Call.objects.filter(started_at__lt=moment)
        .with_state(timezone.now())
        .filter(ended_at__lt=moment)
    )
    return list(calls.order_by("started_at").values_list("pk", flat=True))


def _midnight(day: str) -> datetime:
    try:
        return midnight(date.fromisoformat(day))
    except ValueError as error:
        raise CommandError(f"--ended-before: {day!r} is no day like 2026-01-31") from error
