"""Checks of rows against the audio store, both ways.

There are two passes: `check_segments` reads the object of every row, `check_objects` looks up the
row of every object. Both work a page at a time, so memory stays flat and an interrupted check can
resume. Damage to a segment is entered in the ledger (`calls.storage.damage`).

An object without a row can be removed (`remove_orphans`). Sealing stores the object first and
writes its row later, so there are three precautions: objects younger than `MIN_AGE` are skipped,
nothing is removed while a journal of that age waits in the spool (`has_old_journals`), and the row
is looked up again right before.

An unreachable store or database is not a finding: `calls.storage.StoreUnreachable` and
`django.db.Error` are raised.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from uuid import UUID

from calls import identity
from calls.audio import codec
from calls.audio.codec import DamagedAudio
from calls.models import DiscardedAudio, Segment, SegmentQuerySet
from calls.storage import audio_store, deletion, read_object
from calls.storage.threads import call_and_disconnect

PAGE = 500
"""Rows or objects per page; the position is saved after each."""
THREADS = 4
"""Objects read at the same time: a remote store answers after 10 to 100 ms."""
MIN_AGE = timedelta(hours=1)
"""Longest time, in the worst case, between storing an object and writing its row."""
JOURNAL_SUFFIXES = frozenset({".journal", ".open"})
"""Files of the spool that hold audio not sealed yet: `JOURNALS` of `streams.journal.spool`."""

SEGMENT_NAME = re.compile(
    r"(?P<call>[0-9a-f-]{36})/(?P<participant>[0-9a-f-]{36})"
    rf"/(?P<start>-?\d+)(-(?P<hash>[0-9a-f]{{16}}))?\.{codec.EXTENSION}"
)
"""Name of a segment's object; `hash`: the first digits of the SHA-256 of its PCM."""
_PARTIAL_NAME = re.compile(r"(.*/)?\.[^/]+\.partial")
"""Left in a store of files by a process that died while it wrote."""


