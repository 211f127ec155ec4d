"""Retention: deletes calls that ended before a date, with their audio."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.template.defaultfilters import filesizeformat
from rich.console import Console
from rich.progress import track

from calls.audit.actors import command_actor
from calls.audit.trail import record
from calls.models import Action, Call, database_now
from calls.storage import deletion
from calls.storage.holds import Held, held_among
from calls.times import midnight

CALLS_PER_BATCH = 500


class Command(BaseCommand):
    help = (
        "Deletes calls that ended before a date (UTC), with their audio. Live calls are never "
        "deleted, and neither are calls under legal hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--ended-before",
            required=True,
            metavar="YYYY-MM-DD",
            help="The first day to keep.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Print what would be deleted; delete nothing."
        )

    def handle(self, *, ended_before: str, dry_run: bool, **_options: Any) -> None:
        """Exits with 1 if the store is unreachable. The rows are deleted by then, and the next
        sweep removes the objects.
        """
        try:
            end = midnight(date.fromisoformat(ended_before))
        except ValueError as error:
            raise CommandError(
                f"--ended-before: {ended_before!r} is not a date like 2026-01-31"
            ) from error
        ids = deletion.ended_before(end, database_now())
        extents = [
            deletion.extent_of(ids[at : at + CALLS_PER_BATCH])
            for at in range(0, len(ids), CALLS_PER_BATCH)
        ]
        segments = sum(extent.segments for extent in extents)
        stored = sum(extent.stored_bytes for extent in extents)
        summary = f"{len(ids)} calls with {segments} segments, {filesizeformat(stored)} of audio"
        if dry_run:
            self.stdout.write(f"Would delete {summary}.")
            batches = range(0, len(ids), CALLS_PER_BATCH)
            if held := sum(held_among(ids[at : at + CALLS_PER_BATCH]) for at in batches):
                self.stdout.write(f"{held} of them under legal hold would be kept.")
            return
        kept = self._delete_all(ids)
        deletion.sweep()
        self.stdout.write(f"Deleted {summary}.")
        if kept:
            self.stdout.write(f"Of these, {kept} calls were kept; see above.")

    def _delete_all(self, ids: Sequence[UUID]) -> int:
        """Deletes the calls, and returns how many were kept."""
        # On standard error, and only on a terminal.
        console = Console(stderr=True, quiet=not self.stderr.isatty())
        kept = 0
        for pk in track(ids, "Deleting", console=console):
            try:
                _delete(pk)
            except deletion.StillLive:  # it has reconnected since the list was read
                self.stderr.write(f"{pk} is live again: kept")
                kept += 1
            except Held as held:
                self.stderr.write(f"{pk}: {held}")
                kept += 1
        return kept


def _delete(pk: UUID) -> None:
    """Deletes a call, with its entry in the audit or not at all."""
    with transaction.atomic():
        call = Call.objects.filter(pk=pk).first()
        deletion.delete_call(pk, database_now())
        if call:  # otherwise somebody else has deleted it
            record(Action.DELETED, actor=command_actor("delete_calls"), call=call)
