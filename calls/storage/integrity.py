"""Is what the rows say really in the audio store, and does everything in the store have a row?

Two passes, a page at a time, so that memory stays flat however much there is and an interrupted
check goes on where it was: `segments` reads every object that a row names, `objects` looks for the
row of every object. What is found wrong with a segment goes to the ledger (`enter`), once. An
object without a row can be removed (`remove`), with three precautions, because a seal stores the
object first and writes its row later: objects younger than `YOUNG` are passed over, none is removed
while a journal has been waiting in the spool for that long (`journals_wait`), and the row is looked
for again before.

A store that does not answer is no finding: `calls.storage.StoreUnreachable` and `django.db.Error`
are raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.utils import timezone

from calls import identity
from calls.audio import codec
from calls.audio.codec import DamagedAudio
from calls.models import Call, DiscardedAudio, LedgerEntry, Segment
from calls.storage import StoredObject, audio_store, deletion, read_object

PAGE = 500
"""Rows or objects that are checked between two saved places."""
THREADS = 4
"""Objects that are read at the same time: a store in the network answers after 10 to 100 ms."""
YOUNG = timedelta(hours=1)
"""An object may be so much older than its row, in the worst case."""

_NAME = re.compile(
    rf"[0-9a-f-]{{36}}/(?P<participant>[0-9a-f-]{{36}})/(?P<start>-?\d+)(-[0-9a-f]{{16}})?\.{codec.EXTENSION}"
)
_PARTIAL = re.compile(r"(.*/)?\.[^/]+\.partial")
"""What a process that died in the middle of writing leaves in a store of files."""


class Fault(StrEnum):
    """What can be wrong."""

    AUDIO_MISSING = "audio_missing"
    AUDIO_DAMAGED = "audio_damaged"
    ORPHAN = "orphan"  # stored by us, and no row names it
    FOREIGN = "foreign"  # nothing that we have stored


IN_THE_LEDGER = frozenset({Fault.AUDIO_MISSING, Fault.AUDIO_DAMAGED})
"""What concerns a call; these are reasons of ledger entries of the kind damage."""


@dataclass(frozen=True, slots=True)
class Finding:
    fault: Fault
    name: str
    """Of the object."""
    segment_id: UUID | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """So much was checked; `last` is where another check goes on."""

    last: str
    checked: int
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is checked: everything, or what was sealed since a moment, or one call. `quick`: only
    sizes and headers.
    """

    since: datetime | None = None
    call_id: UUID | None = None
    quick: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    pk: UUID
    audio_name: str
    sample_count: int
    sample_rate: int
    sha256: str
    stored_bytes: int


def segment_count(scope: Scope) -> int:
    count: int = _rows(scope).count()
    return count


def segments(scope: Scope, after: str = "") -> Iterator[Page]:
    """Every row's audio is there, whole, and hashes right. In order of the rows' ids."""
    rows = _rows(scope).order_by("pk").values_list(*_Row.__slots__)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="integrity") as threads:
        while page := [_Row(*row) for row in (rows.filter(pk__gt=after) if after else rows)[:PAGE]]:
            found = threads.map(partial(_examined, quick=scope.quick), page)
            yield Page(
                after := str(page[-1].pk),
                len(page),
                _still_there([finding for finding in found if finding]),
            )


def objects(scope: Scope, now: datetime, after: str = "") -> Iterator[Page]:
    """Every stored object has a row. In order of the store's names; what is `YOUNG` is counted and
    passed over.
    """
    prefix = f"{scope.call_id}/" if scope.call_id else ""
    listed = audio_store().objects(prefix, after)
    while page := list(islice(listed, PAGE)):
        old = [found for found in page if found.modified_at <= now - YOUNG]
        since = [found for found in old if scope.since is None or found.modified_at >= scope.since]
        yield Page(page[-1].name, len(page), _without_row(since))


def enter(findings: Iterable[Finding]) -> None:
    """Writes what is wrong with segments into the ledgers of their calls; what stands there already
    is left.
    """
    for finding in findings:
        if finding.segment_id is None or finding.fault not in IN_THE_LEDGER:
            continue
        with transaction.atomic():
            # Locked as a deletion locks it, so that no entry comes into a call that is being taken
            # apart.
            list(
                Call.objects.select_for_update()
                .filter(participants__segments=finding.segment_id)
                .values_list("pk")
            )
            segment = (
                Segment.objects.select_related("participant").filter(pk=finding.segment_id).first()
            )
            if segment is not None:
                LedgerEntry.objects.bulk_create([_entry(segment, finding)], ignore_conflicts=True)


def journals_wait(spool: Path, now: datetime) -> bool:
    """Whether a journal has been waiting for longer than `YOUNG`: its objects may be in the store
    without rows.
    """
    oldest = (now - YOUNG).timestamp()
    waiting = (path for path in spool.glob("*/*") if path.suffix in {".journal", ".open"})
    return any(_modified(path, oldest) < oldest for path in waiting)


