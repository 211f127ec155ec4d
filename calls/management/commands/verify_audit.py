"""Checks the hash chain of the audit, from the first entry to the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track

from calls.audit.chain import Link, verdict_of
from calls.audit.trail import link_of
from calls.models import AuditEntry

ENTRIES_PER_QUERY = 2_000
MOST_PRINTED = 100


class Command(BaseCommand):
    help = (
        "Checks the hash chain of the audit. Prints altered, removed, inserted and swapped entries "
        "with their numbers, and then exits with 1."
    )

    def handle(self, **_options: Any) -> None:
        count = AuditEntry.objects.count()
        # On standard error, and only on a terminal.
        console = Console(stderr=True, quiet=not self.stderr.isatty())
        verdict = verdict_of(track(_links(), "Checking", total=count, console=console))
        for fault in verdict.faults[:MOST_PRINTED]:
            self.stdout.write(fault.text)
        if more := verdict.faults[MOST_PRINTED:]:
            self.stdout.write(f"{len(more)} more faults.")
        if verdict.faults:
            raise CommandError(f"{verdict.count} entries, {len(verdict.faults)} faults.")
        head = f"Entry {verdict.number} is the last; its hash is {verdict.hash}."
        self.stdout.write(f"{verdict.count} entries, no fault. {head}")


def _links() -> Iterator[Link]:
    """Yields all entries in order; each query continues after the last number of the one before."""
    entries, last = AuditEntry.objects.order_by("number"), None
    while True:
        rest = entries if last is None else entries.filter(number__gt=last)
        if not (batch := list(rest[:ENTRIES_PER_QUERY])):
            return
        yield from map(link_of, batch)
        last = batch[-1].number
