"""Computes and signs the evidence of recorded calls that have none, oldest first. See
docs/evidence.md.
"""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Exists, OuterRef, Q, QuerySet

from calls.evidence import keys, seals
from calls.identity import is_canary
from calls.models import Call, CallSeal

BATCH = 500
PROGRESS_SECONDS = 5.0


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--all",
            action="store_true",
            help="Read sealed calls again, too; those that differ get a new version.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        self._done: Counter[str] = Counter()
        self._shown_at = monotonic()
        calls = Call.objects.order_by("started_at", "pk")
        if not options["all"]:  # an interrupted run goes on where it was
            seal = CallSeal.objects.filter(call_id=OuterRef("pk")).exclude(signature="")
            calls = calls.filter(~Q(Exists(seal)))
        try:
            if keys.current_key() is None:
                self.stderr.write("EVIDENCE_KEY is not set: roots are computed, and not signed.")
            self._seal_all(calls)
        except keys.WrongKey as error:
            raise CommandError(f"EVIDENCE_KEY: {error}.") from error
        self.stdout.write(self._sum())

    def _seal_all(self, calls: QuerySet[Call]) -> None:
        after = Q()
        columns = ("started_at", "pk", "call_connection_id")
        while rows := list(calls.filter(after).values_list(*columns)[:BATCH]):
            for _started_at, pk, connection_id in rows:
                if not is_canary(connection_id):
                    self._seal(pk)
            started_at, pk, _connection_id = rows[-1]
            after = Q(started_at__gt=started_at) | Q(started_at=started_at, pk__gt=pk)

    def _seal(self, call_id: UUID) -> None:
        try:
            self._done["sealed"] += bool(seals.seal(call_id))
        except seals.Incomplete:
            self._done["incomplete"] += 1
        if monotonic() - self._shown_at > PROGRESS_SECONDS:
            self._shown_at = monotonic()
            self.stderr.write(f"{self._sum()} …")

    def _sum(self) -> str:
        return f"{self._done['sealed']} calls sealed, {self._done['incomplete']} not complete yet"
