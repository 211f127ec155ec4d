"""Deletion of a call with its audio: rows first, in one transaction, then the objects.

No row ever points to missing audio, because all rows are deleted first, at once. No object stays
behind for good, because the transaction that deletes a segment records the name of its object
(`DiscardedAudio`). `sweep` removes the recorded objects: right after the commit, and again
periodically, in case of a crash or an unreachable store.

Rows are deleted in batches, so memory stays flat for calls of any length.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from time import monotonic
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone

from calls.identity import is_canary
from calls.models import (
    AnsweredCall,
    AwaitedEnd,
    Call,
    CallCoverage,
    CallEvent,
    DiscardedAudio,
    EventType,
    LedgerEntry,
    NewEvent,
    OutgoingEvent,
    Participant,
    Segment,
    Subscription,
    coverage_id_of,
)
from calls.storage import audio_store
from calls.storage.holds import raise_if_held

log = structlog.get_logger(__name__)

ROWS_PER_BATCH = 1000
SWEEP_LOCK = 0x61637377
"""Number of Postgres's advisory lock of the process that sweeps ("acsw")."""
SWEEP_SECONDS = 5.0
"""Longest time that a deletion in a browser waits for the store; the next sweep removes the rest.
"""


class StillLive(Exception):
    """The call has an open socket, or had one within the grace time, or nobody has ended its
    socket: a recorder still writes rows.
    """


