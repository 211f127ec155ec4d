"""Refused handshakes as rows: written by the processes that refuse, removed after a month."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from threading import Event

from django.db import transaction
from django.db.models import Min, Q

from calls.coverage import due
from calls.models import RefusedHandshake, database_now

KEPT = timedelta(days=30)
MOST_ROWS = 500_000
"""A flood that names a call in each handshake makes up to 500 rows a minute and reason."""
REMOVED_AT_ONCE = 5_000

SIGNED = ("expired", "not_yet_valid", "missing_claim", "wrong_issuer", "wrong_audience")
"""Refusals of a token that Microsoft has signed: they prove a call. Anybody can cause the others,
with the id of a call that never was.
"""

CALLS_PER_MINUTE = 20
"""Calls of one minute that refusals alone may prove. Every customer of ACS has tokens signed by
Microsoft, for a resource of their own: a flood must not invent thousands of missing calls.
"""

MOST_MINUTES = 240
"""Minutes of refusals that are written at once and may prove calls: after an outage of the
database, those of the last hours.
"""

REMOVING_SECONDS = 15.0


def store(rows: Sequence[RefusedHandshake]) -> None:
    """Writes rows in one transaction. One that exists gets the new count and the new last time."""
    with transaction.atomic():
        RefusedHandshake.objects.bulk_create(
            rows,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["last_at", "count"],
        )
        proven = _first_calls([row for row in rows if row.reason in SIGNED])
        due.mark(
            [_key_of(row) for row in rows if row.call_connection_id in proven],
            known=[_key_of(row) for row in rows if row.call_connection_id not in proven],
        )


def _first_calls(signed: Iterable[RefusedHandshake]) -> set[str]:
    """Returns the connection ids that are among the first calls of their minute, in which all
    processes together may prove `CALLS_PER_MINUTE` of them. Index: refusal_newest_first.
    """
    minutes = {
        row.first_at.replace(second=0, microsecond=0) for row in signed if row.call_connection_id
    }
    found: set[str] = set()
    for minute in sorted(minutes)[-MOST_MINUTES:]:
        named = RefusedHandshake.objects.filter(
            first_at__gte=minute, first_at__lt=minute + timedelta(minutes=1), reason__in=SIGNED
        ).exclude(call_connection_id="")
        calls = named.order_by().values("call_connection_id").annotate(first=Min("first_at"))
        ordered = calls.order_by("first", "call_connection_id")
        found |= set(ordered.values_list("call_connection_id", flat=True)[:CALLS_PER_MINUTE])
    return found


def _key_of(row: RefusedHandshake) -> due.CallKey:
    return due.CallKey(row.call_connection_id, "", row.first_at)


def remove_old(stopping: Event) -> None:
    """Removes rows older than `KEPT`, and the oldest ones beyond `MOST_ROWS`. A job."""
    newest_first = RefusedHandshake.objects.order_by("-first_at", "-id")
    old = Q(first_at__lt=database_now() - KEPT)
    if beyond := newest_first.values_list("first_at", flat=True)[MOST_ROWS : MOST_ROWS + 1]:
        old |= Q(first_at__lte=beyond[0])
    until = time.monotonic() + REMOVING_SECONDS  # the rest in the next run
    while time.monotonic() < until and not stopping.is_set():
        ids = RefusedHandshake.objects.filter(old).order_by("first_at").values_list("id", flat=True)
        removed, _ = RefusedHandshake.objects.filter(id__in=list(ids[:REMOVED_AT_ONCE])).delete()
        if not removed:
            return
