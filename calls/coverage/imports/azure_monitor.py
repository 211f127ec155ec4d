"""Azure Monitor's log "Call Automation media streaming usage": its records as a call. PURE.

It has one record per participant, whose `ParticipantId` is a GUID and not the raw id: participants
are counted, and not matched. A diagnostics export writes the fields into `properties`, as an object
or as text; a query of Log Analytics writes them flat. Names are compared without regard to case.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from calls.coverage.imports.records import (
    MAX_SECONDS,
    CallRecord,
    Columns,
    Times,
    WrongRecord,
    number_of,
    record_of,
    text_of,
)

_COLUMNS = Columns(
    connection_id="callconnectionid",
    correlation_id="correlationid",
    start="streamingstarttime",
    end="",
    participants="",
)
_DURATION = "streamingdurationinms"
UTC_TIMES = Times()
_MODALITY = "streamingmodality"
_PARTICIPANT = "participantid"


class StreamedPart(NamedTuple):
    """One record: a participant's part of a call, "" for mixed audio."""

    record: CallRecord
    participant_id: str


def part_of(row: Mapping[str, Any], times: Times = UTC_TIMES) -> StreamedPart | None:
    """Returns the part of a record; None for a record about something other than audio.

    Raises `WrongRecord`.
    """
    fields = _flat(row)
    if "audio" not in (text_of(fields.get(_MODALITY), _MODALITY) or "audio").lower():
        return None
    record = record_of(fields, _COLUMNS, times)
    ms = number_of(fields.get(_DURATION), _DURATION, MAX_SECONDS * 1000)
    if ms is not None:
        record = record._replace(ended_at=record.started_at + timedelta(milliseconds=ms))
    return StreamedPart(record, text_of(fields.get(_PARTICIPANT), _PARTICIPANT))


def with_counts(parts: Iterable[StreamedPart]) -> list[CallRecord]:
    """Returns the records of all parts, each with the number of participants of its call."""
    parts = list(parts)
    people: dict[str, set[str]] = {}
    for one in parts:
        people.setdefault(_key(one.record), set()).update({one.participant_id} - {""})
    return [
        one.record._replace(participants=len(people[_key(one.record)]) or None) for one in parts
    ]


def _key(record: CallRecord) -> str:
    return record.call_connection_id or f"correlation:{record.correlation_id}"


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields with names in lower case, those of `properties` among them."""
    fields = {name.lower(): value for name, value in row.items()}
    inner = fields.pop("properties", None)
    if isinstance(inner, str):
        try:
            inner = json.loads(inner)
        except (ValueError, RecursionError):
            raise WrongRecord("properties: not JSON") from None
    if isinstance(inner, dict):
        fields |= {name.lower(): value for name, value in inner.items()}
    return fields
