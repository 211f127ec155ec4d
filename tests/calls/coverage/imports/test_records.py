"""Call detail records: one line as a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import TestCase
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from calls.coverage.imports.records import (
    CallRecord,
    Columns,
    Times,
    WrongRecord,
    merged,
    record_of,
)

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ROW = {"call_connection_id": "c-1", "started_at": "2026-03-02T09:30:00Z"}


COLUMNS, UTC_TIMES = Columns(), Times()


def record(row: dict[str, Any], columns: Columns = COLUMNS, times: Times = UTC_TIMES) -> CallRecord:
    return record_of(row, columns, times)


class Lines(TestCase):
    def wrong(self, changes: dict[str, Any], **columns: str) -> str:
        with self.assertRaises(WrongRecord) as raised:
            record(ROW | changes, Columns(**columns))
        return str(raised.exception)

    def test_an_id_and_a_start_are_enough(self) -> None:
        self.assertEqual(record(ROW), CallRecord("c-1", "", START, None, None))
        by_correlation = {"correlation_id": "k-1", "started_at": "2026-03-02T09:30:00Z"}
        self.assertEqual(record(by_correlation).correlation_id, "k-1")

    def test_columns_are_mapped_also_into_objects(self) -> None:
        row = {"call": {"id": "c-2", "from": "2026-03-02T09:30:00Z", "seconds": "90"}, "people": 3}
        columns = Columns("call.id", "", "call.from", "", "call.seconds", "people")
        found = record(row, columns)
        self.assertEqual(found, CallRecord("c-2", "", START, START + timedelta(seconds=90), 3))
        self.assertEqual(record(ROW | {"call": 7}, Columns(duration="call.seconds")).ended_at, None)

    def test_a_column_with_a_dot_in_its_name_is_found_first(self) -> None:
        self.assertEqual(
            record(ROW | {"a.b": "k"}, Columns(correlation_id="a.b")).correlation_id, "k"
        )

    def test_times_are_written_in_many_ways(self) -> None:
        berlin = Times(ZoneInfo("Europe/Berlin"))
        for text, times in (
            ("2026-03-02T09:30:00.0000000Z", Times()),
            ("2026-03-02T10:30:00.1234567+01:00", Times()),
            ("2026-03-02 10:30:00", berlin),
            ("1772443800", berlin),
            ("1772443800.25", Times()),
            ("02.03.2026 10:30", Times(ZoneInfo("Europe/Berlin"), "%d.%m.%Y %H:%M")),
        ):
            with self.subTest(text):
                found = record(ROW | {"started_at": text}, times=times).started_at
                self.assertLess(abs(found - START), timedelta(seconds=1))

    def test_a_number_of_json_is_a_time(self) -> None:
        self.assertEqual(record(ROW | {"started_at": 1772443800}).started_at, START)

    def test_a_day_is_a_time(self) -> None:
        self.assertEqual(record(ROW | {"started_at": "20260302"}).started_at.hour, 0)

    def test_times_in_the_future_are_wrong(self) -> None:
        times = Times(latest=START + timedelta(minutes=1))
        for changes, message in (
            ({"started_at": "2026-03-02T09:31:01Z"}, "started_at: before 2000 or in the future"),
            ({"ended_at": "2026-03-02T09:31:01Z"}, "ended_at: before 2000 or in the future"),
            ({"seconds": 61}, "seconds: in the future"),
        ):
            with self.subTest(changes), self.assertRaisesRegex(WrongRecord, message):
                record(ROW | changes, Columns(duration="seconds"), times)
        self.assertTrue(record(ROW | {"seconds": 60}, Columns(duration="seconds"), times).ended_at)

    def test_errors_name_the_column(self) -> None:
        for changes, message in (
            (
                {"call_connection_id": " "},
                "call_connection_id or correlation_id: no id of the call",
            ),
            ({"call_connection_id": "x" * 257}, "call_connection_id: longer than 256"),
            ({"call_connection_id": "a\0"}, "call_connection_id: longer than 256"),
            ({"started_at": ""}, "started_at: no time"),
            ({"started_at": "soon"}, "started_at: not a time"),
            ({"started_at": "9" * 30}, "started_at: not a time"),
            ({"started_at": "1999-01-01"}, "started_at: before 2000 or in the future"),
            ({"ended_at": "2026-03-02T09:29:00Z"}, "ended_at: before started_at"),
            ({"call_connection_id": "\ud800"}, "call_connection_id: not text"),
            ({"call_connection_id": ["c-1"]}, "call_connection_id: not text"),
            ({"started_at": {}}, "started_at: not a time"),
            ({"started_at": "20260302093000000"}, "started_at: not a time"),
            ({"started_at": "1" * 19}, "started_at: not a time"),
            ({"participants": 10**400}, "participants: not a number"),
            ({"participants": "two"}, "participants: not a number"),
            ({"participants": []}, "participants: not a number"),
            ({"ended_at": "2026-03-09T09:30:01Z"}, "ended_at: more than 7 days after started_at"),
            ({"participants": "-1"}, "participants: not between 0 and 10000"),
            ({"participants": "nan"}, "participants: not between 0 and 10000"),
        ):
            with self.subTest(changes):
                self.assertIn(message, self.wrong(changes))
        self.assertIn("id: no id", self.wrong({}, connection_id="", correlation_id=""))

    @given(
        st.dictionaries(
            st.sampled_from([*Columns()._asdict().values()]),
            st.text(st.characters(codec=None))
            | st.from_regex(r"\A[0-9]{1,20}\Z")
            | st.floats()
            | st.sampled_from([10**18, 10**400, [], {}, True]),
        )
    )
    def test_any_line_is_a_call_or_a_wrong_record(self, row: dict[str, Any]) -> None:
        try:
            found = record(row, Columns(duration="ended_at", end=""))
        except WrongRecord:
            return
        self.assertTrue(found.call_connection_id or found.correlation_id)


class Legs(TestCase):
    def test_lines_of_a_call_last_from_the_first_start_to_the_last_end(self) -> None:
        later = START + timedelta(minutes=1)
        legs = [
            CallRecord("c-1", "", later, None, None),
            CallRecord("c-2", "", START, None, None),
            CallRecord("c-1", "k", START, later, 2),
        ]
        self.assertEqual(
            merged(legs),
            [CallRecord("c-1", "k", START, later, 2), CallRecord("c-2", "", START, None, None)],
        )

    def test_calls_without_a_connection_id_are_told_apart_by_correlation_id(self) -> None:
        one, other = (CallRecord("", name, START, None, None) for name in ("k-1", "k-2"))
        self.assertEqual(merged([one, other, one]), [one, other])
