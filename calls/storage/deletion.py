"""Deleting a call with its audio: rows first, in one transaction, then the objects.

No row ever points at missing audio, because the rows go first and all at once. No object stays
behind for good, because the transaction that deletes a segment writes the name of its object down
(`DiscardedAudio`), and `sweep` removes what is written there: right after the commit, and again
from time to time, for what a crash or an absent store left.

A call is taken apart in batches, so memory stays flat however long it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Count, F, QuerySet, Sum

from calls.models import Call, DiscardedAudio, LedgerEntry, Participant, Segment, Subscription
from calls.storage import audio_store

log = structlog.get_logger(__name__)

ROWS_PER_BATCH = 1000
OBJECTS_PER_BATCH = 100  # a slow store answers in some 20 ms, so a deadline is kept to about 2 s
SWEEP_SECONDS = (
    5.0  # how long somebody who deletes in a browser waits; the rest is for the next sweep
)


class StillLive(Exception):
    """The call has an open socket, or had one within the grace time: its recorder still writes
    rows.
    """


@dataclass(frozen=True)
class Extent:
    """What deleting some calls takes away. `seconds` counts the audio of all tracks, `stored_bytes`
    its objects.
    """

    calls: int
    participants: int
    segments: int
    ledger_entries: int
    seconds: float
    stored_bytes: int


def extent_of(call_ids: Collection[UUID]) -> Extent:
    segments = Segment.objects.filter(participant__call__in=call_ids).aggregate(
        count=Count("pk"),
        seconds=Sum(F("sample_count") * 1.0 / F("sample_rate"), default=0.0),
        stored_bytes=Sum("stored_bytes", default=0),
    )
    return Extent(
        calls=Call.objects.filter(pk__in=call_ids).count(),
        participants=Participant.objects.filter(call__in=call_ids).count(),
        segments=segments["count"],
        ledger_entries=LedgerEntry.objects.filter(call__in=call_ids).count(),
        seconds=segments["seconds"],
        stored_bytes=segments["stored_bytes"],
    )


def live_among(call_ids: Collection[UUID], now: datetime) -> QuerySet[Call]:
    """Those of the calls that cannot be deleted yet."""
    live: QuerySet[Call] = Call.objects.filter(pk__in=call_ids).with_state(now).filter(state="live")
    return live


def delete_call(call_id: UUID, now: datetime) -> None:
    """Deletes all rows of the call in one transaction; its objects are left to `sweep`.

    A call that is gone already is no error. Raises `StillLive`, with nothing deleted.
    """
    with transaction.atomic():
        # The lock keeps a sealer that is behind from adding to a call that is being taken apart.
        if not list(Call.objects.select_for_update().filter(pk=call_id).values_list("pk")):
            return
        if live_among([call_id], now):
            raise StillLive("the call is live: it can be deleted once it has ended")
        for children in (Participant.objects.all(), Subscription.objects.all()):
            list(children.select_for_update().filter(call=call_id).order_by("pk").values_list("pk"))
        segments = _discard_segments(call_id)
        LedgerEntry.objects.filter(call=call_id).delete()
        Call.objects.filter(
            pk=call_id
        ).delete()  # and by cascade its participants and subscriptions
    log.info("call deleted", call=str(call_id), segments=segments)


def sweep(seconds: float | None = None) -> int:
    """Removes the objects whose rows are deleted, for about so many seconds, or all; returns how
    many were removed.

    Raises what the store raises when it is away. Nothing is forgotten then: the next sweep takes up
    the rest.
    """
    deadline = None if seconds is None else monotonic() + seconds
    removed = 0
    while batch := list(DiscardedAudio.objects.order_by("name")[:OBJECTS_PER_BATCH]):
        removed += _remove_objects(batch)
        if deadline is not None and monotonic() > deadline:
            break
    if removed:
        log.info("audio of deleted calls removed", objects=removed)
    return removed


def sweep_after_commit() -> None:
    """Sweeps for a while once the current transaction is committed; a store that is away is logged,
    not raised.
    """
    transaction.on_commit(_sweep_for_a_while, robust=True)


def _sweep_for_a_while() -> None:
    sweep(SWEEP_SECONDS)


def _discard_segments(call_id: UUID) -> int:
    """Turns the call's segments into names of discarded audio; returns how many they were."""
    count = 0
    for batch in _batches_of_segments(call_id):
        DiscardedAudio.objects.bulk_create(
            [DiscardedAudio(name=name, segment_id=segment_id) for segment_id, name in batch],
            ignore_conflicts=True,
        )
        Segment.objects.filter(pk__in=[segment_id for segment_id, _name in batch]).delete()
        count += len(batch)
    return count


def _batches_of_segments(call_id: UUID) -> Iterator[list[tuple[UUID, str]]]:
    """(id, name of the object) of segments that are still there, each time asked anew: the caller
    deletes them.
    """
    remaining = (
        Segment.objects.filter(participant__call=call_id).order_by().values_list("pk", "audio_name")
    )
    while batch := list(remaining[:ROWS_PER_BATCH]):
        yield batch


def _remove_objects(batch: list[DiscardedAudio]) -> int:
    """Removes the objects, then forgets their names: a crash in between only repeats the
    removal.
    """
    ids = [discarded.segment_id for discarded in batch]
    # Names are derived, so a journal that is sealed again after the deletion has its object under
    # the same name.
    sealed_again = set(Segment.objects.filter(pk__in=ids).values_list("audio_name", flat=True))
    store = audio_store()
    unwanted = [discarded.name for discarded in batch if discarded.name not in sealed_again]
    for name in unwanted:
        store.delete(name)
    DiscardedAudio.objects.filter(name__in=[discarded.name for discarded in batch]).delete()
    return len(unwanted)