class Fault(StrEnum):
    AUDIO_MISSING = "audio_missing"
    AUDIO_DAMAGED = "audio_damaged"
    ORPHAN = "orphan"  # a segment's object, but no row names it
    FOREIGN = "foreign"  # not an object of ours


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one object, and of its segment if that is known."""

    fault: Fault
    name: str  # of the object
    segment_id: UUID | None = None
    why: str = ""
    stored_on: str = ""  # of an object without a row: the day (UTC)

    def as_json(self) -> dict[str, str | None]:
        segment = str(self.segment_id) if self.segment_id else None
        return {
            "finding": self.fault.value,
            "object": self.name,
            "segment": segment,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """The columns of a segment that a check needs."""

    pk: UUID
    participant_id: UUID
    audio_name: str
    sample_count: int
    sample_rate: int
    sha256: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """Result for one page; a resumed check continues after `last`."""

    last: str
    checked: int
    findings: Sequence[Finding]
    rows: Sequence[CheckedRow] = ()
    by_day: Mapping[str, int] = field(default_factory=dict)
    """Objects by the day (UTC) on which they were stored."""
    too_new: int = 0
    """Segments' objects without a row that are younger than `MIN_AGE`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The segments to check: sealed `since` a time, of one call, or all.

    `quick` checks only sizes and headers.
    """

    since: datetime | None = None
    call_id: UUID | None = None
    quick: bool = False


def segment_count(scope: Scope) -> int:
    """Returns the number of segments to check."""
    return _rows(scope).count()


def check_segments(scope: Scope, after: str = "") -> Iterator[Page]:
    """Checks that the audio of each row exists with its length and hash, in order of row ids."""
    rows = _rows(scope).order_by("pk").values_list(*CheckedRow.__slots__)

    def check(row: CheckedRow) -> Finding | None:
        return call_and_disconnect(_check_segment, row, quick=scope.quick)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="integrity") as threads:
        while page := [
            CheckedRow(*row) for row in (rows.filter(pk__gt=after) if after else rows)[:PAGE]
        ]:
            found = [finding for finding in threads.map(check, page) if finding]
            # The call of a segment may have been deleted since the page was read.
            rows_left = Segment.objects.filter(pk__in=[finding.segment_id for finding in found])
            existing = set(rows_left.values_list("pk", flat=True))
            after = str(page[-1].pk)
            found = [finding for finding in found if finding.segment_id in existing]
            yield Page(after, len(page), found, page)


def check_objects(scope: Scope, now: datetime, after: str = "") -> Iterator[Page]:
    """Checks that every stored object has a row, in order of object names; those younger than
    `MIN_AGE` are only counted.
    """
    prefix = f"{scope.call_id}/" if scope.call_id else ""
    listed = audio_store().objects(prefix, after)
    while page := list(islice(listed, PAGE)):
        day_of = {stored.name: stored.modified_at.date().isoformat() for stored in page}
        listed_at = {
            stored.name: stored.modified_at
            for stored in page
            if scope.since is None or stored.modified_at >= scope.since
        }
        rowless = _without_row(list(listed_at))
        old = {name for name in rowless if listed_at[name] <= now - MIN_AGE}
        found = []
        for name in (name for name in listed_at if name in old):
            segment_id = _segment_id_of(name)
            is_ours = segment_id is not None or _PARTIAL_NAME.fullmatch(name)
            fault = Fault.ORPHAN if is_ours else Fault.FOREIGN
            found.append(Finding(fault, name, segment_id, stored_on=day_of[name]))
        too_new = sum(_segment_id_of(name) is not None for name in rowless - old)
        by_day = Counter(day_of.values())
        yield Page(page[-1].name, len(page), found, by_day=by_day, too_new=too_new)


def has_old_journals(spool: Path, now: datetime) -> bool:
    """Whether a journal older than `MIN_AGE` waits: its objects may be stored without rows yet."""
    oldest = (now - MIN_AGE).timestamp()
    for path in spool.glob("*/*"):
        if path.suffix in JOURNAL_SUFFIXES:
            with suppress(FileNotFoundError):  # just sealed
                if path.stat().st_mtime < oldest:
                    return True
    return False


def remove_orphans(findings: Iterable[Finding]) -> int:
    """Removes the orphans of one page from the store, except those that have a row by now.

    Returns how many were removed.
    """
    orphans = [finding for finding in findings if finding.fault is Fault.ORPHAN]
    rowless = _without_row([orphan.name for orphan in orphans])
    named = [
        DiscardedAudio(name=orphan.name, segment_id=orphan.segment_id)
        for orphan in orphans
        if orphan.segment_id and orphan.name in rowless
    ]
    DiscardedAudio.objects.bulk_create(named, ignore_conflicts=True)
    deletion.sweep()  # looks up the row once more, right before it deletes
    partial_names = [orphan.name for orphan in orphans if orphan.segment_id is None]
    for name in partial_names:  # incomplete files: no row refers to them
        audio_store().delete(name)
    return len(named) + len(partial_names)


def _rows(scope: Scope) -> SegmentQuerySet:
    rows: SegmentQuerySet = Segment.objects.all()
    if scope.since is not None:
        rows = rows.filter(sealed_at__gte=scope.since)
    return rows.filter(participant__call=scope.call_id) if scope.call_id else rows


def _check_segment(row: CheckedRow, *, quick: bool) -> Finding | None:
    try:
        if quick:
            _check_header(row)
        else:
            _check_audio(row)
    except FileNotFoundError:
        return Finding(Fault.AUDIO_MISSING, row.audio_name, row.pk)
    except DamagedAudio as error:
        return Finding(Fault.AUDIO_DAMAGED, row.audio_name, row.pk, str(error))
    return None


def _check_audio(row: CheckedRow) -> None:
    codec.decode(read_object(row.audio_name), sample_count=row.sample_count, sha256=row.sha256)


def _check_header(row: CheckedRow) -> None:
    """Raises `DamagedAudio` if the header, or the size and the audio, differ from the row.

    A different size alone is no damage: two sockets with the same audio write different comments.
    """
    store = audio_store()
    size = store.size(row.audio_name)
    if size != row.stored_bytes:
        try:
            _check_audio(row)
        except DamagedAudio as error:
            sizes = f"the stored object has {size} bytes instead of {row.stored_bytes}"
            raise DamagedAudio(f"{sizes}: {error}") from error
        return
    announced = codec.announced(store.read_range(row.audio_name, 0, codec.HEADER_BYTES))
    if announced != (row.sample_count, row.sample_rate):
        raise DamagedAudio(
            f"the stored object announces {announced} instead of "
            f"{row.sample_count, row.sample_rate}"
        )


def _without_row(names: Sequence[str]) -> set[str]:
    """Returns the names that belong to no segment and to no pending removal."""
    ids = [segment_id for name in names if (segment_id := _segment_id_of(name))]
    rowless = set(names) - set(
        Segment.objects.filter(pk__in=ids).values_list("audio_name", flat=True)
    )
    rowless -= set(DiscardedAudio.objects.filter(name__in=rowless).values_list("name", flat=True))
    if rowless:  # also by name, which has no index: few get here, and a mistake would lose audio
        rowless -= set(
            Segment.objects.filter(audio_name__in=rowless).values_list("audio_name", flat=True)
        )
    return rowless


def _segment_id_of(name: str) -> UUID | None:
    """Returns the id of the segment that an object name belongs to: both are derived alike."""
    parts = SEGMENT_NAME.fullmatch(name)
    if parts is None:
        return None
    try:
        return identity.segment_id_of(UUID(parts["participant"]), int(parts["start"]))
    except ValueError:
        return None