def remove(findings: Iterable[Finding]) -> int:
    """Removes the orphans of one page from the store; how many. Those that have got a row meanwhile
    are left.
    """
    orphans = [finding for finding in findings if finding.fault is Fault.ORPHAN]
    rowless = _without_row_now([orphan.name for orphan in orphans])
    named = [
        DiscardedAudio(name=orphan.name, segment_id=orphan.segment_id)
        for orphan in orphans
        if orphan.segment_id and orphan.name in rowless
    ]
    DiscardedAudio.objects.bulk_create(named, ignore_conflicts=True)
    deletion.sweep()  # looks for the row once more, right before it deletes
    partial_ones = [
        orphan for orphan in orphans if orphan.segment_id is None
    ]  # half written: no row can name them
    for orphan in partial_ones:
        audio_store().delete(orphan.name)
    return len(named) + len(partial_ones)


def _rows(scope: Scope) -> Any:
    rows = Segment.objects.all()
    if scope.since is not None:
        rows = rows.filter(sealed_at__gte=scope.since)
    return rows.filter(participant__call=scope.call_id) if scope.call_id else rows


def _examined(row: _Row, *, quick: bool) -> Finding | None:
    try:
        if quick:
            _look_at(row)
        else:
            codec.decode(
                read_object(row.audio_name), sample_count=row.sample_count, sha256=row.sha256
            )
    except FileNotFoundError:
        return Finding(Fault.AUDIO_MISSING, row.audio_name, row.pk)
    except DamagedAudio as error:
        return Finding(Fault.AUDIO_DAMAGED, row.audio_name, row.pk, str(error))
    finally:
        connections.close_all()  # a store in the database has opened one in this thread
    return None


def _look_at(row: _Row) -> None:
    """Raises `DamagedAudio` where the size or the header is not that of the row."""
    store = audio_store()
    size = store.size(row.audio_name)
    if size != row.stored_bytes:
        raise DamagedAudio(f"the stored object has {size} bytes instead of {row.stored_bytes}")
    announced = codec.announced(store.read_range(row.audio_name, 0, codec.HEADER_BYTES))
    if announced != (row.sample_count, row.sample_rate):
        raise DamagedAudio(
            f"the stored object announces {announced} instead of "
            f"{row.sample_count, row.sample_rate}"
        )


def _still_there(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Without those whose call was deleted since the page was read."""
    there = set(
        Segment.objects.filter(pk__in=[finding.segment_id for finding in findings]).values_list(
            "pk", flat=True
        )
    )
    return [finding for finding in findings if finding.segment_id in there]


def _without_row(found: Sequence[StoredObject]) -> list[Finding]:
    rowless = _without_row_now([one.name for one in found])
    return [_finding(one.name) for one in found if one.name in rowless]


def _finding(name: str) -> Finding:
    segment_id = _segment_id_of(name)
    ours = segment_id is not None or _PARTIAL.fullmatch(name)
    return Finding(Fault.ORPHAN if ours else Fault.FOREIGN, name, segment_id)


def _without_row_now(names: Sequence[str]) -> set[str]:
    """Those of the names that neither a segment nor a pending removal knows."""
    ids = [segment_id for name in names if (segment_id := _segment_id_of(name))]
    rowless = set(names) - set(
        Segment.objects.filter(pk__in=ids).values_list("audio_name", flat=True)
    )
    rowless -= set(DiscardedAudio.objects.filter(name__in=rowless).values_list("name", flat=True))
    if rowless:  # by name as well, which has no index: few get here, and a mistake would cost audio
        rowless -= set(
            Segment.objects.filter(audio_name__in=rowless).values_list("audio_name", flat=True)
        )
    return rowless


def _segment_id_of(name: str) -> UUID | None:
    """Names are derived as ids are, so the one tells the other."""
    parts = _NAME.fullmatch(name)
    try:
        return (
            identity.segment_id_of(UUID(parts["participant"]), int(parts["start"]))
            if parts
            else None
        )
    except ValueError:
        return None


def _entry(segment: Segment, finding: Finding) -> LedgerEntry:
    return LedgerEntry(
        id=identity.entry_id_of(segment.pk, finding.fault, 0),
        call_id=segment.participant.call_id,
        participant_id=segment.participant_id,
        subscription_id=segment.subscription_id,
        kind=LedgerEntry.Kind.DAMAGE,
        reason=finding.fault,
        started_at=segment.started_at,
        ended_at=segment.ended_at,
        detail={
            "segment": str(segment.pk),
            "found_at": timezone.now().isoformat(),
            "why": finding.why,
        },
    )


def _modified(path: Path, default: float) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # sealed this moment
        return default
