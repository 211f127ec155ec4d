"""Rows that the job of coverage gets from a sealed socket."""

from __future__ import annotations

from django.test import TestCase
from msgspec import structs

from calls.models import (
    CallCoverage,
    coverage_id_of,
)
from streams.journal.records import Closed
from tests.streams.journals import handshake_of, records_of
from tests.streams.packets import START_US, speech
from tests.streams.sealing.test_rows import write_file
from tests.streams.written import (
    NOW,
)


class Coverage(TestCase):
    def test_a_socket_that_is_over_marks_its_call_to_be_judged(self) -> None:
        handshake = handshake_of()
        state = write_file(records_of(speech(50)), handshake)
        self.assertFalse(CallCoverage.objects.exists())
        second = structs.replace(handshake, sequence=1)
        write_file([Closed(START_US + 9_000_000, 1000)], second, state)
        row = CallCoverage.objects.get()
        self.assertEqual(row.call_connection_id, handshake.call_connection_id)
        self.assertEqual(row.verdict, "unknown")
        self.assertIsNotNone(row.due_at)

    def test_audio_that_is_sealed_late_marks_a_judged_call_again(self) -> None:
        handshake = handshake_of()
        ids = (handshake.call_connection_id, handshake.correlation_id)
        CallCoverage.objects.create(
            id=coverage_id_of(*ids), call_connection_id=ids[0], started_at=NOW, judged_at=NOW
        )
        write_file(records_of(speech(50)), handshake)
        self.assertIsNotNone(CallCoverage.objects.get().due_at)
