"""Verdicts as rows: written once they differ from the former ones, which are kept.

Other systems are told in the same transaction: recording.ready, recording.incomplete,
recording.missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import F

from calls.coverage.job.loading import Loaded
from calls.coverage.judging.missing_time import Missing
from calls.coverage.judging.reconciliation import Judgement
from calls.models import (
    CallCoverage,
    ExpectedCall,
    FormerVerdict,
    MissingTime,
    MissingTotal,
    RefusedHandshake,
)
from calls.notifications import outbox
from calls.times import from_microseconds, iso_text

_EVENTS = {"missing": outbox.RECORDING_MISSING, "partial": outbox.RECORDING_INCOMPLETE}

MOST_SPANS = 1_000
"""Spans of one call that are kept one by one; the rest is one span per reason."""

MOST_STATED = 100
"""Statements that the facts repeat."""

JUDGED = [
    *("call_id", "correlation_id", "started_at", "ended_at", "verdict", "facts", "judged_at"),
    *("expected_seconds", "recorded_seconds", "missing_seconds", "is_refused", "more_than_four"),
    *("participants_expected", "participants_recorded"),
]
"""Fields of a verdict."""


def write(row: CallCoverage, judgement: Judgement, loaded: Loaded, now: datetime) -> bool:
    """Writes the verdict; says whether it differs from the former one, which is kept.

    Call it in a transaction that has locked the row.
    """
    spans = _spans(judgement.missing)
    facts = facts_of(judgement, loaded)
    facts["counted"] = dict(row.facts.get("counted", {}))
    is_new = not _is_same(row, judgement, spans)
    if is_new and row.judged_at:
        keep_former(row, now)
    _set(row, judgement, loaded)
    if is_new:
        row.judged_at = now
        _add_to_totals(facts["counted"], spans)
        _replace_missing(row, spans)
    facts["told"] = _notify(row, spans, is_new=is_new, is_sealed=facts["is_sealed"])
    row.facts = facts
    row.save(update_fields=[*JUDGED, "due_at"])
    return is_new


def facts_of(judgement: Judgement, loaded: Loaded) -> dict[str, Any]:
    """Returns statements and differences of the witnesses as JSON, without personal data."""
    return {
        "basis": judgement.basis.value,
        "recordings": len(loaded.call_ids),
        "rows": loaded.counts,
        "is_sealed": all(one.ended_at and one.is_whole for one in loaded.sockets),
        "witnesses": {
            "events": _events(loaded),
            "statements": [_statement(one) for one in loaded.statements[:MOST_STATED]],
            "journal": _journal(loaded),
            "refusals": _refusals(loaded.refusals),
        },
        "longer_seconds": _seconds(judgement.longer_us),
        "fewer_participants": judgement.participants.fewer,
        "by_design_seconds": _seconds(judgement.by_design_us),
        "clock_ahead_seconds": _seconds(judgement.ahead_us),
        "moved_seconds": _seconds(judgement.shift_us),
    }


def _events(loaded: Loaded) -> dict[str, Any] | None:
    if (events := loaded.events) is None:
        return None
    return {
        "started_at": _iso(events.connected_us),
        "ended_at": _iso(events.disconnected_us),
        "participants": len([one for one in events.presences if one.present]),
        "failure": events.failure,
    }


def _statement(row: ExpectedCall) -> dict[str, Any]:
    return {
        "source": row.source,
        "started_at": iso_text(row.started_at),
        "ended_at": row.ended_at and iso_text(row.ended_at),
        "participants": row.participants,
    }


def _refusals(rows: Sequence[RefusedHandshake]) -> list[dict[str, Any]]:
    """Returns the refusals by reason: there may be thousands, and reasons are few."""
    by_reason: dict[str, list[RefusedHandshake]] = {}
    for row in rows:
        by_reason.setdefault(row.reason, []).append(row)
    return [
        {
            "reason": reason,
            "first_at": iso_text(min(one.first_at for one in found)),
            "last_at": iso_text(max(one.last_at for one in found)),
            "count": sum(one.count for one in found),
        }
        for reason, found in by_reason.items()
    ]


def payload_of(row: CallCoverage, reasons: dict[str, float]) -> dict[str, Any]:
    """Returns the `data` of an event about a recording."""
    address = f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/calls/{row.call_id}"
    return {
        "call_id": row.call_id and str(row.call_id),
        "call_connection_id": row.call_connection_id,
        "correlation_id": row.correlation_id,
        "verdict": row.verdict,
        "started_at": iso_text(row.started_at),
        "ended_at": row.ended_at and iso_text(row.ended_at),
        "expected_seconds": row.expected_seconds,
        "recorded_seconds": row.recorded_seconds,
        "missing_seconds": reasons,
        "links": {
            "call": f"{address}/",
            "audio": f"{address}/audio",
            "manifest": f"{address}/manifest",
        }
        if row.call_id
        else {},
    }


def _journal(loaded: Loaded) -> dict[str, Any] | None:
    if not loaded.sockets:
        return None
    ends = [one.ended_at or one.seen_at for one in loaded.sockets]
    heard = [at for one in loaded.tracks for at in (one.start_us, one.end_us)]
    return {
        "started_at": iso_text(min(one.started_at for one in loaded.sockets)),
        "ended_at": iso_text(max(ends)),
        "sockets": len(loaded.sockets),
        "participants": len(loaded.tracks),
        "audio_started_at": _iso(min(heard)) if heard else None,
        "audio_ended_at": _iso(max(heard)) if heard else None,
    }


def _spans(missing: tuple[Missing, ...]) -> list[tuple[Missing, float]]:
    """Returns the spans with their lengths in seconds."""
    spans = [(one, _seconds(one.end_us - one.start_us)) for one in missing]
    kept, rest = spans[:MOST_SPANS], spans[MOST_SPANS:]
    for reason in sorted({one.reason for one, _ in rest}):
        of_reason = [one for one in rest if one[0].reason == reason]
        first, last = of_reason[0][0], of_reason[-1][0]
        length = sum(seconds for _, seconds in of_reason)
        kept.append((Missing(first.start_us, last.end_us, reason), round(length, 6)))
    return kept


def _is_same(row: CallCoverage, judgement: Judgement, spans: list[tuple[Missing, float]]) -> bool:
    figures = (row.verdict, row.expected_seconds, row.recorded_seconds)
    judged = (judgement.verdict, _seconds(judgement.expected_us), _seconds(judgement.recorded_us))
    if row.judged_at is None or figures != judged:
        return False
    known = row.missing.values_list("started_at", "ended_at", "reason")
    return sorted(known) == sorted(
        (from_microseconds(one.start_us), from_microseconds(one.end_us), one.reason)
        for one, _seconds in spans
    )


def _replace_missing(row: CallCoverage, spans: list[tuple[Missing, float]]) -> None:
    MissingTime.objects.filter(coverage=row).delete()
    MissingTime.objects.bulk_create(
        [
            MissingTime(
                coverage=row,
                reason=one.reason,
                started_at=from_microseconds(one.start_us),
                ended_at=from_microseconds(one.end_us),
                seconds=seconds,
            )
            for one, seconds in spans
        ],
        batch_size=500,
    )


def keep_former(row: CallCoverage, now: datetime) -> None:
    assert row.judged_at, "it has a verdict"
    FormerVerdict.objects.create(
        coverage=row,
        verdict=row.verdict,
        expected_seconds=row.expected_seconds,
        recorded_seconds=row.recorded_seconds,
        missing_seconds=row.missing_seconds,
        facts=row.facts,
        judged_at=row.judged_at,
        replaced_at=now,
    )


def _add_to_totals(counted: dict[str, float], spans: list[tuple[Missing, float]]) -> None:
    """Adds to the totals by reason, and to `counted`, the seconds that were not counted yet."""
    for reason, seconds in by_reason(spans).items():
        more = seconds - counted.get(reason, 0.0)
        if more > 0:
            counted[reason] = seconds
            MissingTotal.objects.bulk_create([MissingTotal(reason=reason)], ignore_conflicts=True)
            MissingTotal.objects.filter(reason=reason).update(seconds=F("seconds") + more)


def by_reason(spans: list[tuple[Missing, float]]) -> dict[str, float]:
    """Returns the seconds by reason, in the order of the reasons."""
    sums: dict[str, float] = {}
    for one, seconds in sorted(spans, key=lambda span: span[0].reason):
        sums[one.reason] = round(sums.get(one.reason, 0.0) + seconds, 6)
    return sums


def _set(row: CallCoverage, judgement: Judgement, loaded: Loaded) -> None:
    row.call_id = loaded.call_ids[0] if loaded.call_ids else None
    row.correlation_id = loaded.correlation_id
    row.started_at = from_microseconds(judgement.start_us)
    row.ended_at = from_microseconds(judgement.end_us)
    row.verdict = judgement.verdict
    row.expected_seconds = _seconds(judgement.expected_us)
    row.recorded_seconds = _seconds(judgement.recorded_us)
    row.missing_seconds = _seconds(judgement.missing_us)
    row.participants_expected = judgement.participants.expected
    row.participants_recorded = judgement.participants.recorded
    row.is_refused = judgement.is_refused
    row.more_than_four = judgement.participants.more_than_four


def _notify(
    row: CallCoverage, spans: list[tuple[Missing, float]], *, is_new: bool, is_sealed: bool
) -> str:
    """Tells other systems of a verdict, once for each that differs; returns the last event's type.

    Not of one that may still change because something is not sealed, and not of a call that is
    complete without a recording: nobody could be heard, or it was too short to be streamed.
    """
    told: str = row.facts.get("told", "")
    event_type = _EVENTS.get(row.verdict, outbox.RECORDING_READY)
    is_early = event_type == outbox.RECORDING_READY and not (is_sealed and row.call_id)
    if not row.notify or is_early or not (is_new or told != event_type):
        return told
    number = FormerVerdict.objects.filter(coverage=row).count()
    assert row.judged_at, "it has been judged"
    data = payload_of(row, by_reason(spans))
    key = f"{row.id}:{number}"
    outbox.add(event_type, row.judged_at, data, key=key, call_id=row.call_id)
    return event_type


def _iso(microseconds: int | None) -> str | None:
    return None if microseconds is None else iso_text(from_microseconds(microseconds))


def _seconds(microseconds: int) -> float:
    return round(microseconds / 1_000_000, 6)
