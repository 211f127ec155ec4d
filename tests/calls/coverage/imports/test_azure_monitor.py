"""Records of Azure's log of media streaming."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import TestCase

from calls.coverage.imports.azure_monitor import part_of, with_counts
from calls.coverage.imports.records import CallRecord, WrongRecord

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FIELDS = {
    "CallConnectionId": "c-1",
    "CorrelationId": "k-1",
    "StreamingModality": "Audio",
    "StreamingStartTime": "2026-03-02T09:30:00.0000000Z",
    "StreamingDurationInMs": "60500",
    "ParticipantId": "guid-1",
}
RECORD = CallRecord("c-1", "k-1", START, START + timedelta(seconds=60.5), None)


def part(row: dict[str, Any]) -> CallRecord:
    found = part_of(row)
    assert found, "it is about audio"
    return found.record


class Records(TestCase):
    def test_fields_are_flat_or_in_properties(self) -> None:
        properties = {name[0].lower() + name[1:]: value for name, value in FIELDS.items()}
        for row in (
            FIELDS,
            {"time": "…", "category": "…", "properties": properties},
            {"time": "…", "properties": json.dumps(properties)},
        ):
            with self.subTest(row):
                self.assertEqual(part(row), RECORD)

    def test_a_record_without_a_duration_has_no_end(self) -> None:
        self.assertIsNone(part(FIELDS | {"StreamingDurationInMs": None}).ended_at)

    def test_records_about_something_else_are_left_out(self) -> None:
        self.assertIsNone(part_of(FIELDS | {"StreamingModality": "Transcription"}))
        self.assertEqual(part(FIELDS | {"StreamingModality": "UnmixedAudio"}), RECORD)
        self.assertEqual(part(FIELDS | {"StreamingModality": None}), RECORD)

    def test_errors_name_the_field(self) -> None:
        for row, message in (
            (FIELDS | {"StreamingStartTime": "?"}, "streamingstarttime: not a time"),
            (FIELDS | {"StreamingDurationInMs": "?"}, "streamingdurationinms: not a number"),
            ({"properties": "{"}, "properties: not JSON"),
            ({"properties": "[" * 100_000}, "properties: not JSON"),
            (FIELDS | {"StreamingModality": ["Audio"]}, "streamingmodality: not text"),
            (FIELDS | {"ParticipantId": "\ud800"}, "participantid: not text"),
            (FIELDS | {"StreamingDurationInMs": 10**400}, "streamingdurationinms: not a number"),
            ({"properties": "[]"}, "no id of the call"),
        ):
            with self.subTest(message), self.assertRaisesRegex(WrongRecord, message):
                part_of(row)

    def test_participants_of_a_call_are_counted(self) -> None:
        rows = [
            FIELDS,
            FIELDS | {"ParticipantId": "guid-2"},
            FIELDS | {"ParticipantId": "guid-2"},
            FIELDS | {"CallConnectionId": "", "CorrelationId": "k-2", "ParticipantId": ""},
        ]
        parts = [found for row in rows if (found := part_of(row))]
        self.assertEqual([one.participants for one in with_counts(parts)], [2, 2, 2, None])
