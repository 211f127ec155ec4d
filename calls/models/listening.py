"""Ledger entries of those who hear a live call: they are written before anything is heard."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from django.db.models.functions import Greatest
from django.utils import timezone

from calls.models.ledger import LedgerEntry

RECORDED = "recording"
"""`detail.through` of a live call that is heard as recorded so far, not through its socket."""

SAME_PLAYBACK = timedelta(minutes=5)
"""Requests of one user within this time are one playback: a player asks for one range after
another.
"""


def begin(call_id: UUID, username: str, **detail: str) -> UUID:
    """Writes an entry that begins and ends now; returns its id."""
    now = timezone.now()
    return LedgerEntry.objects.create(
        id=uuid4(),
        call_id=call_id,
        kind=LedgerEntry.Kind.LISTENING,
        started_at=now,
        ended_at=now,
        detail={"user": username, **detail},
    ).pk


def extend(entry_id: UUID) -> None:
    """Moves the end of an entry to now."""
    LedgerEntry.objects.filter(id=entry_id).update(ended_at=Greatest("started_at", timezone.now()))


def note_playback(call_id: UUID, username: str) -> None:
    """Notes that the recorded part of a live call is sent to a user."""
    last = (
        LedgerEntry.objects.filter(
            call_id=call_id,
            kind=LedgerEntry.Kind.LISTENING,
            ended_at__gt=timezone.now() - SAME_PLAYBACK,
            detail__user=username,
            detail__through=RECORDED,
        )
        .order_by("-started_at")
        .values_list("pk", flat=True)
        .first()
    )
    if last is None:
        begin(call_id, username, through=RECORDED)
    else:
        extend(last)
