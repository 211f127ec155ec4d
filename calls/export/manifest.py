"""The manifest of a recording: segments, hashes, gaps, known damage and counts of every track.

A long call has tens of thousands of segments, so the document is written while the rows are read,
one page at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.utils.encoders import JSONEncoder

from calls.export.axis import Axis
from calls.models import LedgerEntry, Segment
from calls.wording import gap_text

Cause = Callable[[datetime, datetime | None], str]
"""Why ACS did not stream in a time, by its events; "" if they do not say."""

PAGE = 1000
"""Rows that are read and serialized at a time."""


def chunks(
    call: dict[str, Any], axis: Axis | None, generated_at: datetime, cause: Cause
) -> Generator[bytes, None, None]:
    """Yields the JSON document. `call` is a call as in REST; `axis` is None if nothing is
    sealed.
    """
    yield f'{{"call": {_json(call)}, "generated_at": {_json(generated_at)}, "tracks": ['.encode()
    for index, participant in enumerate(call["participants"]):
        pk, counts = UUID(participant["id"]), _Counts()
        lead = ", " if index else ""
        yield f'{lead}{{"participant": {_json(participant)}, "segments": ['.encode()
        if axis:
            yield from _items(map(counts.add_segment, _segments(pk, axis)))
        yield b'], "gaps": ['
        yield from _items(map(counts.add_gap, _gaps(pk, axis, cause)))
        damage = list(_damage(pk))
        yield f'], "damage": {_json(damage)}, "counts": {_json(vars(counts))}}}'.encode()
    yield b"]}"


def _items(entries: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Yields the items of a JSON array, up to `PAGE` in one text."""
    texts: list[str] = []
    lead = ""
    for entry in entries:
        texts.append(_json(entry))
        if len(texts) == PAGE:
            yield (lead + ", ".join(texts)).encode()
            texts, lead = [], ", "
    if texts:
        yield (lead + ", ".join(texts)).encode()


@dataclass
class _Counts:
    segments: int = 0
    gaps: int = 0
    samples: int = 0
    size_bytes: int = 0

    def add_segment(self, entry: dict[str, Any]) -> dict[str, Any]:
        self.segments += 1
        self.samples += entry["sample_count"]
        self.size_bytes += entry["size_bytes"]
        return entry

    def add_gap(self, entry: dict[str, Any]) -> dict[str, Any]:
        self.gaps += 1
        return entry


def _segments(participant_id: UUID, axis: Axis) -> Iterator[dict[str, Any]]:
    """Yields the track's segments in order. Each page is a query of its own, because pages are read
    in different threads.
    """
    rows: QuerySet[Segment] = (
        Segment.objects.filter(participant=participant_id).defer("peaks").order_by("start_sample")
    )
    page = list(rows[:PAGE])
    while page:
        for row in page:
            rate, end_sample = row.sample_rate, row.start_sample + row.sample_count
            yield {
                "id": row.pk,
                "subscription": row.subscription_id,
                "started_at": row.started_at,
                "ended_at": row.ended_at,
                "start": round(axis.seconds(row.start_sample, rate), 6),
                "end": round(axis.seconds(end_sample, rate), 6),
                "start_sample": axis.at_rate(rate).place(row.start_sample, rate),
                "sample_count": row.sample_count,
                "sample_rate": rate,
                "size_bytes": row.size_bytes,
                "sha256": row.sha256,
            }
        page = list(rows.filter(start_sample__gt=page[-1].start_sample)[:PAGE])


def _gaps(participant_id: UUID, axis: Axis | None, cause: Cause) -> Iterator[dict[str, Any]]:
    rows = LedgerEntry.objects.filter(
        participant=participant_id, kind=LedgerEntry.Kind.GAP
    ).order_by("started_at", "id")
    begin = 0
    while page := list(rows[begin : begin + PAGE]):
        for row in page:
            start = end = None
            rate, first, count = row.sample_rate, row.start_sample, row.sample_count
            if axis and first is not None and count is not None and rate:
                start = round(axis.seconds(first, rate), 6)
                end = round(axis.seconds(first + count, rate), 6)
            times = {"started_at": row.started_at, "ended_at": row.ended_at}
            of_acs = cause(row.started_at, row.ended_at)
            words = {"cause": of_acs or None, "text": gap_text(row.reason, of_acs)}
            yield {"start": start, "end": end, "reason": row.reason, **words, **times}
        begin += PAGE


def _damage(participant_id: UUID) -> Iterator[dict[str, Any]]:
    """Yields the damaged segments that `check_recordings` has found; their audio is never sent."""
    rows = LedgerEntry.objects.filter(participant=participant_id).present_audio_faults()
    for row in rows.order_by("started_at", "id").iterator():
        yield {
            "segment": row.detail["segment"],
            "reason": row.reason,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
            "found_at": row.detail["found_at"],
        }


def _json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder)