@dataclass(frozen=True)
class Extent:
    """Rows and audio that a deletion of calls would remove.

    `seconds` is the audio of all tracks, `stored_bytes` the size of its objects.
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


def ended_before(moment: datetime, now: datetime | Now) -> list[UUID]:
    """Returns the calls that retention deletes: those that ended before `moment`, oldest first."""
    # A call starts before it ends, so the index of starts bounds the search.
    calls = Call.objects.filter(started_at__lt=moment).with_state(now)
    ended = calls.filter(ended_at__lt=moment)  # type: ignore[misc]  # annotated
    return list(ended.order_by("started_at").values_list("pk", flat=True))


def live_among(call_ids: Collection[UUID], now: datetime | Now) -> QuerySet[Call]:
    """Returns the calls that cannot be deleted yet: live ones, and those of which a recorder has
    not ended a socket, even if its heartbeat is late.
    """
    sockets = Subscription.objects.filter(call__in=call_ids)
    open_ones = sockets.live(now) | sockets.unfinished(now)
    return Call.objects.filter(pk__in=open_ones.order_by().values("call"))


def delete_call(call_id: UUID, now: datetime | Now) -> None:
    """Deletes all rows of the call in one transaction, and leaves its objects to `sweep`.

    Does nothing if the call does not exist. Raises `StillLive` or `holds.Held`, with nothing
    deleted.
    """
    with transaction.atomic():
        # The lock stops a late sealer from adding rows to a call that is being deleted.
        call = Call.objects.select_for_update().filter(pk=call_id).first()
        if call is None:
            return
        if live_among([call_id], now):
            raise StillLive("the call is live: it can be deleted once a recorder has ended it")
        raise_if_held(call)
        for children in (Participant.objects.all(), Subscription.objects.all()):
            list(children.select_for_update().filter(call=call_id).order_by("pk").values_list("pk"))
        segments = _discard_segments(call_id)
        LedgerEntry.objects.filter(call=call_id).delete()
        _forget(call)
        Call.objects.filter(pk=call_id).delete()  # cascades to participants and subscriptions
        _tell(call)
    log.info("call deleted", call=str(call_id), segments=segments)


def _delete_events(call: Call) -> None:
    """Deletes the events of ACS that are about no other call: they contain names and numbers. And
    the row of a call that acsmedia has answered.
    """
    others = Call.objects.exclude(pk=call.pk)
    connection_id, correlation_id = call.call_connection_id, call.correlation_id
    if connection_id and others.filter(call_connection_id=connection_id).exists():
        return
    if correlation_id and others.filter(correlation_id=correlation_id).exists():
        correlation_id = ""  # the events that name it alone are of both calls
    if connection_id:
        AnsweredCall.objects.filter(call_connection_id=connection_id).delete()
    if correlation_id:
        AnsweredCall.objects.filter(call_connection_id="", correlation_id=correlation_id).delete()
    found = CallEvent.objects.of_call(connection_id, correlation_id).order_by()
    found = found.exclude(call_connection_id="", server_call_id__in=_shared_servers(connection_id))
    # The rows first: SQLite would look for the ids of a call among rows that are deleted already.
    ids = list(found.values_list("pk", flat=True))
    for start in range(0, len(ids), ROWS_PER_BATCH):
        CallEvent.objects.filter(pk__in=ids[start : start + ROWS_PER_BATCH]).delete()


def _shared_servers(connection_id: str) -> list[str]:
    """Returns the server's ids of the call that another recorded call has too, such as the other
    leg of a transfer: events that name only such an id are about both. Index: event_of_server_call.
    """
    named = CallEvent.objects.exclude(server_call_id="").order_by()
    own = named.filter(call_connection_id=connection_id).values("server_call_id")
    others = named.exclude(call_connection_id__in=("", connection_id)).filter(
        Exists(Call.objects.filter(call_connection_id=OuterRef("call_connection_id"))),
        server_call_id__in=own,
    )
    return list(others.values_list("server_call_id", flat=True).distinct()) if connection_id else []


def _tell(call: Call) -> None:
    """Adds the event of the deletion, and removes all others about the call: they name its
    participants.
    """
    AwaitedEnd.objects.filter(call_id=call.pk).delete()
    OutgoingEvent.objects.filter(call_id=call.pk).delete()
    if is_canary(call.call_connection_id):
        return
    deleted_at = timezone.now()
    data = {
        "id": str(call.pk),
        "call_connection_id": call.call_connection_id,
        "correlation_id": call.correlation_id,
        "started_at": call.started_at.isoformat(),
        "deleted_at": deleted_at.isoformat(),
    }
    key = f"{call.pk}:{deleted_at.isoformat()}"  # audio that is sealed later makes it a call again
    OutgoingEvent.objects.add(NewEvent(EventType.CALL_DELETED.value, deleted_at, data, key))


def _forget(call: Call) -> None:
    """Deletes the events of ACS about a call, which name people, with its last recording. The
    coverage of the call stays: numbers and times.
    """
    ids = (call.call_connection_id, call.correlation_id)
    # One that is not judged yet never will be: from now on its recording counts as deleted.
    unjudged = CallCoverage.objects.filter(id=coverage_id_of(*ids, call.pk), judged_at=None)
    unjudged.update(facts={"recordings": 1})
    _delete_events(call)


def sweep(seconds: float | None = None, stopping: Event | None = None) -> int:
    """Removes objects whose rows are deleted, for about `seconds`, or all of them; until `stopping`
    is set. Returns how many were removed; at once if another process is sweeping.

    Raises the errors of the store. The objects that are left stay recorded for the next sweep.
    """
    deadline = None if seconds is None else monotonic() + seconds
    removed = 0
    while (count := _sweep_batch()) is not None:
        removed += count
        if (deadline is not None and monotonic() > deadline) or (stopping and stopping.is_set()):
            break
    if removed:
        log.info("deleted audio removed", objects=removed)
    return removed


def is_left() -> bool:
    """Whether objects of deleted rows wait for a sweep."""
    return DiscardedAudio.objects.exists()


def _sweep_batch() -> int | None:
    """Removes some objects in one transaction; returns how many, or None if there is nothing to
    do.
    """
    with transaction.atomic():
        if not (DiscardedAudio.objects.exists() and _sweeps_alone()):
            return None
        store = audio_store()  # not before there is an object to delete: it may be unreachable
        batch = list(DiscardedAudio.objects.order_by("name")[: store.most_deleted_at_once])
        # Names are derived: a journal that is sealed again after the deletion stores its object
        # under the same name.
        again = Segment.objects.filter(pk__in=[discarded.segment_id for discarded in batch])
        sealed_again = set(again.values_list("audio_name", flat=True))
        names = [discarded.name for discarded in batch]
        unwanted = [name for name in names if name not in sealed_again]
        store.delete_all(unwanted)
        # After the objects: a crash in between only repeats the removal.
        DiscardedAudio.objects.filter(name__in=names).delete()
    return len(unwanted)


def _sweeps_alone() -> bool:
    """Whether no other process is sweeping. The lock ends with the transaction; SQLite, which
    serves one host, has none: then a batch may be removed twice, which is harmless.
    """
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SWEEP_LOCK])
        return bool(cursor.fetchone()[0])


def sweep_after_commit() -> None:
    """Sweeps for `SWEEP_SECONDS` after the current transaction commits; Django logs errors of the
    store.
    """
    transaction.on_commit(lambda: sweep(SWEEP_SECONDS), robust=True)


def _discard_segments(call_id: UUID) -> int:
    """Deletes the call's segments and records their objects as discarded. Returns the count."""
    count = 0
    remaining = (
        Segment.objects.filter(participant__call=call_id).order_by().values_list("pk", "audio_name")
    )
    while batch := list(remaining[:ROWS_PER_BATCH]):
        DiscardedAudio.objects.bulk_create(
            [DiscardedAudio(name=name, segment_id=segment_id) for segment_id, name in batch],
            ignore_conflicts=True,
        )
        Segment.objects.filter(pk__in=[segment_id for segment_id, _name in batch]).delete()
        count += len(batch)
    return count
