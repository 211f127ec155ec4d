"""Reading of witnesses: how much of them at most."""

from __future__ import annotations

from unittest.mock import patch
from uuid import uuid4

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from calls.coverage.job import loading, verdicts
from calls.models import CallCoverage
from calls.times import iso_text
from tests.calls.coverage.rows import CONNECTION, at, connected, event, judged, record, state
from tests.calls.rows import make_failed, make_refusal


class Bounds(TestCase):
    def test_events_of_a_call_are_read_up_to_a_limit(self) -> None:
        record()
        connected(0, 60)
        event("ParticipantsUpdated", 30, sequence_number=1)
        event("ContinuousDtmfRecognitionToneReceived", 1)  # proves nothing, and is not read
        with patch.object(loading, "MAX_EVENTS", 2):
            found = loading.load(CallCoverage.objects.get())
        assert found.history, "it has events"
        self.assertEqual((found.history.connected_at, found.event_count), (at(0), 2))
        self.assertIsNone(found.history.disconnected_at)

    def test_only_failed_journals_of_the_call_are_read(self) -> None:
        call = record()
        make_failed(name=f"{uuid4()}.000001.unreadable")
        with CaptureQueriesContext(connection) as queries:
            loading.load(CallCoverage.objects.get())
        (sql,) = [one["sql"] for one in queries if "failedjournal" in one["sql"]]
        self.assertIn(call.subscriptions.get().stream_id.hex, sql.replace("-", ""))

    def test_facts_have_one_entry_for_each_reason_of_refusals(self) -> None:
        state()
        for number in range(30):
            moment = at(number)
            make_refusal(call_connection_id=CONNECTION, first_at=moment, last_at=moment, count=2)
        (found,) = judged().facts["witnesses"]["refusals"]
        self.assertEqual((found["reason"], found["count"]), ("expired", 60))
        self.assertEqual(found["last_at"], iso_text(at(29)))

    def test_facts_repeat_some_statements_only(self) -> None:
        for number in range(3):
            state(source=f"pbx-{number}")
        with patch.object(verdicts, "MOST_STATED", 2):
            row = judged()
        self.assertEqual(len(row.facts["witnesses"]["statements"]), 2)
