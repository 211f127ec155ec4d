"""Events of ACS from JSON: shapes that are read, and errors that name the field."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.acs.webhooks.parsing import MAX_DEPTH, Batch, Malformed, ReceivedEvent, parse
from tests.streams.acs.webhooks.samples import (
    ANN,
    CONNECTION,
    CORRELATION,
    SERVER_CALL,
    VALIDATION,
    as_cloud_event,
    at,
    body_of,
    callback,
    grid_event,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Events(TestCase):
    def test_of_call_automation_are_read(self) -> None:
        participants = [{"identifier": {"rawId": ANN}, "isMuted": False}]
        event = callback("ParticipantsUpdated", 7.5, sequenceNumber=3, participants=participants)
        self.assertEqual(
            parse(body_of(event)).events,
            [
                ReceivedEvent(
                    source=f"calling/callConnections/{CONNECTION}/ParticipantsUpdated",
                    event_id="ParticipantsUpdated-7.5",
                    type="ParticipantsUpdated",
                    occurred_at=at(7.5),
                    call_connection_id=CONNECTION,
                    correlation_id=CORRELATION,
                    server_call_id=SERVER_CALL,
                    sequence_number=3,
                    data=event["data"],
                )
            ],
        )

    def test_of_event_grid_are_the_same_in_both_schemas(self) -> None:
        event = grid_event("CallEnded", 60, durationOfCall=49.728617199999995)
        (read,) = parse(body_of(event)).events
        self.assertEqual(parse(body_of(as_cloud_event(event))).events, [read])
        self.assertEqual((read.type, read.occurred_at), ("CallEnded", at(60)))
        self.assertEqual((read.call_connection_id, read.correlation_id), ("", CORRELATION))
        self.assertEqual(read.source, event["topic"])

    def test_may_come_alone_and_with_a_byte_order_mark(self) -> None:
        alone = json.dumps(callback("CallConnected")).encode()
        self.assertEqual(len(parse(b"\xef\xbb\xbf" + alone).events), 1)

    def test_of_unknown_types_without_ids_and_with_more_members_are_kept(self) -> None:
        event = {
            **callback("CallConnected"),
            "source": "elsewhere",
            "type": "Contoso.Thunder",
            "data": {"near": True},
            "traceparent": "x",
        }
        (read,) = parse(body_of(event)).events
        self.assertEqual((read.type, read.data), ("Contoso.Thunder", {"near": True}))
        self.assertEqual((read.call_connection_id, read.server_call_id), ("", ""))

    def test_without_data_and_with_ids_of_null_are_kept(self) -> None:
        event = callback("CallConnected", callConnectionId=None, sequenceNumber=None)
        bare = {**callback("CallConnected")}
        del bare["data"]
        for one in parse(body_of(event, bare)).events:
            self.assertEqual(one.call_connection_id, CONNECTION, "of the source")

    def test_types_have_their_usual_case(self) -> None:
        event = {**callback("x"), "type": "microsoft.communication.CALLconnected"}
        self.assertEqual(parse(body_of(event)).events[0].type, "CallConnected")

    def test_at_the_ends_of_the_calendar_have_a_time(self) -> None:
        for text, year in (
            ("0001-01-01T00:00:00+14:00", 1),
            ("9999-12-31T23:59:59-14:00", 9999),
        ):
            event = {**callback("CallConnected"), "time": text}
            self.assertEqual(parse(body_of(event)).events[0].occurred_at.year, year)

    def test_in_other_zones_are_in_utc(self) -> None:
        event = {**callback("CallConnected"), "time": "2026-11-30T10:30:00.1234567+01:30"}
        (read,) = parse(body_of(event)).events
        self.assertEqual(read.occurred_at, at(0) + timedelta(microseconds=123457))
        self.assertEqual(read.occurred_at.tzinfo, UTC)

    def test_lose_nul_characters(self) -> None:
        event = callback("CallConnected", a=["x\0y", {"b\0": "\0"}], number=1)
        (read,) = parse(body_of(event)).events
        self.assertEqual(read.data["a"], ["xy", {"b": ""}])

    def test_of_the_validation_are_answered_not_kept(self) -> None:
        event = grid_event("CallStarted")
        batch = parse(body_of(VALIDATION, event))
        self.assertEqual(batch.validation_code, "512d38b6-c7b8-40c8-89fe-f46f9e9622b6")
        self.assertEqual([one.type for one in batch.events], ["CallStarted"])
        self.assertEqual(parse(b"[]"), Batch([]))


class Errors(TestCase):
    def assert_malformed(self, field: str, body: bytes) -> None:
        with self.assertRaises(Malformed) as caught:
            parse(body)
        self.assertEqual(caught.exception.field, field)
        self.assertTrue(str(caught.exception).startswith(field))
        self.assertNotIn("secret", str(caught.exception), "the payload is not repeated")

    def test_name_the_field(self) -> None:
        good, ids = callback("CallConnected"), {"callConnectionId": ["secret"]}
        for field, changes in (
            ("[1].data.callConnectionId", {"data": ids}),
            ("[1].data.callConnectionId", {"data": {"callConnectionId": "secret" * 50}}),
            ("[1].data.serverCallId", {"data": {"serverCallId": 7}}),
            ("[1].data.correlationId", {"data": {"correlationId": "sécret"}}),
            ("[1].data.sequenceNumber", {"data": {"sequenceNumber": 2**63}}),
            ("[1].data", {"data": "secret"}),
            ("[1].id", {"id": ""}),
            ("[1].id", {"id": 7}),
            ("[1].type", {"type": "secret" * 50}),
            ("[1].source", {"source": None}),
            ("[1].time", {"time": "secret"}),
            ("[1].time", {"time": "2026-11-30T09:00:00"}),
        ):
            with self.subTest(field, changes=changes):
                self.assert_malformed(field, body_of(good, {**good, **changes}))

    def test_name_the_field_that_is_missing(self) -> None:
        for field in ("id", "source", "type", "time"):
            event = callback("CallConnected")
            del event[field]
            self.assert_malformed(f"[0].{field}", body_of(event))
        for field in ("id", "eventTime"):
            event = grid_event("CallStarted")
            del event[field]
            self.assert_malformed(f"[0].{field}", body_of(event))
        self.assert_malformed(
            "[0].data.validationCode", body_of({**VALIDATION, "data": {"secret": 1}})
        )

    def test_of_a_body_that_is_not_json_name_none(self) -> None:
        for body in (b"", b"secret", b"\xff\xfe", b'{"a":', b'["\\ud800x"]', b"[" * 100_000):
            with self.subTest(body[:9]):
                self.assert_malformed("", body)

    def test_of_items_that_are_no_objects_name_their_place(self) -> None:
        for body in (b"7", b'["secret"]', b"[[]]", b"null"):
            with self.subTest(body):
                self.assert_malformed("[0]", body)

    def test_of_deep_nesting_are_no_other_error(self) -> None:
        deep: Any = "secret"
        for _level in range(MAX_DEPTH + 1):
            deep = [deep]
        self.assert_malformed("[0]", body_of(callback("CallConnected", deep=deep)))

    @given(JSON)
    def test_of_any_json_are_malformed_or_events(self, document: Any) -> None:
        try:
            parse(json.dumps(document).encode())
        except Malformed as error:
            self.assertIsInstance(str(error), str)

    @given(st.binary())
    def test_of_any_bytes_are_malformed_or_events(self, body: bytes) -> None:
        try:
            parse(body)
        except Malformed as error:
            self.assertIsInstance(str(error), str)

    @given(st.dictionaries(st.sampled_from([*callback("x"), *grid_event("x")]), JSON))
    def test_of_events_with_any_member_are_malformed_or_events(self, changes: Any) -> None:
        for event in (callback("CallConnected"), grid_event("CallStarted")):
            try:
                parse(body_of({**event, **changes}))
            except Malformed as error:
                self.assertTrue(error.field.startswith("[0]"))


class Times(TestCase):
    @given(st.datetimes(timezones=st.sampled_from([UTC])))
    def test_are_kept(self, moment: datetime) -> None:
        event = {**callback("CallConnected"), "time": moment.isoformat()}
        (read,) = parse(body_of(event)).events
        self.assertLessEqual(abs(read.occurred_at - moment), timedelta(days=1))
