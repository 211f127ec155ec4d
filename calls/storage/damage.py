"""Ledger entries of damaged or missing audio: made when a check finds a fault, closed when a later
check finds it mended.

An entry has the times of its segment, so `ended_at` is the end of its audio. A closed entry has
`detail.resolved_at`. A fault that returns gets another entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from calls import identity
from calls.models import Call, LedgerEntry, Segment
from calls.storage.integrity import CheckedRow, Fault, Finding, Page

PAGE = 500
"""Entries in memory at a time."""


def record(page: Page, now: datetime, *, quick: bool) -> int:
    """Enters the faults of a page of segments in the ledgers of their calls, unless they are there
    already, and closes entries whose fault is gone. Returns how many were closed.

    A quick check reads no audio: it closes only entries of missing audio.
    """
    known = _present_entries(page.rows)
    for finding in page.findings:
        if finding.segment_id and finding.fault not in known.get(finding.segment_id, ()):
            _enter(finding.segment_id, finding, now)
    found = {finding.segment_id: finding.fault for finding in page.findings}
    mended = [
        entry
        for segment_id, entries in known.items()
        for reason, entry in entries.items()
        if reason in _refuted_by(found.get(segment_id), quick=quick)
    ]
    return _close(mended, now)


def close_without_segment(call_id: UUID | None, now: datetime) -> int:
    """Closes entries whose segment has no row any more, as it was cut or replaced."""
    entries = LedgerEntry.objects.present_audio_faults().order_by("pk")
    if call_id:
        entries = entries.filter(call=call_id)
    closed, after = 0, None
    while page := list((entries.filter(pk__gt=after) if after else entries)[:PAGE]):
        after = page[-1].pk
        ids = [UUID(entry.detail["segment"]) for entry in page]
        existing = {
            str(pk) for pk in Segment.objects.filter(pk__in=ids).values_list("pk", flat=True)
        }
        closed += _close([one for one in page if one.detail["segment"] not in existing], now)
    return closed


def _refuted_by(fault: Fault | None, *, quick: bool) -> Collection[str]:
    """Returns the faults that a segment does not have, if a check has found only this one."""
    if fault is Fault.AUDIO_MISSING:
        return ()
    return (Fault.AUDIO_MISSING,) if fault or quick else (Fault.AUDIO_MISSING, Fault.AUDIO_DAMAGED)


def _present_entries(rows: Sequence[CheckedRow]) -> Mapping[UUID, Mapping[str, LedgerEntry]]:
    """Returns the entries that are not closed, by segment and fault."""
    checked = {row.pk for row in rows}
    entries: dict[UUID, dict[str, LedgerEntry]] = {}
    # Index: ledger_of_participant.
    of_tracks = LedgerEntry.objects.filter(participant__in={row.participant_id for row in rows})
    for entry in of_tracks.present_audio_faults():
        segment_id = UUID(entry.detail["segment"])
        if segment_id in checked:
            entries.setdefault(segment_id, {})[entry.reason] = entry
    return entries


def _close(entries: Iterable[LedgerEntry], now: datetime) -> int:
    count = 0
    for entry in entries:
        # Conditional: another check may close it, and a deletion may remove it.
        present = LedgerEntry.objects.filter(pk=entry.pk).present_audio_faults()
        count += present.update(detail={**entry.detail, "resolved_at": now.isoformat()})
    return count


def _enter(segment_id: UUID, finding: Finding, now: datetime) -> None:
    with transaction.atomic():
        # The same lock as a deletion's, so that no entry is added to a call that is being deleted.
        list(
            Call.objects.select_for_update()
            .filter(participants__segments=segment_id)
            .values_list("pk")
        )
        segment = Segment.objects.select_related("participant").filter(pk=segment_id).first()
        if segment is not None:
            LedgerEntry.objects.bulk_create([_entry(segment, finding, now)], ignore_conflicts=True)


def _entry(segment: Segment, finding: Finding, now: datetime) -> LedgerEntry:
    earlier = LedgerEntry.objects.audio_faults().filter(
        participant=segment.participant_id,
        reason=finding.fault,
        detail__segment=str(segment.pk),
        detail__resolved_at__isnull=False,
    )
    return LedgerEntry(
        id=identity.entry_id_of(segment.pk, finding.fault, earlier.count()),
        call_id=segment.participant.call_id,
        participant_id=segment.participant_id,
        subscription_id=segment.subscription_id,
        kind=LedgerEntry.Kind.DAMAGE,
        reason=finding.fault,
        started_at=segment.started_at,
        ended_at=segment.ended_at,
        detail={"segment": str(segment.pk), "found_at": now.isoformat(), "why": finding.why},
    )
